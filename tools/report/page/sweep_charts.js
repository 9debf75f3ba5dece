// ---- pictures of a sweep: each has choices of its own, and is updated with the rows to show --------

const seriesOf = swept => swept.strategies.map((name, k) => ({name, color: seriesColor(k)}));
const figureChoices = swept => swept.figures.map(name => [name, label(name)]);
const axisChoices = swept => swept.axes.map(axis => [axis.name, axis.label]);
const known = (wanted, names) => wanted.find(name => names.includes(name)) || names[0];
const panel = (title, controls, ...children) =>
    el("section", {class: "panel"}, el("h3", {}, title), el("div", {class: "controls"}, controls), ...children);

// Every row by two figures, and those that no other beats.
class Pareto {
  constructor(swept, pick) {
    // A cheaper step is no cheaper run.
    const isRunOther = swept.rows.some(row => row.run_samples_per_s !== row.samples_per_s);
    Object.assign(this, {
      swept,
      x: known([isRunOther ? "run_samples_per_s" : "step_time_s", "step_time_s"], swept.figures),
      y: known([swept.memory, "samples_per_s"], swept.figures),
      log: true
    });
    this.chart = new Chart({name: "Pareto plot", height: 380, pick: point => pick(point.row)});
    this.told = el("p", {class: "note"});
    const set = key => value => {
      this[key] = value;
      this.update(this.rows);
    };
    this.element = panel(
        "All points",
        [
          choice("across ", figureChoices(swept), this.x, set("x")),
          choice("up ", figureChoices(swept), this.y, set("y")),
          tick("logarithmic where it spans much", true, set("log"))
        ],
        this.chart.element, this.told);
  }
  update(rows, scope = this.scope) {
    Object.assign(this, {rows, scope});
    const {x, y, swept} = this, drawn = rows.filter(row => isNumber(row[x]) && isNumber(row[y]));
    const front = frontOf(drawn.filter(row => row.status === "played"), x, y);
    const series = [...seriesOf(swept), {name: "not beaten in both", color: "soft", isJoined: true, hasPoints: false}],
          frontSeries = swept.strategies.length;
    if (drawn.some(row => row.status !== "played")) series.push({name: "does not fit", color: "soft", isHollow: true});
    const ofRow = row => row.status === "played" ? swept.strategies.indexOf(row.strategy) : frontSeries + 1;
    const points =
        drawn.map(row => ({x: row[x], y: row[y], series: ofRow(row), text: pointText(swept, row, x, y), row}));
    this.chart.update({
      points: [...points, ...front.map(row => ({x: row[x], y: row[y], series: frontSeries}))],
      series,
      x,
      y,
      log: this.log
    });
    this.told.textContent =
        `${count(drawn.length)} rows; ${count(front.length)} of those that fit are beaten by no other in both figures.${
            swept.hasAll || (scope.axes === 0 && y === swept.memory && ["step_time_s", rankedBy].includes(x)) ?
                "" :
                " Of the rows on this page alone, which has not all."} Click a point for its details.`;
  }
}

// A figure over one axis: of each strategy the best of all rows with that value.
class Scaling {
  constructor(swept, pick) {
    Object.assign(this, {
      swept,
      axis: swept.axes[0].name,
      figure: known(["run_samples_per_s", "samples_per_s", "step_time_s"], swept.figures)
    });
    this.chart = new Chart({name: "Scaling", pick: point => pick(point.row)});
    const set = key => value => {
      this[key] = value;
      this.update(this.rows);
    };
    this.told = el("p", {class: "note"});
    this.element = panel(
        "Along one axis",
        [
          choice("", figureChoices(swept), this.figure, set("figure")),
          choice("over ", axisChoices(swept), this.axis, set("axis"))
        ],
        this.chart.element, this.told);
  }
  update(rows, scope = this.scope) {
    Object.assign(this, {rows, scope});
    const {swept, figure} = this, axis = swept.axes.find(a => a.name === this.axis);
    const best = bestBy(
        rows.filter(row => row.status === "played"), figure, row => JSON.stringify([row.strategy, row[axis.name]]));
    const points = [...best.values()]
                       .map(row => ({
                              x: axis.place(row),
                              y: row[figure],
                              series: swept.strategies.indexOf(row.strategy),
                              text: pointText(swept, row, figure),
                              row
                            }))
                       .filter(p => p.x !== null);
    this.told.textContent =
        (swept.axes.length > 1 ? "Of each strategy the best of the rows with that value, of those that fit." :
                                 "Of those that fit.") +
        " Lines end where nothing fits." + scope.notes(figure, 1);
    this.chart.update({
      points,
      series: seriesOf(swept).map(s => ({...s, isJoined: true})),
      x: axis.label,
      y: figure,
      xLabels: axis.values.map(valueText)
    });
  }
}

// Two axes: the fastest strategy, or a figure of the best row.
class Heat {
  static mostCells = 5000;

  constructor(swept, pick) {
    Object.assign(this, {
      swept,
      pick,
      down: swept.axes[0].name,
      across: swept.axes[1].name,
      figure: known(["run_samples_per_s", "samples_per_s", "step_time_s"], swept.figures),
      byStrategy: true
    });
    this.table = el("table", {class: "heat", onkeydown: event => this.press(event)});
    this.legend = el("div");
    this.told = el("p", {class: "note"});
    const set = key => value => {
      this[key] = value;
      this.update(this.rows);
    };
    this.element = panel(
        "Over two axes",
        [
          choice("best ", figureChoices(swept), this.figure, set("figure")),
          choice("down ", axisChoices(swept), this.down, set("down")),
          choice("across ", axisChoices(swept), this.across, set("across")),
          tick("coloured by strategy", true, set("byStrategy"))
        ],
        this.legend, el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "heat map"}, this.table),
        el("div", {class: "controls"},
           el("button", {
             type: "button",
             "aria-label": "CSV of heat map",
             onclick: () => download("heat_map.csv", csvOf(this.columns(), this.best))
           },
              "CSV")),
        this.told);
  }
  columns() { return [...new Set([this.down, this.across, "strategy", this.figure])].map(name => column(name)); }
  press(event) {
    const [down, right] = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[event.key] ||
        [],
                 cell = event.target.closest("td");
    if (down === undefined || !cell || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    // Past cells where nothing fits.
    const {rows} = this.table.tBodies[0];
    let y = cell.parentNode.sectionRowIndex + down, x = cell.cellIndex + right;
    for (; rows[y] && rows[y].cells[x]; y += down, x += right) {
      const button = rows[y].cells[x].querySelector("button:not([disabled])");
      if (button) return button.focus();
    }
  }
  update(rows, scope = this.scope) {
    Object.assign(this, {rows, scope});
    const {swept, figure} = this,
                  [down, across] = [this.down, this.across].map(name => swept.axes.find(a => a.name === name)),
                  cells = down.values.length * across.values.length;
    if (cells > Heat.mostCells)
      return this.table.replaceChildren(
          el("caption", {},
             `${count(cells)} pairs of values are more than a table has room for (${
                 count(Heat.mostCells)}): choose other axes.`));
    const key = (y, x) => JSON.stringify([y, x]);
    const best =
        bestBy(rows.filter(row => row.status === "played"), figure, row => key(row[down.name], row[across.name]));
    this.best = [...best.values()];
    this.told.textContent =
        `The best row that fits of those with both values; arrow keys go from cell to cell, Enter or a click shows a row's details.${
            scope.notes(figure, 2)}`;
    const nobody = scope.knowsBest(figure, 2) ? "no row fits" : "no row on this page";
    const values = this.best.map(row => row[figure]), least = Math.min(...values), most = Math.max(...values);
    const cell = row => {
      if (!row)
        return el("td", {}, el("button", {type: "button", disabled: true, "aria-label": nobody, title: nobody}, none));
      const share = most > least ? (row[figure] - least) / (most - least) : 1,
            color = this.byStrategy ? seriesColor(swept.strategies.indexOf(row.strategy)) : "accent";
      return el(
          "td", {
            "data-value": row[figure],
            style: {background: `color-mix(in srgb, var(--${color}) ${Math.round(12 + 55 * share)}%, var(--paper))`}
          },
          el("button", {type: "button", title: pointText(swept, row, figure), onclick: () => this.pick(row)},
             show(figure, row[figure]), el("br"), row.strategy));
    };
    this.table.setAttribute("aria-label", `best ${label(figure)}: ${down.label} down, ${across.label} across`);
    this.table.replaceChildren(
        el("thead", {},
           el("tr", {}, el("th", {scope: "col"}, `${down.label} \\ ${across.label}`),
              across.values.map(x => el("th", {scope: "col"}, valueText(x))))),
        el("tbody", {},
           down.values.map(
               y =>
                   el("tr", {}, el("th", {scope: "row"}, valueText(y)),
                      across.values.map(x => cell(best.get(key(y, x))))))));
    this.legend.replaceChildren(...(this.byStrategy ? [legend(seriesOf(swept).map(s => [s.name, s.color]))] : []));
  }
}
