// ---- timelines: ops of ranks and lanes, on a canvas that shows a part of the rows and of the step --

const laneOrder = ["compute", "receive_forward", "send_forward", "receive_backward", "send_backward", "tensor", "gather", "collective"];
const rowHeight = 16, axisHeight = 22;

function rowsOf(s) {
  const rows = new Map();
  for (const [rank, lane, kind, text, start, end] of s.timeline) {
    const key = rank + " " + lane;
    if (!rows.has(key)) rows.set(key, {rank, lane, spans: []});
    rows.get(key).spans.push({kind, text, start, end});
  }
  const all = [...rows.values()].sort((a, b) => a.rank - b.rank || laneOrder.indexOf(a.lane) - laneOrder.indexOf(b.lane));
  for (const row of all) row.spans.sort((a, b) => a.start - b.start);
  return all;
}

// The first of sorted spans that ends behind a time; spans of a lane do not overlap.
function firstAfter(spans, time) {
  let low = 0, high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].end <= time) low = middle + 1; else high = middle;
  }
  return low;
}

// The part of the step that is looked at, by all timelines of a strategy.
class View {
  constructor(horizon) { Object.assign(this, {horizon, from: 0, to: horizon, timelines: []}); }
  set(from, to) {
    const length = Math.min(this.horizon, Math.max(1e-12, to - from));
    this.from = Math.min(Math.max(0, from), this.horizon - length);
    this.to = this.from + length;
    for (const timeline of this.timelines) timeline.redraw();
  }
  zoom(factor, at = (this.from + this.to) / 2) { this.set(at + (this.from - at) * factor, at + (this.to - at) * factor); }
  move(share) { const by = share * (this.to - this.from); this.set(this.from + by, this.to + by); }
  all() { this.set(0, this.horizon); }
  press(key) {
    const actions = {ArrowRight: () => this.move(0.2), ArrowLeft: () => this.move(-0.2), "+": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6), "0": () => this.all()};
    if (actions[key]) actions[key]();
    return key in actions;
  }
  buttons() {
    const button = (text, name, key) => el("button", {type: "button", "aria-label": name, title: name, onclick: () => this.press(key)}, text);
    return el("div", {class: "controls"}, button("+", "zoom in", "+"), button("−", "zoom out", "-"), button("←", "earlier", "ArrowLeft"), button("→", "later", "ArrowRight"), button("whole step", "whole step", "0"),
      el("span", {}, "drag to zoom, click an op for its times"));
  }
}

class Timeline {
  constructor(name, s, view) {
    Object.assign(this, {name, view, rows: rowsOf(s), drag: null});
    this.canvas = el("canvas", {role: "img", "aria-label": `${name}: ${count(s.timeline.length)} ops in ${this.rows.length} lanes of ${s.ranks.length} ranks`});
    this.spacer = el("div", {});
    this.box = el("div", {class: "timeline", tabindex: 0, role: "group", "aria-label": `${name}. Arrow keys move, plus and minus zoom, 0 shows the whole step.`,
      onscroll: () => this.redraw(), onkeydown: event => { if (!event.ctrlKey && !event.metaKey && this.view.press(event.key)) event.preventDefault(); }}, this.canvas, this.spacer);
    this.status = el("div", {class: "status", role: "status"});
    this.element = el("div", {}, el("h3", {}, name), this.box, this.status);
    this.redraw = drawInto(this.box, width => this.draw(width));
    view.timelines.push(this);
    this.listen();
  }

  draw(width) {
    const wanted = this.rows.length * rowHeight + axisHeight, height = Math.min(wanted, Math.max(160, Math.round(0.7 * innerHeight) - 4));
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    Object.assign(this.canvas.style, {width: width + "px", height: height + "px"});
    this.spacer.style.height = wanted - height + "px";
    const area = {left: width < 560 ? 84 : 150, width, height, bottom: height - axisHeight};
    area.scale = (area.width - area.left - 8) / (this.view.to - this.view.from);
    this.area = area;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "11px system-ui, sans-serif";
    const colors = {ink: css("soft"), line: css("line")}, first = Math.floor(this.box.scrollTop / rowHeight);
    for (let i = first; i < this.rows.length && (i - first) * rowHeight < area.bottom + rowHeight; ++i)
      this.drawRow(pen, this.rows[i], i * rowHeight - this.box.scrollTop, i, colors);
    this.drawAxis(pen, colors);
    if (!this.drag) return;
    pen.fillStyle = "rgba(120, 150, 200, 0.25)";
    pen.fillRect(Math.min(this.drag.from, this.drag.to), 0, Math.abs(this.drag.to - this.drag.from), area.bottom);
  }

  drawRow(pen, row, y, i, colors) {
    const {left, width, scale} = this.area, {from, to} = this.view, isFirst = i === 0 || this.rows[i - 1].rank !== row.rank;
    pen.fillStyle = colors.line;
    if (isFirst && i > 0) pen.fillRect(0, y, width, 1);
    pen.fillStyle = colors.ink;
    const isNarrow = left < 100;
    if (isFirst) pen.fillText(isNarrow ? `${row.rank}` : `rank ${row.rank}`, 0, y + 12);
    pen.fillText(words(row.lane).replace("receive", isNarrow ? "recv" : "receive").replace("backward", isNarrow ? "bwd" : "backward").replace("forward", isNarrow ? "fwd" : "forward").slice(0, 18), isNarrow ? 18 : 50, y + 12);
    let drawn = left;  // what is behind this pixel is not seen again
    for (let k = firstAfter(row.spans, from); k < row.spans.length && row.spans[k].start < to; ++k) {
      const span = row.spans[k], begin = Math.max(left, left + (span.start - from) * scale), end = Math.min(width - 8, left + (span.end - from) * scale);
      if (end < drawn) continue;
      pen.fillStyle = colors[span.kind] ||= css(span.kind) || colors.ink;
      const gap = end - begin > 3 ? 0.6 : 0, right = Math.max(end - gap, begin + 0.5);
      pen.fillRect(begin, y + 2, right - begin, rowHeight - 4);
      drawn = Math.floor(2 * right) / 2;
    }
  }

  drawAxis(pen, colors) {
    const {left, width, height, bottom} = this.area, {from, to} = this.view;
    pen.fillStyle = css("panel");
    pen.fillRect(0, bottom, width, height - bottom);
    pen.fillStyle = colors.ink;
    const ticks = width < 560 ? 2 : 4;
    for (let k = 0; k <= ticks; ++k) {
      pen.textAlign = k === 0 ? "left" : k === ticks ? "right" : "center";
      pen.fillText(seconds(from + k / ticks * (to - from)), left + k / ticks * (width - left - 8), bottom + 15);
    }
    pen.textAlign = "left";
  }

  timeAt(x) { return this.view.from + (x - this.area.left) / this.area.scale; }
  spanAt(x, y) {
    const row = this.rows[Math.floor((y + this.box.scrollTop) / rowHeight)], near = 2 / this.area.scale;
    if (!row || y > this.area.bottom || x < this.area.left) return null;
    const time = this.timeAt(x), span = row.spans[firstAfter(row.spans, time - near)];
    return span && span.start <= time + near ? {...span, row} : null;
  }
  tell(x, y) {
    const span = this.spanAt(x, y);
    if (span) this.status.textContent = `${span.text} (${words(span.kind)}), rank ${span.row.rank}, ${words(span.row.lane)}: ${seconds(span.end - span.start)}, from ${seconds(span.start)} to ${seconds(span.end)}`;
  }

  listen() {
    const place = event => { const area = this.canvas.getBoundingClientRect(); return [event.clientX - area.left, event.clientY - area.top]; };
    this.canvas.addEventListener("pointerdown", event => {
      const [x] = place(event);
      this.drag = {from: x, to: x};
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", event => {
      const [x, y] = place(event);
      if (!this.drag) return event.pointerType === "mouse" && this.tell(x, y);
      this.drag.to = Math.max(this.area.left, x);
      this.redraw();
    });
    this.canvas.addEventListener("pointerup", event => {
      const {drag} = this, [x, y] = place(event);
      this.drag = null;
      if (!drag || Math.abs(drag.to - drag.from) < 6) { this.tell(x, y); return this.redraw(); }
      const times = [this.timeAt(drag.from), this.timeAt(drag.to)].sort((a, b) => a - b);
      this.view.set(...times);
    });
    this.canvas.addEventListener("pointercancel", () => { this.drag = null; this.redraw(); });
    this.canvas.addEventListener("dblclick", () => this.view.all());
    this.canvas.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.view.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(place(event)[0]));
    }, {passive: false});
  }
}
