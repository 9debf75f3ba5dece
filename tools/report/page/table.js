// ---- tables: sorted by any column, in pages, with a CSV of all rows -----------------------------

const quotedCsv = text => /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
const csvCell = value => value === null || value === undefined ? "" : quotedCsv(String(value));
const csvOf =
    (columns, rows) => [columns.map(c => csvCell(c.name)), ...rows.map(row => columns.map(c => csvCell(c.value(row))))]
                           .map(cells => cells.join(",") + "\n")
                           .join("");

function compareValues(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", {numeric: true});
}

// A column of rows that are objects: value is what is sorted by and written as CSV, shown what is read.
const column = (name, more = {}) => ({name, label: label(name), value: row => row[name] ?? null, ...more});

// columns: {name, label, value(row), order(row)?: what is sorted by instead, shown(value, row)?, isText?, isWide?};
// pick(row): a row was chosen; inCsv: columns that the CSV has besides.
class Table {
  static rowsOfPage = 50;

  constructor({name, columns, rows, pick, inCsv = []}) {
    Object.assign(this, {name, columns, pick, inCsv, by: null, descending: false, first: 0});
    this.head = el("tr");
    this.body = el("tbody");
    this.pager = el("span");
    this.element =
        el("div", {},
           el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": name},
              el("table", {"aria-label": name}, el("thead", {}, this.head), this.body)),
           el("div", {class: "controls"}, this.pager,
              el("button", {
                type: "button",
                onclick: () =>
                    download(`${name.replace(/\W+/g, "_")}.csv`, csvOf([...this.columns, ...this.inCsv], this.sorted)),
                "aria-label": `CSV of ${name}`
              },
                 "CSV")));
    this.update(rows);
  }

  update(rows, columns = this.columns) {
    this.rows = rows;
    this.columns = columns;
    this.first = 0;
    this.showHead();
    this.sort();
  }

  sortBy(wanted) {
    this.descending = this.by === wanted.name && !this.descending;
    this.by = wanted.name;
    this.first = 0;
    this.showHead(wanted.name);
    this.sort();
  }

  sort() {
    const by = this.columns.find(c => c.name === this.by);
    this.sorted = by ? [...this.rows].sort((a, b) => {
      const order = by.order || by.value, x = order(a), y = order(b);
      const isMissing = x === null || x === undefined || y === null || y === undefined;
      return this.descending && !isMissing ? compareValues(y, x) : compareValues(x, y);
    }) :
                       this.rows;
    this.showRows();
  }

  showHead(focused = null) {
    this.head.replaceChildren(...this.columns.map(
        c =>
            el("th", {
              scope: "col",
              class: c.isText ? "text" : null,
              title: c.title,
              "aria-sort": c.name === this.by ? (this.descending ? "descending" : "ascending") : "none"
            },
               el("button", {type: "button", onclick: () => this.sortBy(c)}, c.label))));
    if (focused !== null) this.head.children[this.columns.findIndex(c => c.name === focused)].firstChild.focus();
  }

  showRows() {
    const shown = this.sorted.slice(this.first, this.first + Table.rowsOfPage);
    this.body.replaceChildren(...shown.map(row => this.rowOf(row)));
    const step = by => {
      this.first += by;
      this.showRows();
    };
    const size = Table.rowsOfPage, last = this.first + shown.length;
    this.pager.replaceChildren(...(this.sorted.length <= size ? [] : [
      el("button", {type: "button", disabled: this.first === 0, onclick: () => step(-size)}, "previous"),
      ` ${count(this.first + 1)} to ${count(last)} of ${count(this.sorted.length)} `,
      el("button", {type: "button", disabled: last >= this.sorted.length, onclick: () => step(size)}, "next")
    ]));
  }

  rowOf(row) {
    const cells = this.columns.map(c => {
      const value = c.value(row);
      return el(
          "td", {
            title: c.isText && !c.isWide && typeof value === "string" && value.length > 32 ? value : null,
            class: [c.isText ? "text" : "", c.isWide ? "wide" : ""].join(" ").trim() || null,
            "data-column": c.name,
            "data-value": value === null || value === undefined ? null : String(value)
          },
          c.shown ? c.shown(value, row) : show(c.name, value));
    });
    if (!this.pick) return el("tr", {}, cells);
    const pick = () => this.pick(row);
    return el(
        "tr", {
          class: "pick",
          tabindex: 0,
          onclick: pick,
          onkeydown: event => {
            if (event.key === "Enter" || event.key === " ") {
              event.preventDefault();
              pick();
            }
          }
        },
        cells);
  }
}
const table = options => new Table(options).element;
