/* A row of `data.videos` is [name, tracks, seconds of the video, [[actor, action, seconds, bouts],
   ...]], in the order of the cards. */
const main = document.querySelector("main"), cards = [...main.children];
const columns = [
  {name: "video", csv: "video", link: row => {
    if (data.links[row[0]]) location.href = data.links[row[0]];
  }},
  {name: "actor", csv: "actor"},
  {name: "action", csv: "action"},
  {name: "seconds", csv: "seconds", digits: 2},
  {name: "bouts", csv: "bouts", digits: 0},
];
const all = [
  columns[1], columns[2], {name: "videos", csv: "videos", digits: 0}, columns[3], columns[4]];

function filtered() {
  const words = fields.search.value.trim().toLowerCase();
  const fits = ([actor, action]) => actors.has(actor) && actions.has(action);
  const every = !actors.chosen.size && !actions.chosen.size;
  const found = data.videos.map(([name, tracks, seconds, sums], index) =>
    ({name, tracks, seconds, index, sums: sums.filter(fits)}));
  const shown = found.filter(video =>
    video.name.toLowerCase().includes(words) && (every || video.sums.length));
  const matching = video => video.sums.reduce((sum, [, , seconds]) => sum + seconds, 0);
  const orders = {
    name: () => 0,
    matching: (a, b) => matching(b) - matching(a),
    seconds: (a, b) => b.seconds - a.seconds,
    tracks: (a, b) => b.tracks - a.tracks,
  };
  shown.sort((a, b) => orders[fields.order.value](a, b) || a.index - b.index);
  for (const card of cards) card.hidden = true;
  for (const {index} of shown) cards[index].hidden = false;
  main.append(...shown.map(({index}) => cards[index]));
  $("count").value = `${shown.length} of ${cards.length} videos`;
  tell(shown);
}

/* Who did what how long, in each video or in all together. */
function tell(shown) {
  const rows = shown.flatMap(({name, sums}) => sums.map(([actor, action, seconds, bouts]) =>
    [name, data.actors[actor], data.actions[action], seconds, bouts]));
  if (fields.by.value === "video") return table.show(columns, rows);
  const groups = new Map();
  for (const [, actor, action, seconds, bouts] of rows) {
    const key = JSON.stringify([actor, action]);
    if (!groups.has(key)) groups.set(key, [actor, action, 0, 0, 0]);
    const sum = groups.get(key);
    sum[2] += 1;
    sum[3] += seconds;
    sum[4] += bouts;
  }
  table.show(all, [...groups.values()].sort((a, b) => b[3] - a[3]));
}

const keys = {t: otherTheme, "/": () => fields.search.focus()};
filtered();
