// ---- a sweep: filters, pictures, table, what was refused ----------------------------------------

// What is told of one row.
class Details {
  constructor() {
    this.element = el("section", {class: "details", hidden: true, tabindex: -1, "aria-label": "details of a point"});
  }
  show(sweep, swept, row) {
    const fact = (name, text) => el("div", {}, el("dt", {}, name), el("dd", {"data-column": name}, text));
    const figures = sweep.columns.filter(
        name => !["scenario", "file", "point", "strategy", "status", "reason", "scenario_hash", "plan_hash"].includes(
                    name) &&
            !sweep.swept.includes(name) && row[name] !== null);
    const from = document.activeElement, close = () => {
      this.element.hidden = true;
      from.focus({preventScroll: true});
    };
    const pools = figures.filter(name => name.startsWith("pool_bytes.") && row[name])
                      .map(name => name.slice("pool_bytes.".length));
    this.element.replaceChildren(
        el("h3", {}, `${row.strategy}: ${placeText(swept, row)}`),
        el("button", {type: "button", class: "close", onclick: close}, "close"),
        row.reason ? el("p", {}, `${row.status}: ${row.reason}`) : "",
        isNumber(row.compute_s) ? stackedBars(
                                      "step time", timeParts, "step_time_s",
                                      [{name: "step", values: timesOf(row), text: seconds(row.step_time_s)}]) :
                                  "",
        pools.length ?
            memoryBars(
                pools,
                [{name: "memory", values: pools.map(pool => row[`pool_bytes.${pool}`]), peak: row.peak_memory_bytes}]) :
            "",
        el("dl", {}, figures.map(name => fact(label(name), show(name, row[name])))),
        note(`From ${row.file}, point ${row.point}: scenario ${row.scenario_hash}${
            row.plan_hash ? `, plan ${row.plan_hash}` :
                            ""}, by method ${sweep.method} of rehearse ${sweep.tool_version}.`));
    this.element.onkeydown = event => {
      if (event.key === "Escape") close();
    };
    this.element.hidden = false;
    this.element.focus({preventScroll: true});
  }
}

// A choice for every axis, the strategy and the status, and the most memory there may be; changed(rows that meet all,
// what is chosen).
function filters(swept, changed) {
  const chosen = new Map(), {memory} = swept;
  let most = Infinity;
  const parts = [
    {name: "strategy", label: "strategy", values: swept.strategies}, ...swept.axes,
    {name: "status", label: "status", values: valuesOf(swept.rows, "status")}
  ].filter(part => part.values.length > 1);
  const scope = () => new Scope(swept, {
    axes: swept.axes.filter(axis => chosen.has(axis.name)).length,
    strategy: chosen.has("strategy"),
    status: chosen.get("status") ?? null,
    hasLimit: most !== Infinity
  });
  const apply = () => changed(
      swept.rows.filter(
          row => [...chosen].every(([name, value]) => row[name] === value) &&
              (most === Infinity || (isNumber(row[memory]) && row[memory] <= most))),
      scope());
  const choose = name => value => {
    if (value === null)
      chosen.delete(name);
    else
      chosen.set(name, value);
    apply();
  };
  const limit = el("input", {
    type: "number",
    min: 0,
    step: "any",
    size: 6,
    style: {width: "90px"},
    oninput: () => {
      most = limit.value === "" ? Infinity : Number(limit.value) * 2 ** 30;
      apply();
    }
  });
  return el(
      "div", {class: "controls", role: "group", "aria-label": "rows to show"}, "Show",
      parts.map(
          part => choice(
              `${part.label} `, [[null, "all"], ...part.values.map(v => [v, valueText(v)])], null, choose(part.name))),
      swept.figures.includes(memory) ?
          el("label", {}, isPeak(memory) ? "peak memory at most" : "memory, at least, of at most", limit, "GiB") :
          null);
}

class SweepTable {
  static figures = [
    "step_time_s", "run_samples_per_s", "peak_memory_bytes", "least_memory_bytes", "exposed_comm_s", "idle_s",
    "bubble_fraction", "bytes_sent"
  ];

  constructor(sweep, swept, pick) {
    const axes = swept.axes.map(axis => ({
                                  name: axis.name,
                                  label: axis.label,
                                  isText: typeof axis.values[0] === "string",
                                  value: row => row[axis.name] ?? null,
                                  order: axis.place
                                }));
    const texts = ["strategy", "status"].map(name => column(name, {isText: true}));
    const figures = names =>
        names
            .filter(name => swept.figures.includes(name))
            .map(name => column(name, {title: name}));
    const few = [...axes, ...texts, ...figures(SweepTable.figures)];
    const all = [
      ...["scenario", "file", "point"].map(name => column(name, {isText: name !== "point"})), ...axes, ...texts,
      column("reason", {isText: true, isWide: true}), ...figures(swept.figures),
      ...["plan_hash", "scenario_hash"].map(name => column(name, {isText: true}))
    ];
    this.table = new Table({name: "rows of the sweep", columns: few, rows: swept.rows, pick});
    this.element =
        el("section", {}, el("h2", {}, "Rows"),
           el("div", {class: "controls"},
              tick("all columns", false, on => this.table.update(this.table.rows, on ? all : few))),
           this.table.element);
  }
  update(rows) { this.table.update(rows); }
}

function reasonsSection(sweep) {
  if (!sweep.reasons.length) return null;
  return el("section", {}, el("h2", {}, "Why rows were refused, or do not fit"), table({
              name: "reasons",
              rows: [...sweep.reasons].sort((a, b) => b.rows - a.rows),
              columns: [
                column("rows"), column("status", {isText: true}), column("reason", {isText: true, isWide: true}),
                column("example", {isText: true, isWide: true})
              ]
            }));
}

function sweepFacts(sweep) {
  const {statuses} = sweep, say = {
    played: n => n === 1 ? "fits" : "fit",
    "does not fit": n => n === 1 ? "does not fit" : "do not fit",
    refused: n => n === 1 ? "is refused" : "are refused"
  };
  const told = Object.entries(statuses).map(([status, rows]) => `${count(rows)} ${say[status](rows)}`).join(", ");
  const isPart = sweep.rows_played < sweep.rows_of_sweep;
  return [
    note(`${count(sweep.rows_played)} rows${isPart ? ` of ${count(sweep.rows_of_sweep)} so far` : ""}${
        sweep.shard === "1/1" ? "" : `, shard ${sweep.shard}`}: ${told}. Method ${sweep.method}, rehearse ${
        sweep.tool_version}; files: ${sweep.files.map(f => f.file).join(", ")}.`),
    sweep.has_all_rows ?
        null :
        note(`These are more than a page has room for. It shows ${
            count(
                sweep.rows
                    .length)}: of each strategy those that fit and that no other row beats in both memory and time or samples per second, and for every swept value and every two of them the one with the most samples per second. results.csv has all.`)
  ];
}

function sweepSections(sweep) {
  const swept = sweptOf(sweep), details = new Details(), pick = row => details.show(sweep, swept, row);
  const views = [];
  let conclusions = null;
  if (swept.figures.length) {
    conclusions = new SweepConclusions(swept, pick);
    views.push(new Pareto(swept, pick));
    if (swept.axes.length > 0) views.push(new Scaling(swept, pick));
    if (swept.axes.length > 1) views.push(new Heat(swept, pick));
  }
  views.push(new SweepTable(sweep, swept, pick));
  const [rows] = views.slice(-1), pictures = views.slice(0, -1);
  const update = (shown, scope) => [conclusions, ...views].forEach(view => view && view.update(shown, scope));
  update(swept.rows, new Scope(swept));
  return [
    sweepFacts(sweep), filters(swept, update), conclusions && conclusions.element,
    pictures.length ? el("h2", {}, "Pictures") : null, pictures.map(view => view.element), rows.element,
    reasonsSection(sweep), sweepProvenance(sweep), details.element
  ];
}
