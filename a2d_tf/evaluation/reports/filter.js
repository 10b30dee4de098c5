/* What is of an actor and action is hidden unless it is chosen; so are groups without any. */
const form = document.forms[0];
function filter() {
  const actor = form.elements.actor.value, action = form.elements.action.value;
  for (const each of document.querySelectorAll("[data-actor]")) {
    each.hidden = actor && each.dataset.actor !== actor
      || action && each.dataset.action !== action;
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = (actor || action) && !group.querySelector("[data-actor]:not([hidden])");
  }
}
form.oninput = filter;
filter();  // a browser may keep the choice when the page is loaded again

/* A click on a head sorts its table downwards, a second one upwards. */
for (const head of document.querySelectorAll("th")) {
  head.onclick = () => {
    const body = head.closest("table").tBodies[0];
    const value = row => row.cells[head.cellIndex].textContent;
    const up = head.ariaSort === "descending";
    head.ariaSort = up ? "ascending" : "descending";
    body.append(...[...body.rows].sort((a, b) =>
      (up ? 1 : -1) * value(a).localeCompare(value(b), undefined, {numeric: true})));
  };
}
