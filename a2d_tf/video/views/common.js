/* The theme is the system's until the button was used, then that of the button. */
const system = matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null;
try { chosenTheme = localStorage.getItem("a2d_tf theme"); } catch { /* not allowed: not kept */ }
function showTheme() {
  const dark = chosenTheme ? chosenTheme === "dark" : system.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "☀" : "☾";
  dispatchEvent(new Event("theme"));
}
function otherTheme() {
  chosenTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("a2d_tf theme", chosenTheme); } catch { /* as above */ }
  showTheme();
}
$("theme").onclick = otherTheme;
system.addEventListener("change", showTheme);
showTheme();

/* Seconds as 1:02:03.45, without the hours where there are none. */
function clock(seconds) {
  const hundredths = Math.round(100 * seconds), minutes = Math.floor(hundredths / 6000);
  const rest = (hundredths % 6000 / 100).toFixed(2).padStart(5, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

function element(tag, fields = {}, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

function swatch(colour) {
  const square = element("i");
  square.style.setProperty("--c", colour);
  return square;
}

/* Buttons that choose among names; none pressed means all. `chosen` holds their indices. */
class Chips {
  constructor(place, names, colours = []) {
    this.names = names;
    this.chosen = new Set();
    this.buttons = names.map((name, index) => {
      const press = () => {
        if (!this.chosen.delete(index)) this.chosen.add(index);
        this.show();
        filtered();
      };
      const parts = colours[index] ? [swatch(colours[index]), name] : [name];
      return element("button", {type: "button", title: name, onclick: press}, ...parts);
    });
    place.append(...this.buttons);
    this.show();
  }
  show() {
    this.buttons.forEach((button, index) =>
      button.setAttribute("aria-pressed", this.chosen.has(index)));
  }
  has(index) { return !this.chosen.size || this.chosen.has(index); }
  get value() { return [...this.chosen].map(index => this.names[index]); }
  set value(names) {
    this.chosen = new Set(names.map(name => this.names.indexOf(name)).filter(index => index >= 0));
    this.show();
  }
}

const SHOWN = 200;  // rows of a table before its button is pressed

/* A table that sorts by a click on a head. Columns are {name, csv, digits, link}: cells are numbers
   of so many digits, or names where there are none; link(row) is called at a click on a name. */
class Table {
  constructor(place, more) {
    Object.assign(this, {head: element("thead"), body: element("tbody"), more});
    place.append(this.head, this.body);
    more.onclick = () => { this.limit = Infinity; this.render(); };
  }
  show(columns, rows) {
    if (this.columns !== columns) this.showHeads(columns);
    Object.assign(this, {rows, limit: SHOWN});
    this.render();
  }
  showHeads(columns) {
    Object.assign(this, {columns, key: null});
    this.heads = columns.map((column, index) => {
      const sort = () => {
        this.up = this.key === index ? !this.up : column.digits === undefined;
        this.key = index;
        this.render();
      };
      const button = element("button", {type: "button", onclick: sort}, column.name);
      return element("th", {className: column.digits === undefined ? "name" : ""}, button);
    });
    this.head.replaceChildren(element("tr", {}, ...this.heads));
  }
  sorted() {
    if (this.key === null) return this.rows;
    const key = this.key, sign = this.up ? 1 : -1;
    return [...this.rows].sort((a, b) => sign * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
  }
  render() {
    this.heads.forEach((head, index) => head.setAttribute("aria-sort",
      index !== this.key ? "none" : this.up ? "ascending" : "descending"));
    const rows = this.sorted();
    this.body.replaceChildren(...rows.slice(0, this.limit).map(row =>
      element("tr", {}, ...this.columns.map((column, index) => this.cell(column, row, index)))));
    this.more.hidden = rows.length <= this.limit;
    this.more.textContent = `Show all ${rows.length} rows`;
  }
  cell({digits, link}, row, index) {
    if (digits !== undefined) return element("td", {}, row[index].toFixed(digits));
    const text = String(row[index]);
    const button = () => element("button", {type: "button", onclick: () => link(row)}, text);
    return element("td", {className: "name", title: text}, link ? button() : text);
  }
  csv() {
    const quoted = value => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    const cell = (value, {digits}) => digits === undefined ? value : Number(value.toFixed(digits));
    const lines = this.sorted().map(row => row.map((x, index) => cell(x, this.columns[index])));
    return [this.columns.map(column => column.csv), ...lines]
      .map(line => line.map(value => quoted(String(value))).join(",") + "\n").join("");
  }
}

/* What the pages have in common; `filtered`, and `keys` with what each key does, are their own. */
const form = document.forms[0], fields = form.elements;
const actors = new Chips($("actors"), data.actors);
const actions = new Chips($("actions"), data.actions, data.colours);
const table = new Table($("table"), $("more"));
addEventListener("input", event => { if (event.target.form === form) filtered(); });
form.onsubmit = event => event.preventDefault();
$("csv").onclick = () => {
  const name = `${data.title} by ${fields.by.value}.csv`.replace(/[/\\:*?"<>|]/g, "_");
  const text = new Blob(["\ufeff", table.csv()], {type: "text/csv;charset=utf-8"});
  const link = element("a", {download: name, href: URL.createObjectURL(text)});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (event.target.closest("input, select")) return;
  if (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key)) return;
  event.preventDefault();
  keys[event.key]();
});
