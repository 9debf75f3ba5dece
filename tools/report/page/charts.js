// ---- points and lines over two axes, drawn by uPlot ---------------------------------------------

const charts = [];  // of the page, in the order in which they were made
const reach = 24;   // pixels from which a point is still pointed at
const isWide = values => {
  const positive = values.filter(v => v > 0);
  return positive.length === values.length && values.length > 1 && Math.max(...positive) > 50 * Math.min(...positive);
};

// One value for each point, undefined where the point is of another series, and null where a line ends: what uPlot
// takes.
function aligned(points, seriesCount) {
  const data =
      [points.map(p => p.x), ...Array.from({length: seriesCount}, () => new Array(points.length).fill(undefined))];
  points.forEach((p, i) => {
    data[p.series + 1][i] = p.y;
  });
  return data;
}

// Joined series with the places of texts that they have no point at: a line does not cross these.
function gapsOf(points, series, places) {
  const known = new Set(points.map(p => `${p.series} ${p.x}`));
  return series.flatMap(
      (s, k) => s.isJoined ? places.filter(x => !known.has(`${k} ${x}`)).map(x => ({x, y: null, series: k})) : []);
}

// points: {x, y, series, text?, row?}; series: {name, color, isJoined?, hasPoints?, isHollow?}; x, y: names of
// the figures; xLabels: the texts of whole numbers, instead of figures; pick(point): one was chosen.
class Chart {
  constructor({name, height = 320, pick = null}) {
    Object.assign(this, {name, height, pick, points: [], series: [], hidden: new Set(), at: -1});
    this.legend = el("div", {class: "legend"});
    this.box = el("div", {class: "chart", tabindex: 0, role: "group", onkeydown: event => this.press(event)});
    this.tip = el("div", {class: "tip", hidden: true, role: "status"});
    this.box.append(this.tip);
    this.element = el("div", {}, this.legend, this.box, this.buttons());
    this.redraw = drawInto(this.box, width => this.draw(width));
    charts.push(this);
  }

  update({points, series, x, y, xLabels = null, log = false}) {
    Object.assign(this, {series, x, y, xLabels, log, at: -1});
    const drawn = points.filter(p => Number.isFinite(p.x) && Number.isFinite(p.y)), byPlace = (a, b) => a.x - b.x;
    this.points = drawn.sort(byPlace);
    this.drawn = xLabels ? [...drawn, ...gapsOf(drawn, series, xLabels.map((_, k) => k))].sort(byPlace) : drawn;
    this.box.setAttribute(
        "aria-label",
        `${this.name}: ${label(y)} against ${xLabels ? x : label(x)}, ${
            count(
                this.points.filter(p => p.text !== undefined)
                    .length)} points. Arrow keys go from point to point, Enter shows one, plus and minus zoom, 0 shows all.`);
    this.legend.replaceChildren(...series.map(
        (s, k) =>
            el("button", {
              type: "button",
              "aria-pressed": String(!this.hidden.has(s.name)),
              onclick: event => this.toggle(k, event.currentTarget)
            },
               swatch(s.color), s.name)));
    this.redraw();
  }

  buttons() {
    const button = (text, name, factor) => el(
        "button",
        {type: "button", "aria-label": `${name}: ${this.name}`, title: name, onclick: () => this.zoom(factor)}, text);
    return el(
        "div", {class: "controls"}, button("+", "zoom in", 0.6), button("−", "zoom out", 1 / 0.6),
        button("all", "show all", null), el("span", {}, "drag to zoom, double-click for all"));
  }

  toggle(k, button) {
    const {name} = this.series[k];
    if (!this.hidden.delete(name)) this.hidden.add(name);
    button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
    this.plot.setSeries(k + 1, {show: !this.hidden.has(name)});
    this.hide();
  }

  axis(figure, labels) {
    const look = {
      stroke: css("soft"),
      grid: {stroke: css("line"), width: 1},
      ticks: {stroke: css("line"), width: 1},
      font: "11px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      labelSize: 18
    };
    if (labels) {
      return {
        ...look,
        label: figure,
        splits: (u, axis, from, to) => labels.map((_, i) => i).filter(i => i >= from && i <= to),
        values: (u, splits) => splits.map(i => labels[i])
      };
    }
    const isLog = this.isLog(figure),
          most =
              figure === this.x ? Math.max(2, Math.floor(this.width / 130)) : Math.max(3, Math.floor(this.height / 60));
    let drawn = null;
    return {
      ...look,
      label: label(figure),
      size: 66,
      filter: (u, splits) => splits,
      values: (u, splits) => splits.map(drawn.text),
      splits: (u, axis, from, to) => {
        drawn = isLog ? logTicksOf(figure, from, to, most) : ticksOf(figure, from, to, most);
        return drawn.ticks;
      }
    };
  }

  isLog(figure) { return this.log && isWide(this.points.map(figure === this.x ? p => p.x : p => p.y)); }

  scale(figure, labels) {
    if (labels)
      return {
        time: false,
        range: (u, from, to) => from === null              ? [0, 1] :
            Number.isInteger(from) && Number.isInteger(to) ? [from - 0.3, to + 0.3] :
                                                             [from, to]
      };
    return this.isLog(figure) ? {time: false, distr: 3, range: (u, from, to) => this.logPadded(figure, from, to)} :
                                {time: false, range: (u, from, to) => this.padded(figure, from, to)};
  }

  // Room around all points, none around a part of them.
  isAll(figure, from, to) {
    const values = this.points.map(figure === this.x ? p => p.x : p => p.y)
                       .reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
    return from <= values[0] && to >= values[1];
  }
  logPadded(figure, from, to) {
    if (from === null) return [1, 10];
    const room = this.isAll(figure, from, to) ? (to / from) ** 0.04 : 1;
    return [from / room, to * room];
  }
  // From zero where it is near: as in the pictures for papers (tools/figures/axis.cc).
  padded(figure, from, to) {
    if (from === null) return [0, 1];
    if (from < to && !this.isAll(figure, from, to)) return [from, to];
    const length = to - from || Math.abs(to) || 1, room = 0.06 * length;
    return [from >= 0 && (from < room || from < length) ? 0 : from - room, to + room];
  }

  draw(width) {
    this.width = width;
    if (this.plot) this.plot.destroy();
    const line = s => ({
      label: s.name,
      stroke: css(s.color),
      width: s.isJoined ? 1.5 : 0,
      spanGaps: false,
      show: !this.hidden.has(s.name),
      ...(s.isJoined ? {} : {paths: () => null}),
      points: {
        show: s.hasPoints !== false,
        size: 7,
        width: 1,
        stroke: css(s.color),
        fill: s.isHollow ? "transparent" : css(s.color)
      }
    });
    const bottom = this.axis(this.x, this.xLabels);
    bottom.size = 32;
    this.plot = new uPlot(
        {
          width,
          height: this.height,
          legend: {show: false},
          scales: {x: this.scale(this.x, this.xLabels), y: this.scale(this.y)},
          axes: [bottom, this.axis(this.y)],
          series: [{}, ...this.series.map(line)],
          cursor: {x: false, y: false, points: {show: false}, drag: {x: true, y: true, dist: 6}},
          hooks: {
            draw: [() => {
              this.places = null;
            }]
          }
        },
        aligned(this.drawn, this.series.length), this.box);
    this.listen(this.plot.over);
    this.listenToTouch(this.plot.over);
  }

  listen(over) {
    this.ring = el("div", {class: "ring", hidden: true});
    over.append(this.ring);
    let down = null;
    over.addEventListener("mousemove", event => this.look(this.nearest(event)));
    over.addEventListener("mouseleave", () => this.hide());
    over.addEventListener("mousedown", event => {
      down = event;
    });
    over.addEventListener("click", event => {
      if (down && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > 5) return;
      this.look(this.nearest(event));
      this.choose();
    });
  }

  // uPlot hears mice alone. A finger that moves sideways chooses a part, one that moves up and down moves the page.
  listenToTouch(over) {
    let from = null;
    const place = event => event.clientX - over.getBoundingClientRect().left;
    const choose = to => this.plot.setSelect(
        {left: Math.min(from, to), width: Math.abs(to - from), top: 0, height: over.clientHeight}, false);
    over.addEventListener("pointerdown", event => {
      if (event.pointerType === "mouse" || !event.isPrimary) return;
      from = place(event);
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", event => {
      if (from !== null && event.isPrimary) choose(place(event));
    });
    over.addEventListener("pointercancel", () => {
      if (from !== null) choose(from);
      from = null;
    });
    over.addEventListener("pointerup", event => {
      if (from === null || !event.isPrimary) return;
      const [low, high] = [from, place(event)].sort((a, b) => a - b).map(x => this.plot.posToVal(x, "x")),
                  isFar = Math.abs(place(event) - from) > 10;
      choose(from);
      from = null;
      if (isFar) this.plot.setScale("x", {min: low, max: high});
    });
  }

  place(p) { return [this.plot.valToPos(p.x, "x"), this.plot.valToPos(p.y, "y")]; }
  isVisible(p) {
    const {x, y} = this.plot.scales;
    return !this.hidden.has(this.series[p.series].name) && p.text !== undefined && p.x >= x.min && p.x <= x.max &&
        p.y >= y.min && p.y <= y.max;
  }

  nearest(event) {
    const area = this.plot.over.getBoundingClientRect(), x = event.clientX - area.left, y = event.clientY - area.top;
    this.places ||= this.points.map((p, i) => this.isVisible(p) ? [i, ...this.place(p)] : null).filter(place => place);
    let best = -1, least = reach;
    for (const [i, px, py] of this.places) {
      const distance = Math.hypot(px - x, py - y);
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  look(at) {
    this.at = at;
    this.tip.hidden = this.ring.hidden = at < 0;
    if (at < 0) return;
    const p = this.points[at], [x, y] = this.place(p), {over} = this.plot;
    Object.assign(this.ring.style, {left: x + "px", top: y + "px"});
    this.tip.textContent = p.text;
    const left = over.offsetLeft + x + 14, top = over.offsetTop + y + 10;
    const isRight = left + this.tip.offsetWidth > this.box.clientWidth,
          isLow = top + this.tip.offsetHeight > this.height;
    Object.assign(this.tip.style, {
      left: Math.max(0, isRight ? left - 28 - this.tip.offsetWidth : left) + "px",
      top: Math.max(0, isLow ? top - 20 - this.tip.offsetHeight : top) + "px"
    });
  }
  hide() { this.look(-1); }
  choose() {
    if (this.at >= 0 && this.pick) this.pick(this.points[this.at]);
  }

  step(by) {
    for (let at = this.at < 0 && by < 0 ? this.points.length - 1 : this.at + by; at >= 0 && at < this.points.length;
         at += by)
      if (this.isVisible(this.points[at])) return this.look(at);
  }

  // By a factor, around the point that is looked at or the middle; null: all.
  zoom(factor) {
    if (factor === null) return this.redraw();
    const p = this.points[this.at];
    this.plot.batch(() => {
      for (const key of ["x", "y"]) {
        const {min, max, distr} = this.plot.scales[key];
        const to = distr === 3 ? Math.log : v => v, from = distr === 3 ? Math.exp : v => v;
        const middle = p ? to(p[key]) : (to(min) + to(max)) / 2;
        this.plot.setScale(
            key, {min: from(middle + (to(min) - middle) * factor), max: from(middle + (to(max) - middle) * factor)});
      }
    });
    this.hide();
  }

  press(event) {
    const actions = {
      ArrowRight: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      Enter: () => this.choose(),
      Escape: () => this.hide(),
      "+": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6),
      "0": () => this.zoom(null)
    };
    if (!actions[event.key] || !this.plot || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[event.key]();
  }
}
