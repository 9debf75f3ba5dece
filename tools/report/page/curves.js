// ---- figures over the time of a step -------------------------------------------------------------

// points: [time, a value of each series...], each until the next one; series: {name, color}; figure: the values'
// name; isStacked: areas on one another, or lines; lines: {value, text} across; marks: {time, value, text}.
class TimeCurves extends TimeCanvas {
  constructor(name, view, data) {
    super(name, view, data.text);
    this.legend = el("div");
    this.box.before(this.legend);
    this.update(data);
  }

  update(data) {
    Object.assign(this, {lines: [], marks: [], chosen: -1, ...data});
    const sums = this.points.map(
        ([, ...values]) => this.isStacked ? values.reduce((sum, v) => sum + v, 0) : Math.max(...values));
    this.top = Math.max(1e-30, ...sums, ...this.lines.map(line => line.value));
    this.legend.replaceChildren(legend(this.series.map(s => [s.name, s.color])));
    this.canvas.setAttribute("aria-label", `${this.name}: ${data.text}`);
    this.status.textContent = data.text;
    this.redraw();
  }

  wantedHeight() { return 150; }
  keys() { return "Left and right go from moment to moment"; }
  // What is said of lines and marks stands above, where nothing is drawn.
  heightOf(value) {
    return this.area.bottom - value / this.top * (this.area.bottom - (this.lines.length + this.marks.length ? 30 : 10));
  }
  // The last point that has begun.
  pointAt(time) {
    let low = 0, high = this.points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.points[middle][0] <= time)
        low = middle + 1;
      else
        high = middle;
    }
    return Math.max(0, low - 1);
  }

  step(by) {
    const from = this.chosen < 0 ? this.pointAt(this.view.from) - Math.sign(by) : this.chosen;
    return this.choose(from + by);
  }
  choose(k) {
    this.chosen = Math.min(this.points.length - 1, Math.max(0, k));
    const [time] = this.points[this.chosen];
    return [time, this.textOf(this.chosen, time)];
  }
  pick(x) { [this.at] = this.choose(this.pointAt(this.timeIn(x))); }

  drawContent(pen, colors) {
    const {left, width} = this.area;
    this.drawScale(pen, colors);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - left - 8, this.area.bottom);
    pen.clip();
    for (let k = this.pointAt(this.view.from); k < this.points.length && this.points[k][0] < this.view.to; ++k)
      this.drawPoint(pen, k, colors);
    if (this.chosen >= 0) {
      pen.fillStyle = colors.full ||= css("ink");
      pen.fillRect(this.placeOf(this.points[this.chosen][0]) - 0.5, 0, 1.5, this.area.bottom);
    }
    pen.restore();
    let from = left;
    for (const line of this.lines) from = this.drawLine(pen, line, from, colors);
    for (const mark of this.marks) from = this.drawMark(pen, mark, from, colors);
  }

  drawScale(pen, colors) {
    const {left, width} = this.area;
    const {ticks, text} = ticksOf(this.figure, 0, this.top, 5);
    for (const tick of ticks) {
      const y = this.heightOf(tick);
      pen.fillStyle = colors.line;
      pen.fillRect(left, y, width - left - 8, 1);
      pen.fillStyle = colors.ink;
      pen.textAlign = "right";
      pen.fillText(text(tick), left - 6, tick === 0 ? y - 1 : y + 4);
    }
    pen.textAlign = "left";
  }

  drawPoint(pen, k, colors) {
    const [time, ...values] = this.points[k],
                 end = k + 1 < this.points.length ? this.points[k + 1][0] : this.view.horizon;
    // Whole pixels: areas beside one another have no seam.
    const x = Math.round(this.placeOf(time)), right = Math.round(this.placeOf(end));
    let below = 0;
    values.forEach((value, s) => {
      pen.fillStyle = colors[this.series[s].color] ||= css(this.series[s].color);
      if (this.isStacked)
        pen.fillRect(
            x, this.heightOf(below + value), Math.max(0.5, right - x),
            this.heightOf(below) - this.heightOf(below + value));
      else
        pen.fillRect(x, this.heightOf(value) - 1, Math.max(0.5, right - x), 2);
      below += value;
      if (this.isStacked || k === 0) return;
      const before = this.heightOf(this.points[k - 1][s + 1]), now = this.heightOf(value);
      pen.fillRect(x - 0.5, Math.min(before, now), 1.5, Math.abs(before - now));
    });
  }

  // Both: what is said stands from a place on above the curves; they give the next one.
  drawLine(pen, {value, text}, from, colors) {
    const {left, width} = this.area;
    pen.strokeStyle = pen.fillStyle = colors.full ||= css("ink");
    pen.setLineDash([5, 4]);
    pen.beginPath();
    for (const [x0, x1, y] of [[left, width - 8, this.heightOf(value)], [from, from + 22, 8]]) {
      pen.moveTo(x0, y);
      pen.lineTo(x1, y);
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.fillText(text, from + 27, 12);
    return from + 27 + pen.measureText(text).width + 16;
  }

  drawMark(pen, {time, value, text}, from, colors) {
    const place = this.placeOf(time), long = pen.measureText(text).width,
          isSeen = time >= this.view.from && time <= this.view.to;
    const x = Math.min(Math.max(place - long / 2, from + 14), this.area.width - 8 - long);
    const triangle = (x, y) => {
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x - 5, y - 8);
      pen.lineTo(x + 5, y - 8);
      pen.fill();
    };
    pen.fillStyle = colors.path ||= css("path");
    triangle(x - 8, 12);
    if (isSeen) {
      triangle(place, this.heightOf(value));
      pen.fillRect(place - 0.5, this.heightOf(value), 1, this.area.bottom - this.heightOf(value));
    }
    pen.fillStyle = colors.full ||= css("ink");
    pen.fillText(text, x, 12);
    return x + long + 16;
  }

  timeIn(x) { return Math.min(this.view.to, Math.max(this.view.from, this.timeAt(x))); }
  told(x) {
    const time = this.timeIn(x);
    return this.textOf(this.pointAt(time), time);
  }
  textOf(k, time) {
    const [, ...values] = this.points[k];
    const parts = this.series.map((s, k) => [s.name, values[k]])
                      .filter(([, value]) => value > 0)
                      .map(([name, value]) => `${name} ${show(this.figure, value)}`);
    const sum = this.isStacked ? `${show(this.figure, values.reduce((a, b) => a + b, 0))}: ` : "";
    return `At ${seconds(time)}: ${sum}${parts.join(", ") || "nothing"}`;
  }
}

// ---- memory of ranks -----------------------------------------------------------------------------

const bufferNames = {
  value: "values between blocks",
  gradient: "their gradients",
  saved: "saved for backward",
  kept: "kept for weight gradients",
  deferred: "deferred gradients",
  gathered: "gathered parameters",
  unreduced: "gradients to be reduced"
};
const bufferName = kind => bufferNames[kind] || words(kind);

function curveData(curve) {
  const {peak} = curve,
        used = curve.kinds.map((kind, k) => k).filter(k => curve.points.some(point => point[k + 1] > 0));
  return {
    figure: "memory_bytes",
    isStacked: true,
    series: used.map(k => ({name: bufferName(curve.kinds[k]), color: curve.kinds[k]})),
    points: curve.points.map(point => [point[0], ...used.map(k => point[k + 1])]),
    lines: [{value: curve.arena_bytes, text: `arena as laid out: ${bytes(curve.arena_bytes)}`}],
    marks: [{time: peak.time_s, value: peak.size_bytes, text: `most alive: ${bytes(peak.size_bytes)}`}],
    text: `Most alive on rank ${curve.rank}: ${bytes(peak.size_bytes)} at ${seconds(peak.time_s)}${
        peak.op ? `, ${peak.op}` : ""}`
  };
}
const peakColumns = () =>
    [column("kind", {label: "alive at the peak", isText: true, shown: bufferName}), column("buffers"),
     column("size_bytes", {label: "size"}),
     {name: "share", label: "share", value: row => row.share, shown: v => percent(v)}];
const peakRows = curve =>
    curve.peak.alive.map(row => ({...row, share: curve.peak.size_bytes ? row.size_bytes / curve.peak.size_bytes : 0}));
const curveColumns = curve =>
    [column("time_s", {label: "time", value: point => point[0]}),
     ...curve.kinds.map((kind, k) => ({name: `${kind}_bytes`, label: bufferName(kind), value: point => point[k + 1]}))];
const ranksOfCurve = curve =>
    `rank ${curve.rank}${curve.ranks_alike > 1 ? `, and ${count(curve.ranks_alike - 1)} that run the same` : ""}`;

function memoryOverTime(name, s, view) {
  const curves = (s.pictures && s.pictures.memory_curves) || [];
  if (!curves.length) return null;
  const picture = new TimeCurves(`${name}: memory over the step`, view, curveData(curves[0]));
  const peak = new Table({name: `${name} alive at the peak`, rows: peakRows(curves[0]), columns: peakColumns()});
  const points =
      new Table({name: `${name} memory over time`, rows: curves[0].points, columns: curveColumns(curves[0])});
  const told = el("p", {class: "note"});
  const tell = curve => {
    told.textContent =
        `${
            ranksOfCurve(
                curve)}: bytes alive in the arena, from the start of the op that allocates to the end of the one that frees. Run one after the other, its ops would need ${
            bytes(s.ranks[curve.rank].arena_live_bytes)} at most. ` +
        `Beside the arena it has ${bytes(curve.beside_bytes)} at its peak.` +
        (curve.moments > curve.points.length ?
             ` Of ${count(curve.moments)} moments ${
                 count(curve.points.length)} are drawn: of each part of the step the highest.` :
             "");
  };
  const changed = k => {
    picture.update(curveData(curves[k]));
    peak.update(peakRows(curves[k]));
    points.update(curves[k].points, curveColumns(curves[k]));
    tell(curves[k]);
  };
  tell(curves[0]);
  return el(
      "div", {class: "panel"},
      curves.length > 1 ? el("div", {class: "controls"},
                             choice("Ranks ", curves.map((curve, k) => [k, ranksOfCurve(curve)]), 0, changed)) :
                          null,
      picture.element, told, peak.element,
      el("details", {}, el("summary", {}, "The curve as a table"), points.element));
}

// ---- links over time -----------------------------------------------------------------------------

// Curves that nowhere differ by more than can be seen are one, or they would hide one another; the pictures for papers
// do the same (tools/figures/links_figure.cc).
function alikeCurves(curves) {
  const groups = [];
  for (const curve of curves) {
    const same =
        groups.find(group => group.utilisation.every((share, p) => Math.abs(share - curve.utilisation[p]) <= 0.005));
    if (same)
      same.names.push(curve.name);
    else
      groups.push({names: [curve.name], utilisation: curve.utilisation});
  }
  return groups.map(({names, utilisation}) => ({
                      name: names.length > 2 ? `${names[0]} and ${count(names.length - 1)} alike` : names.join(" and "),
                      utilisation
                    }));
}

function linksOverTime(name, s, view) {
  const curves = (s.pictures && s.pictures.links_over_time) || [];
  if (!curves.length) return null;
  const drawn = alikeCurves(curves);
  const parts = curves[0].utilisation.length, end = s.timeline.reduce((most, t) => Math.max(most, t[5]), 0);
  const pointsOf = of =>
            Array.from({length: parts}, (_, p) => [p / parts * end, ...of.map(curve => curve.utilisation[p])]),
        points = pointsOf(curves);
  const most = Math.max(...curves.map(curve => Math.max(...curve.utilisation)));
  const picture = new TimeCurves(`${name}: the busiest links over the step`, view, {
    figure: "utilisation",
    isStacked: false,
    series: drawn.map((curve, k) => ({name: curve.name, color: seriesColor(k)})),
    points: pointsOf(drawn),
    text: `${curves.length === 1 ? "The busiest link" : `The ${curves.length} busiest links`}, means over 1/${
        parts} of the step; ${percent(most)} at most`
  });
  return el(
      "div", {class: "panel"}, picture.element,
      note(
          "Bytes that the simulation has on the link in each part of the step, of what it could carry in it." +
          (most > 1.00005 ?
               " Collectives are played by their price alone here and do not make room for one another: more than 100 % is more than the link carries." :
               "")),
      el("details", {}, el("summary", {}, "The curves as a table"), table({
           name: `${name} busiest links over time`,
           rows: points,
           columns: [
             column("time_s", {label: "from", value: point => point[0]}),
             ...curves.map(
                 (curve, k) =>
                     ({name: curve.name, label: curve.name, value: point => point[k + 1], shown: v => percent(v)}))
           ]
         })));
}
