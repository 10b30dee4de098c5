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

/* Scroll so far that a row is to be seen. */
function reveal(index) {
  if (index < 0) return;
  const top = ROW * index, tall = scroller.clientHeight - AXIS - ROW;
  scroller.scrollTop = Math.min(Math.max(scroller.scrollTop, top - tall), top);
}

/* The same for some rows, unless one of them is to be seen already. */
function revealAny(indices) {
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
