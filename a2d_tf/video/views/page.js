const LATE = 0.001;  // seconds; times are rounded, and a seek must not show the frame before
const [ACTOR, ACTION, START, END, SCORE] = [0, 1, 2, 3, 4];  // of a bout
const [ID, KIND, BOUTS] = [0, 1, 2];  // of a track
const form = document.forms[0], fields = form.elements;

/* Plays where there is no video, with the same names. */
class Clock {
  constructor(duration) {
    Object.assign(this, {duration, paused: true, at: 0, since: 0, rate: 1});
  }
  get currentTime() {
    const passed = this.paused ? 0 : (performance.now() - this.since) / 1000 * this.rate;
    if (this.at + passed >= this.duration) Object.assign(this, {at: this.duration, paused: true});
    return Math.min(this.at + passed, this.duration);
  }
  set currentTime(seconds) { Object.assign(this, {at: seconds, since: performance.now()}); }
  get playbackRate() { return this.rate; }
  set playbackRate(rate) { this.currentTime = this.currentTime; this.rate = rate; }
  play() {
    this.currentTime = this.currentTime >= this.duration ? 0 : this.currentTime;
    this.paused = false;
    changed();
  }
  pause() { this.currentTime = this.currentTime; this.paused = true; changed(); }
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
  if (!stay) revealAny(rows.flatMap((row, index) => boutAt(row, now()) ? [index] : []));
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
    requestAnimationFrame(() => { ticking = false; follow(now()); changed(); });
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

const table = new Table($("table"), $("more"));
function tell() { table.show(fields.by.value === "track" ? byTrack : byActor, sums()); }
$("csv").addEventListener("click", () =>
  download(`${data.title} by ${fields.by.value}.csv`, table.csv()));

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

const actors = new Chips($("actors"), data.actors, null, filtered);
const actions = new Chips($("actions"), data.actions, data.colours, filtered);
form.addEventListener("input", filtered);
form.addEventListener("submit", event => event.preventDefault());
fields.by.addEventListener("input", filtered);
addEventListener("hashchange", fromAddress);

$("play").addEventListener("click", toggle);
$("speed").addEventListener("input", () => { player.playbackRate = Number($("speed").value); });
function pick(id) {
  picked = id;
  reveal(rows.findIndex(row => row[ID] === id));
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
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (event.target.closest("input, select")) return;
  if (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

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
