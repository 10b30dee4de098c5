"use strict";
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);

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
$("theme").addEventListener("click", otherTheme);
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
  constructor(place, names, colours, changed) {
    this.names = names;
    this.chosen = new Set();
    this.buttons = names.map((name, index) => {
      const button = element("button", {type: "button", title: name});
      if (colours) button.append(swatch(colours[index]));
      button.append(name);
      button.addEventListener("click", () => {
        if (!this.chosen.delete(index)) this.chosen.add(index);
        this.show();
        changed();
      });
      return button;
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
    this.head = element("thead");
    this.body = element("tbody");
    this.more = more;
    place.append(this.head, this.body);
    more.addEventListener("click", () => { this.limit = Infinity; this.render(); });
  }
  show(columns, rows) {
    if (this.columns !== columns) this.showHeads(columns);
    this.rows = rows;
    this.limit = SHOWN;
    this.render();
  }
  showHeads(columns) {
    this.columns = columns;
    this.key = null;
    this.heads = columns.map((column, index) => {
      const button = element("button", {type: "button"}, column.name);
      button.addEventListener("click", () => {
        this.up = this.key === index ? !this.up : column.digits === undefined;
        this.key = index;
        this.render();
      });
      return element("th", {className: column.digits === undefined ? "name" : ""}, button);
    });
    this.head.replaceChildren(element("tr", {}, ...this.heads));
  }
  sorted() {
    if (this.key === null) return this.rows;
    const key = this.key, sign = this.up ? 1 : -1;
    const order = (a, b) => typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
    return [...this.rows].sort((a, b) => sign * order(a[key], b[key]));
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
  cell(column, row, index) {
    if (column.digits !== undefined) return element("td", {}, row[index].toFixed(column.digits));
    const text = String(row[index]), cell = element("td", {className: "name", title: text});
    if (!column.link) cell.append(text);
    else {
      const button = element("button", {type: "button"}, text);
      button.addEventListener("click", () => column.link(row));
      cell.append(button);
    }
    return cell;
  }
  csv() {
    const quoted = value => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    const lines = [this.columns.map(column => column.csv), ...this.sorted().map(row =>
      row.map((value, index) => this.columns[index].digits === undefined ? value
        : Number(value.toFixed(this.columns[index].digits))))];
    return lines.map(line => line.map(value => quoted(String(value))).join(",") + "\n").join("");
  }
}

function download(name, text) {
  const link = element("a", {download: name.replace(/[/\\:*?"<>|]/g, "_")});
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], {type: "text/csv;charset=utf-8"}));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
