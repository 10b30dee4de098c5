/* The timeline: a canvas as large as what is to be seen, in a box that scrolls. */
const ROW = 20, AXIS = 24;  // pixels: a row, and the axis above the rows
const ZOOMS = 4096;
const scroller = $("scroller"), view = $("view"), head = $("head"), tip = $("tip");
const canvas = document.querySelector("canvas");
let zoom = 1;
const called = track => `#${track[ID]} ${data.actors[track[KIND]]}`;

/* x of a time, and the time of an x, in pixels of what is to be seen. */
const gutter = () => scroller.clientWidth < 600 ? 76 : 120;
const lane = () => (scroller.clientWidth - gutter() - 8) * zoom;
const extent = () => Math.max(last - data.start, 1e-3);
const across = seconds =>
  gutter() - scroller.scrollLeft + lane() * (seconds - data.start) / extent();
const timeOf = x => data.start + (x - gutter() + scroller.scrollLeft) * extent() / lane();

function follow(seconds) {
  const x = across(seconds);
  if (x < gutter() || x > scroller.clientWidth) {
    scroller.scrollLeft += x - gutter() - (scroller.clientWidth - gutter()) / 4;
  }
}

function layout() {
  $("space").style.width = zoom === 1 ? "100%" : `${gutter() + lane() + 8}px`;
  $("space").style.height = `${AXIS + ROW * rows.length + 4}px`;
  scroller.style.setProperty("--tall", `${AXIS + ROW * rows.length + (zoom === 1 ? 6 : 22)}px`);
  $("view").style.width = `${scroller.clientWidth}px`;
  $("view").style.height = `${scroller.clientHeight}px`;
  draw();
}

function tick() {
  const least = 75 * extent() / lane();
  const steps = [.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  return steps.find(each => each >= least) ?? 7200 * Math.ceil(least / 7200);
}

function draw() {
  const wide = scroller.clientWidth, tall = scroller.clientHeight, ratio = devicePixelRatio || 1;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(tall * ratio);
  const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const [ink, soft, paper, panel, line, pick] = ["ink", "soft", "paper", "panel", "line", "pick"]
    .map(each => style.getPropertyValue(`--${each}`));
  context.scale(ratio, ratio);
  context.fillStyle = paper;
  context.fillRect(0, 0, wide, tall);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW));
  const beyond = Math.min(rows.length, first + Math.ceil(tall / ROW) + 1);
  for (let index = first; index < beyond; index++) {
    const row = rows[index], y = AXIS + ROW * index - scroller.scrollTop;
    context.fillStyle = row[ID] === picked ? pick : index % 2 ? panel : paper;
    context.fillRect(0, y, wide, ROW);
    for (const bout of row[BOUTS]) drawBout(context, bout, y, wide);
    context.fillStyle = ink;
    write(context, called(row), 6, y + ROW / 2 + 1, gutter() - 10);
  }
  drawAxis(context, wide, {soft, panel, line});
  context.fillStyle = line;
  context.fillRect(gutter() - 1, AXIS, 1, tall);
}

function drawAxis(context, wide, {soft, panel, line}) {
  context.fillStyle = panel;
  context.fillRect(0, 0, wide, AXIS);
  context.strokeStyle = line;
  context.fillStyle = soft;
  context.fillText("track", 6, AXIS / 2);
  context.textAlign = "center";
  const each = tick();
  for (let i = Math.ceil(Math.max(timeOf(gutter()), data.start) / each - 1e-6); ; i++) {
    const x = Math.round(across(i * each)) + .5;
    if (x > wide || i * each > last + 1e-6) break;
    context.beginPath();
    context.moveTo(x, AXIS - 5);
    context.lineTo(x, AXIS);
    context.stroke();
    const text = each < 1 ? clock(i * each) : clock(i * each).slice(0, -3);
    if (x + context.measureText(text).width / 2 < wide) context.fillText(text, x, AXIS / 2 - 2);
  }
  context.textAlign = "left";
}

function drawBout(context, bout, y, wide) {
  const left = Math.max(across(bout[START]), gutter()), right = Math.min(across(bout[END]), wide);
  if (right <= gutter() || left >= wide) return;
  context.fillStyle = data.colours[bout[ACTION]];
  context.fillRect(left, y + 3, Math.max(right - left - .5, 1.5), ROW - 6);
  const text = data.actions[bout[ACTION]];
  if (right - left < context.measureText(text).width + 8) return;
  context.fillStyle = inkOn(data.colours[bout[ACTION]]);
  context.fillText(text, left + 4, y + ROW / 2 + 1);
}

/* Black or white, whichever is read better on a colour #rrggbb. */
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
  return .299 * red + .587 * green + .114 * blue > 128 ? "#000" : "#fff";
}

/* Write a text, cut where it is too wide. */
function write(context, text, x, y, most) {
  let cut = text.slice(0, 40);
  while (cut.length > 1 && context.measureText(cut).width > most) cut = cut.slice(0, -2) + "…";
  context.fillText(cut, x, y);
}

function showHead(seconds) {
  const x = across(seconds);
  head.style.left = `${x}px`;
  head.hidden = x < gutter() - 1 || x > scroller.clientWidth;
}

/* Scroll to the first of some rows, unless one of them is to be seen already. */
function reveal(indices) {
  const from = scroller.scrollTop / ROW, to = from + (scroller.clientHeight - AXIS) / ROW - 1;
  if (!indices.length || indices.some(index => from <= index && index <= to)) return;
  scroller.scrollTop = ROW * indices[0] - scroller.clientHeight / 3;
}

/* Zoom in time; what is at x, or the time that is played, stays where it is. */
function zoomTo(times, x = across(now())) {
  const seconds = timeOf(x);
  zoom = Math.min(Math.max(times, 1), ZOOMS);
  layout();
  scroller.scrollLeft += across(seconds) - x;
  draw();
  showHead(now());
}

/* The row and the bout at a place of the view; a bout of less than 4 pixels is found beside it. */
function at(x, y) {
  const row = y < AXIS ? undefined : rows[Math.floor((y - AXIS + scroller.scrollTop) / ROW)];
  const seconds = timeOf(x), near = 2 * extent() / lane();
  const bout = x < gutter() ? undefined : row?.[BOUTS].find(
    bout => bout[START] - near <= seconds && seconds < bout[END] + near);
  return [row, bout];
}

view.addEventListener("click", event => {
  const box = view.getBoundingClientRect(), x = event.clientX - box.left;
  const [row] = at(x, event.clientY - box.top);
  if (row) picked = row[ID];
  draw();
  if (x >= gutter()) go(timeOf(x), true);
  else if (row) go(row[BOUTS][0][START], true);
});
view.addEventListener("pointermove", event => {
  const box = view.getBoundingClientRect(), x = event.clientX - box.left;
  if (event.buttons & 1 && event.pointerType === "mouse" && x >= gutter()) go(timeOf(x), true);
  const [row, bout] = at(x, event.clientY - box.top);
  tip.hidden = !row;
  if (!row) return;
  tip.textContent = bout
    ? `#${row[ID]} ${data.actors[bout[ACTOR]]}, ${data.actions[bout[ACTION]]}: ${clock(bout[START])} `
      + `to ${clock(bout[END])}, score ${(100 * bout[SCORE]).toFixed(0)} %`
    : called(row);
  const left = Math.min(x + 12, box.width - tip.offsetWidth - 4);
  const under = event.clientY - box.top + 18;
  tip.style.left = `${Math.max(left, 0)}px`;
  tip.style.top = `${under + 24 > box.height ? under - 46 : under}px`;
});
view.addEventListener("pointerleave", () => { tip.hidden = true; });
scroller.addEventListener("scroll", () => { draw(); showHead(now()); });
scroller.addEventListener("wheel", event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomTo(zoom * 2 ** (-event.deltaY / 100), event.clientX - scroller.getBoundingClientRect().left);
}, {passive: false});
$("in").addEventListener("click", () => zoomTo(2 * zoom));
$("out").addEventListener("click", () => zoomTo(zoom / 2));
addEventListener("theme", () => draw());
new ResizeObserver(() => { layout(); showHead(now()); }).observe(scroller);

const LATE = 0.001;  // seconds; times are rounded, and a seek must not show the frame before
const [ACTOR, ACTION, START, END, SCORE] = [0, 1, 2, 3, 4];  // of a bout
const [ID, KIND, BOUTS] = [0, 1, 2];  // of a track

/* Plays where there is no video, with the same names. */
class Clock {
  constructor(duration) {
    Object.assign(this, {duration, paused: true, currentTime: 0, playbackRate: 1});
  }
  play() {
    if (this.currentTime >= this.duration) this.currentTime = 0;
    Object.assign(this, {paused: false, since: performance.now()});
    changed();
  }
  pause() { this.paused = true; changed(); }
  tick(time = performance.now()) {
    const at = this.currentTime + (time - this.since) / 1000 * this.playbackRate;
    Object.assign(this, {since: time, currentTime: Math.min(at, this.duration)});
    this.paused ||= at >= this.duration;
  }
}

const video = document.querySelector("video");
let last = data.end, rows = [], there = [], picked = null, ticking = false, told = null;
let player = video ?? new Clock(last - data.start);
const now = () => data.start + player.currentTime;
const within = seconds => Math.min(Math.max(seconds, data.start), last);

/* Go to a time. The rows move until somebody who is there is to be seen, unless they shall stay. */
function go(seconds, stay = false) {
  player.currentTime = within(seconds) - data.start + (video === player ? LATE : 0);
  follow(seconds);
  changed();
  if (!stay) reveal(rows.flatMap((row, index) => boutAt(row, now()) ? [index] : []));
  keep();
}
function toggle() {
  if (player.paused) Promise.resolve(player.play()).catch(() => {});
  else player.pause();
}
function step(frames) {
  const index = Math.floor(player.currentTime / data.step + 0.05);
  player.pause();
  go(data.start + (index + frames) * data.step);
}

const boutAt = (row, seconds) =>
  row[BOUTS].find(bout => bout[START] <= seconds && seconds < bout[END]);

/* The time has changed: show it, and go on while the video plays. */
function changed() {
  const seconds = now(), names = [];
  $("time").value = `${clock(seconds)} / ${clock(last)}`;
  $("play").textContent = player.paused ? "▶ Play" : "❚❚ Pause";
  showHead(seconds);
  for (const row of there) {
    const bout = boutAt(row, seconds);
    if (bout) names.push([row, bout]);
  }
  const text = names.map(([row, bout]) => [row[ID], bout[ACTOR], bout[ACTION]]).join();
  if (text !== told) {
    told = text;
    $("now").replaceChildren(element("span", {}, `Now ${names.length}:`),
      ...names.slice(0, 20).map(([row, bout]) => element("span", {},
        swatch(data.colours[bout[ACTION]]), `#${row[ID]} ${data.actors[bout[ACTOR]]} `
        + data.actions[bout[ACTION]])));
    if (fields.present.checked) choose();
  }
  if (!player.paused && !ticking) {
    ticking = true;
    requestAnimationFrame(() => {
      ticking = false;
      if (!player.paused) player.tick?.();
      follow(now());
      changed();
    });
  }
}

/* What the filters leave: `there` of the whole video, of which `rows` are shown. */
function choose() {
  const least = fields.score.value / 100, seconds = now();
  const fits = bout => actors.has(bout[ACTOR]) && actions.has(bout[ACTION]) && bout[SCORE] >= least;
  there = data.tracks.map(([id, kind, bouts]) => [id, kind, bouts.filter(fits)])
    .filter(row => row[BOUTS].length);
  const start = row => row[BOUTS][0][START], end = row => row[BOUTS].at(-1)[END];
  const orders = {
    start: (a, b) => start(a) - start(b),
    actor: (a, b) => a[KIND] - b[KIND] || start(a) - start(b),
    longest: (a, b) => end(b) - start(b) - end(a) + start(a),
  };
  there.sort((a, b) => orders[fields.order.value](a, b) || a[ID] - b[ID]);
  rows = fields.present.checked
    ? there.filter(row => start(row) <= seconds && seconds < end(row)) : there;
  fields.least.value = `${fields.score.value} %`;
  $("count").value = `${rows.length} of ${data.tracks.length} tracks`;
  layout();
}

const columns = [
  {name: "actor", csv: "actor"},
  {name: "action", csv: "action"},
  {name: "seconds", csv: "seconds", digits: 2},
  {name: "% of video", csv: "percent_of_video", digits: 1},
  {name: "bouts", csv: "bouts", digits: 0},
  {name: "from, s", csv: "first_second", digits: 2},
  {name: "to, s", csv: "last_second", digits: 2},
  {name: "score", csv: "mean_score", digits: 3},
];
const byTrack = [
  {name: "track", csv: "track_id", link: row => { pick(row[0]); go(row[6]); }}, ...columns];
const byActor = [
  ...columns.slice(0, 2), {name: "tracks", csv: "tracks", digits: 0}, ...columns.slice(2)];

/* Who did what how long. */
function sums() {
  const alone = fields.by.value === "track", groups = new Map();
  for (const [id, , bouts] of there) {
    for (const bout of bouts) {
      const key = [alone ? id : "", bout[ACTOR], bout[ACTION]].join();
      if (!groups.has(key)) groups.set(key, {id, bouts: [], tracks: new Set()});
      groups.get(key).bouts.push(bout);
      groups.get(key).tracks.add(id);
    }
  }
  return [...groups.values()].map(({id, bouts, tracks}) => {
    const seconds = bouts.reduce((sum, bout) => sum + bout[END] - bout[START], 0);
    const scores = bouts.reduce((sum, bout) => sum + bout[SCORE] * (bout[END] - bout[START]), 0);
    const names = [data.actors[bouts[0][ACTOR]], data.actions[bouts[0][ACTION]]];
    return [...(alone ? [id, ...names] : [...names, tracks.size]), seconds,
      100 * seconds / Math.max(last - data.start, 1e-3), bouts.length,
      bouts.reduce((least, bout) => Math.min(least, bout[START]), Infinity),
      bouts.reduce((most, bout) => Math.max(most, bout[END]), 0),
      seconds ? scores / seconds : bouts[0][SCORE]];
  });
}

function tell() { table.show(fields.by.value === "track" ? byTrack : byActor, sums()); }

/* The choice and the time are in the address, which can be sent to others; browsers allow it to
   change a few times a second only. */
const usual = {score: "0", order: "start", by: "track"};
let keeping = 0;
function keep() {
  clearTimeout(keeping);
  keeping = setTimeout(address, 200);
}
function address() {
  const kept = new URLSearchParams();
  if (player.currentTime > LATE) kept.set("t", now().toFixed(2));
  for (const name in usual) {
    if (fields[name].value !== usual[name]) kept.set(name, fields[name].value);
  }
  for (const value of actors.value) kept.append("actor", value);
  for (const value of actions.value) kept.append("action", value);
  history.replaceState(null, "", "#" + kept);
}
function fromAddress() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const name in usual) {
    fields[name].value = kept.get(name) ?? usual[name];
    if (fields[name].selectedIndex < 0) fields[name].value = usual[name];
  }
  actors.value = kept.getAll("actor");
  actions.value = kept.getAll("action");
  choose();
  tell();
  if (Number(kept.get("t"))) go(Number(kept.get("t")));
}
function filtered() { choose(); tell(); changed(); keep(); }

addEventListener("hashchange", fromAddress);

$("play").onclick = toggle;
$("speed").oninput = () => { player.playbackRate = Number($("speed").value); };
function pick(id) {
  picked = id;
  reveal(rows.flatMap((row, index) => row[ID] === id ? [index] : []));
  draw();
}
function pickNext(by) {
  const index = rows.findIndex(row => row[ID] === picked);
  const seen = Math.ceil(scroller.scrollTop / ROW);  // the first one that is to be seen
  const next = Math.min(Math.max(index < 0 ? seen : index + by, 0), rows.length - 1);
  if (rows.length) pick(rows[next][ID]);
}
/* To the next start of a bout, or the one before: of the row picked, or of all. */
function goBout(by) {
  const seconds = now() + LATE, own = rows.filter(row => row[ID] === picked);
  const starts = (own.length ? own : rows).flatMap(row => row[BOUTS].map(bout => bout[START]));
  const ahead = starts.filter(start => by > 0 ? start > seconds : start < seconds - 4 * LATE);
  if (ahead.length) go(ahead.reduce((a, b) => by > 0 === a < b ? a : b));
}
function goFirst() {
  const row = rows.find(row => row[ID] === picked);
  if (row) go(row[BOUTS][0][START]);
}
const keys = {
  " ": toggle, k: toggle,
  ArrowLeft: () => go(now() - 1), ArrowRight: () => go(now() + 1),
  j: () => go(now() - 10), l: () => go(now() + 10),
  ",": () => step(-1), ".": () => step(1),
  ArrowUp: () => pickNext(-1), ArrowDown: () => pickNext(1),
  Enter: goFirst,
  "[": () => goBout(-1), "]": () => goBout(1),
  Home: () => go(data.start), End: () => go(last),
  "+": () => zoomTo(2 * zoom), "=": () => zoomTo(2 * zoom), "-": () => zoomTo(zoom / 2),
  0: () => zoomTo(1), t: otherTheme, "?": () => { $("help").open = !$("help").open; },
};
if (video) {
  for (const name of ["play", "pause", "seeked", "ended", "timeupdate"]) {
    video.addEventListener(name, changed);
  }
  video.addEventListener("pause", keep);
  video.addEventListener("click", toggle);
  video.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(video.duration)) last = Math.max(last, data.start + video.duration);
    layout();
    tell();
    changed();
  });
  video.addEventListener("error", () => {
    const at = now();
    video.hidden = true;
    $("trouble").hidden = false;
    player = new Clock(last - data.start);
    go(at);
  });
}
$("help").open = innerWidth > 800;
fromAddress();
changed();
