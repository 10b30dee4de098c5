const form = document.forms[0], fields = form.elements, main = document.querySelector("main");
const cards = [...main.children], base = Number(main.dataset.base), usual = new FormData(form);
const kinds = ["missed", "extra", "who", "what"];

for (const card of cards) {
  card.pixels = card.dataset.pixels.split(" ").map(row => row.split(",").map(Number));
}

/* The frame's mIoU and shares of errors, percent, where the code in truth or the one predicted, as
   the sides say, is a wanted one. As in Python, a code that is in truth nowhere has no IoU. */
function measure(card, wanted, sides) {
  const found = {error: 0}, ious = {};
  let all = 0;
  for (const kind of kinds) found[kind] = 0;
  for (const [truth, predicted, count] of card.pixels) {
    all += count;
    for (const code of truth === predicted ? [truth] : [truth, predicted]) {
      ious[code] ??= {hit: 0, union: 0, truth: false};
      ious[code].union += count;
    }
    ious[truth].truth = true;
    if (truth === predicted) { ious[truth].hit += count; continue; }
    if (!(sides.includes("truth") && wanted(truth))
        && !(sides.includes("prediction") && wanted(predicted))) continue;
    const same = Math.floor(truth / base) === Math.floor(predicted / base);
    found[!predicted ? "missed" : !truth ? "extra" : same ? "what" : "who"] += count;
  }
  for (const kind of kinds) {
    found.error += found[kind];
    found[kind] *= 100 / all;
  }
  found.error *= 100 / all;
  const own = Object.entries(ious).filter(([code, iou]) => iou.truth && wanted(Number(code)));
  const sum = own.reduce((sum, [, iou]) => sum + iou.hit / iou.union, 0);
  found.miou = own.length ? 100 * sum / own.length : 0;
  return found;
}

function apply() {
  const actor = fields.actor.selectedIndex, action = fields.action.selectedIndex;
  const sides = fields.side.value === "either" ? ["truth", "prediction"] : [fields.side.value];
  const every = !actor && !action;
  const wanted = code => every || code > 0 && (!actor || Math.floor(code / base) === actor)
    && (!action || code % base === action);
  const key = fields.sort.value, up = key === "miou" ? 1 : -1;
  const names = [actor && fields.actor.value, action && fields.action.value].filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const codes = sides.flatMap(side => card.dataset[side].split(" ").map(Number));
    card.hidden = !every && !codes.some(wanted);
    shown += !card.hidden;
    const found = measure(card, wanted, sides);
    for (const name in found) card.dataset[name] = found[name].toFixed(3);
    card.querySelector(".of").textContent = every ? "" : `${names.join("-")}: `;
    card.querySelector(".miou").textContent = found.miou.toFixed(1);
    card.querySelector(".error").textContent = found.error.toFixed(1) + " %";
    card.querySelector(".key").textContent = kinds.includes(key)
      ? `, ${fields.sort.selectedOptions[0].text} ${found[key].toFixed(1)} %` : "";
  }
  const sign = fields.order.value === "best" ? -1 : 1;
  const byName = (a, b) => a.dataset.name < b.dataset.name ? -1 : 1;
  const byError = (a, b) => up * (a.dataset[key] - b.dataset[key]) || sign * byName(a, b);
  cards.sort((a, b) => sign * (key === "name" ? byName : byError)(a, b));
  main.append(...cards);
  main.style.setProperty("--masks", fields.masks.value / 100);
  form.querySelector("output").value = `${shown} of ${cards.length} frames`;
}

function fromAddress() {
  form.reset();
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!usual.has(name)) continue;
    fields[name].value = value;
    if (fields[name].selectedIndex < 0) fields[name].selectedIndex = 0;
  }
  apply();
}

form.addEventListener("input", () => {
  const chosen = [...new FormData(form)].filter(([name, value]) => usual.get(name) !== value);
  history.replaceState(null, "", "#" + new URLSearchParams(chosen));
  apply();
});
form.addEventListener("submit", event => event.preventDefault());
addEventListener("hashchange", fromAddress);
fromAddress();
