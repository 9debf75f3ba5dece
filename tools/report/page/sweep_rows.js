// ---- rows of a sweep: filters, the best of many, the front ---------------------------------------

const isNumber = value => typeof value === "number" && Number.isFinite(value);

// {rows: objects by column, axes: {name, label, values}, figures: names, strategies: names}
function sweptOf(sweep) {
  const rows = sweep.rows.map(cells => Object.fromEntries(sweep.columns.map((name, k) => [name, cells[k]])));
  const paths = (sweep.files.length > 1 ? [new Set(sweep.files.map(f => f.name)).size === sweep.files.length ? "scenario" : "file"] : []).concat(sweep.swept);
  const shorts = shortNames(paths);
  const axes = paths.map((name, k) => ({name, label: words(shorts[k]), values: valuesOf(rows, name)})).filter(axis => axis.values.length > 1);
  const named = new Set(["scenario", "file", "point", "strategy", "status", "reason", "scenario_hash", "plan_hash", ...sweep.swept]);
  const figures = sweep.columns.filter(name => !named.has(name) && rows.some(row => isNumber(row[name])));
  return {rows, axes, figures, strategies: [...new Set(rows.map(row => row.strategy))]};
}

// What a quantity in a text is, in units that can be compared; what is no quantity is not.
function quantityOf(value) {
  if (typeof value !== "string") return value;
  const parts = /^(-?[\d.]+(?:e[+-]?\d+)?)\s*([kKMGTPmun]?)(i?)(\S*)$/.exec(value);
  const factor = parts && {"": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, m: 1e-3, u: 1e-6, n: 1e-9}[parts[2]];
  return parts ? Number(parts[1]) * factor : value;
}
function valuesOf(rows, name) {
  const values = [...new Set(rows.map(row => row[name]))].filter(value => value !== null && value !== undefined);
  return values.sort((a, b) => compareValues(quantityOf(a), quantityOf(b)));
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
  const order = [...rows].sort((a, b) => (isBetterHigh(x) ? b[x] - a[x] : a[x] - b[x]) || (isBetterHigh(y) ? b[y] - a[y] : a[y] - b[y]));
  const front = [];
  for (const row of order) if (!front.length || isBetter(y, row[y], front[front.length - 1][y])) front.push(row);
  return front;
}

// A value of an axis as all of the page says it.
const valueText = value => typeof value === "number" ? number(value) : value === null || value === undefined ? none : String(value);
const placeText = (swept, row) => swept.axes.map(axis => `${axis.label} ${valueText(row[axis.name])}`).join(", ");
const pointText = (swept, row, ...figures) => [row.strategy, placeText(swept, row),
  ...figures.map(figure => `${label(figure)} ${show(figure, row[figure])}`), row.status === "played" ? "" : row.status].filter(line => line).join("\n");
