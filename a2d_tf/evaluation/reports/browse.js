/* `data.frames` has of each card its name and [true code, predicted code, pixels] of each pair. */
const form = document.forms[0], fields = form.elements, main = document.querySelector("main");
const cards = [...main.children], usual = new FormData(form);
const kinds = ["missed", "extra", "who", "what"];
const actorOf = code => Math.floor(code / data.base);
cards.forEach((card, index) => Object.assign(card, data.frames[index]));

/* The frame's mIoU and shares of errors, percent, where the code in truth or the one predicted, as
   the sides say, is a wanted one. As in Python, a code that is in truth nowhere has no IoU. */
function measure(card, wanted, sides) {
  const found = {error: 0, missed: 0, extra: 0, who: 0, what: 0}, ious = {};
  let all = 0;
  for (const [truth, predicted, count] of card.pixels) {
    all += count;
    for (const code of new Set([truth, predicted])) {
      ious[code] ??= {hit: 0, union: 0, truth: false};
      ious[code].union += count;
    }
    ious[truth].truth = true;
    if (truth === predicted) ious[truth].hit += count;
    else if (sides.includes("truth") && wanted(truth)
        || sides.includes("prediction") && wanted(predicted)) {
      found.error += count;
      found[!predicted ? "missed" : !truth ? "extra"
        : actorOf(truth) === actorOf(predicted) ? "what" : "who"] += count;
    }
  }
  for (const kind in found) found[kind] *= 100 / all;
  const own = Object.entries(ious).filter(([code, iou]) => iou.truth && wanted(Number(code)));
  const sum = own.reduce((sum, [, iou]) => sum + iou.hit / iou.union, 0);
  return {...found, miou: own.length ? 100 * sum / own.length : 0};
}

function apply() {
  const actor = fields.actor.selectedIndex, action = fields.action.selectedIndex;
  const sides = fields.side.value === "either" ? ["truth", "prediction"] : [fields.side.value];
  const every = !actor && !action;
  const wanted = code => every || code > 0 && (!actor || actorOf(code) === actor)
    && (!action || code % data.base === action);
  const key = fields.sort.value, up = key === "miou" ? 1 : -1;
  const names = [fields.actor.value, fields.action.value].filter(Boolean);
  for (const card of cards) {
    card.hidden = !every && !card.pixels.some(([truth, predicted]) =>
      sides.includes("truth") && wanted(truth) || sides.includes("prediction") && wanted(predicted));
    card.found = measure(card, wanted, sides);
    const texts = {
      of: every ? "" : `${names.join("-")}: `,
      miou: card.found.miou.toFixed(1),
      error: card.found.error.toFixed(1) + " %",
      key: kinds.includes(key)
        ? `, ${fields.sort.selectedOptions[0].text} ${card.found[key].toFixed(1)} %` : "",
    };
    for (const name in texts) card.querySelector(`.${name}`).textContent = texts[name];
  }
  const sign = fields.order.value === "best" ? -1 : 1;
  const byName = (a, b) => a.name < b.name ? -1 : 1;
  const byError = (a, b) => up * (a.found[key] - b.found[key]) || sign * byName(a, b);
  cards.sort((a, b) => sign * (key === "name" ? byName : byError)(a, b));
  main.append(...cards);
  main.style.setProperty("--masks", fields.masks.value / 100);
  const shown = cards.filter(card => !card.hidden).length;
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
