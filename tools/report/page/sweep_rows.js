// ---- rows of a sweep: filters, the best of many, the front ---------------------------------------

const isNumber = value => typeof value === "number" && Number.isFinite(value);

// {rows: objects by column, axes: {name, label, values: in order, place(row): of its value}, figures: names,
// strategies: names, memory: the figure that stands for it, hasAll: whether the page has all rows, played: how many
// there are, statuses: of all}
function sweptOf(sweep) {
  const rows = sweep.rows.map(cells => Object.fromEntries(sweep.columns.map((name, k) => [name, cells[k]])));
  if (!isPeak(sweep.memory)) labels[sweep.memory] = "memory, at least";
  const paths = (sweep.files.length > 1 ?
                     [new Set(sweep.files.map(f => f.name)).size === sweep.files.length ? "scenario" : "file"] :
                     [])
                    .concat(sweep.swept);
  const shorts = shortNames(paths);
  const axes = paths.map((name, k) => axisOf(name, words(shorts[k]), sweep.axis_values[name] || valuesOf(rows, name)))
                   .filter(axis => axis.values.length > 1);
  const named = new Set(
      ["scenario", "file", "point", "strategy", "status", "reason", "scenario_hash", "plan_hash", ...sweep.swept]);
  const figures = sweep.columns.filter(name => !named.has(name) && rows.some(row => isNumber(row[name])));
  return {
    rows,
    axes,
    figures,
    memory: sweep.memory,
    hasAll: sweep.has_all_rows,
    played: sweep.rows_played,
    statuses: sweep.statuses,
    strategies: [...new Set(rows.map(row => row.strategy))]
  };
}
// The order of values is the file's (tools/report/axis_values.h), which knows their units.
function axisOf(name, label, values) {
  const places = new Map(values.map((value, k) => [value, k]));
  return {name, label, values, place: row => places.get(row[name]) ?? null};
}

// Of columns that are no axes: texts in the order of their numbers.
function valuesOf(rows, name) {
  const values = [...new Set(rows.map(row => row[name]))].filter(value => value !== null && value !== undefined);
  return values.sort(compareValues);
}

const isPeak = figure => figure === "peak_memory_bytes";
const rankedBy = "run_samples_per_s";

// What is chosen of a sweep's rows: values of so many axes, a status, a limit of memory. A page that has not all rows
// has the best ones by samples per second, of every two values and of every limit (tools/report/swept_rows.h), and no
// others.
class Scope {
  constructor(swept, {axes = 0, strategy = false, status = null, hasLimit = false} = {}) {
    Object.assign(this, {swept, axes, strategy, status, hasLimit});
  }
  isAll() { return this.axes === 0 && !this.strategy && this.status === null && !this.hasLimit; }
  // Whether the best of what is chosen, by a figure and for each value of so many axes more, is on the page.
  knowsBest(figure = rankedBy, more = 0) {
    const axes = this.axes + more;
    return this.swept.hasAll || (figure === rankedBy && (this.hasLimit ? axes === 0 : axes <= 2));
  }
  notes(figure, more) {
    return this.knowsBest(figure, more) ? "" :
                                          " Of the rows on this page alone, which has not all: others may be better.";
  }
}

const isBetter = (figure, a, b) => isBetterHigh(figure) ? a > b : a < b;
// By key of a row, the row that is best in a figure.
function bestBy(rows, figure, key) {
  const best = new Map();
  for (const row of rows) {
    if (!isNumber(row[figure])) continue;
    const group = key(row), other = best.get(group);
    if (other === undefined || isBetter(figure, row[figure], other[figure])) best.set(group, row);
  }
  return best;
}

// The rows that no other beats in both figures, along the first.
function frontOf(rows, x, y) {
  const order = [...rows].sort(
      (a, b) => (isBetterHigh(x) ? b[x] - a[x] : a[x] - b[x]) || (isBetterHigh(y) ? b[y] - a[y] : a[y] - b[y]));
  const front = [];
  for (const row of order)
    if (!front.length || isBetter(y, row[y], front[front.length - 1][y])) front.push(row);
  return front;
}

// A value of an axis as all of the page says it.
const valueText = value => typeof value === "number" ? number(value) :
    value === null || value === undefined            ? none :
                                                       String(value);
const placeText = (swept, row) => swept.axes.map(axis => `${axis.label} ${valueText(row[axis.name])}`).join(", ");
const pointText =
    (swept, row, ...figures) => [row.strategy, placeText(swept, row),
                                 ...figures.map(figure => `${label(figure)} ${show(figure, row[figure])}`),
                                 row.status === "played" ? "" : row.status]
                                    .filter(line => line)
                                    .join("\n");
