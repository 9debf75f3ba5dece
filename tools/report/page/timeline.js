// ---- timelines: ops of ranks and lanes, on a canvas that shows a part of the rows and of the step --

const laneOrder = [
  "compute", "receive_forward", "send_forward", "receive_backward", "send_backward", "tensor", "gather", "collective"
];
const rowHeight = 16;

function rowsOf(s) {
  const rows = new Map();
  s.timeline.forEach(([rank, lane, kind, text, start, end], number) => {
    const key = rank + " " + lane;
    if (!rows.has(key)) rows.set(key, {rank, lane, spans: [], path: []});
    rows.get(key).spans.push({kind, text, start, end, number});
  });
  const all =
      [...rows.values()].sort((a, b) => a.rank - b.rank || laneOrder.indexOf(a.lane) - laneOrder.indexOf(b.lane));
  for (const row of all) row.spans.sort((a, b) => a.start - b.start);
  return all;
}

// The first of sorted spans that ends behind a time; spans of a lane do not overlap.
function firstAfter(spans, time) {
  let low = 0, high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].end <= time)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const pathOf = s => s.pictures && s.pictures.critical_path;
// Parts of the critical path in the rows of their ops; waits in the first row of their rank.
function markPath(rows, s) {
  const path = pathOf(s);
  if (!path) return;
  const byLane = new Map(rows.map(row => [row.rank + " " + row.lane, row])),
        byRank = new Map([...rows].reverse().map(row => [row.rank, row]));
  for (const [rank, span, start, end] of path.parts) {
    const row = span === null ? byRank.get(rank) : byLane.get(rank + " " + s.timeline[span][1]);
    if (row) row.path.push({span, start, end, isWait: span === null});
  }
}

class Timeline extends TimeCanvas {
  constructor(name, s, view) {
    const rows = rowsOf(s);
    super(name, view, `${count(s.timeline.length)} ops in ${rows.length} lanes of ${s.ranks.length} ranks`);
    Object.assign(this, {rows, showsPath: true, chosen: null, stepTime: s.step_time_s});
    const last = s.timeline.reduce((end, span) => Math.max(end, span[5]), 0);
    if (last > 1.001 * s.step_time_s)
      this.element.append(note(`The dashed line: a step takes ${
          seconds(s.step_time_s)}. The last op of this one ends at ${seconds(last)}, when the next step has begun.`));
    else
      this.element.append(note(`The dashed line: a step takes ${seconds(s.step_time_s)}.`));
    markPath(rows, s);
    view.timelines.push(this);
  }

  wantedHeight() { return this.rows.length * rowHeight; }
  keys() { return "Left and right go from op to op, up and down from lane to lane"; }
  // To another op of the lane, or to the op of another lane that is nearest in time.
  step(by, lanes) {
    const {chosen, rows} = this;
    if (!chosen) return this.choose(0, firstAfter(rows[0].spans, this.view.from));
    if (!lanes) return this.choose(chosen.row, chosen.span + by);
    const row = Math.min(rows.length - 1, Math.max(0, chosen.row + lanes)),
          at = rows[chosen.row].spans[chosen.span].start;
    return this.choose(row, firstAfter(rows[row].spans, at));
  }
  choose(row, span) {
    const {spans} = this.rows[row], at = Math.min(spans.length - 1, Math.max(0, span));
    this.chosen = {row, span: at};
    const top = row * rowHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    if (top + rowHeight > this.box.scrollTop + this.area.bottom)
      this.box.scrollTop = top + rowHeight - this.area.bottom;
    const {start, end} = spans[at];
    return [(start + end) / 2, this.textOf({...spans[at], row: this.rows[row]})];
  }

  drawContent(pen, colors) {
    const first = Math.floor(this.box.scrollTop / rowHeight);
    for (let i = first; i < this.rows.length && (i - first) * rowHeight < this.area.bottom + rowHeight; ++i)
      this.drawRow(pen, this.rows[i], i * rowHeight - this.box.scrollTop, i, colors);
    this.drawStep(pen, colors);
  }

  // A line where the step is over that all figures are of.
  drawStep(pen, colors) {
    const x = Math.round(this.placeOf(this.stepTime)) + 0.5;  // no line of half a pixel
    if (x < this.area.left || x > this.area.width - 7) return;
    pen.strokeStyle = colors.full ||= css("ink");
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 3]);
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, this.area.bottom);
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 1;
  }

  drawRow(pen, row, y, i, colors) {
    const {left, width, scale} = this.area, {from, to} = this.view,
                        isFirst = i === 0 || this.rows[i - 1].rank !== row.rank;
    pen.fillStyle = colors.line;
    if (isFirst && i > 0) pen.fillRect(0, y, width, 1);
    pen.fillStyle = colors.ink;
    const isNarrow = left < 100;
    if (isFirst) pen.fillText(isNarrow ? `${row.rank}` : `rank ${row.rank}`, 0, y + 12);
    pen.fillText(
        words(row.lane)
            .replace("receive", isNarrow ? "recv" : "receive")
            .replace("backward", isNarrow ? "bwd" : "backward")
            .replace("forward", isNarrow ? "fwd" : "forward")
            .slice(0, 18),
        isNarrow ? 18 : 50, y + 12);
    let drawn = left;  // what is behind this pixel is not seen again
    for (let k = firstAfter(row.spans, from); k < row.spans.length && row.spans[k].start < to; ++k) {
      const span = row.spans[k], begin = Math.max(left, left + (span.start - from) * scale),
            end = Math.min(width - 8, left + (span.end - from) * scale);
      if (end < drawn) continue;
      pen.fillStyle = colors[span.kind] ||= css(span.kind) || colors.ink;
      const gap = end - begin > 3 ? 0.6 : 0, right = Math.max(end - gap, begin + 0.5);
      pen.fillRect(begin, y + 2, right - begin, rowHeight - 4);
      drawn = Math.floor(2 * right) / 2;
    }
    if (this.showsPath) this.drawPath(pen, row, y, colors);
    if (this.chosen && this.chosen.row === i) this.drawChosen(pen, row.spans[this.chosen.span], y, colors);
  }

  drawChosen(pen, {start, end}, y, colors) {
    const {left, width} = this.area, begin = Math.max(left, this.placeOf(start)),
                 stop = Math.min(width - 8, this.placeOf(end));
    if (stop < begin) return;
    pen.strokeStyle = colors.full ||= css("ink");
    pen.lineWidth = 2;
    pen.strokeRect(begin - 1, y + 1, Math.max(2, stop - begin) + 2, rowHeight - 2);
    pen.lineWidth = 1;
  }

  // A line below what the step's end waited for; hollow where it waited for nothing that the plan knows of.
  drawPath(pen, row, y, colors) {
    const {left, width} = this.area, {from, to} = this.view;
    pen.fillStyle = pen.strokeStyle = colors.path ||= css("path");
    for (let k = firstAfter(row.path, from); k < row.path.length && row.path[k].start < to; ++k) {
      const part = row.path[k], begin = Math.max(left, this.placeOf(part.start)),
            end = Math.min(width - 8, this.placeOf(part.end));
      if (part.isWait)
        pen.strokeRect(begin, y + rowHeight - 5, Math.max(1, end - begin), 3);
      else
        pen.fillRect(begin, y + rowHeight - 5, Math.max(1, end - begin), 4);
    }
  }

  spanAt(x, y) {
    const number = Math.floor((y + this.box.scrollTop) / rowHeight), row = this.rows[number],
          near = 2 / this.area.scale;
    if (!row || y > this.area.bottom || x < this.area.left) return null;
    const time = this.timeAt(x), at = firstAfter(row.spans, time - near), span = row.spans[at];
    return span && span.start <= time + near ? {...span, row, place: {row: number, span: at}} : null;
  }
  told(x, y) {
    const span = this.spanAt(x, y);
    return span && this.textOf(span);
  }
  pick(x, y) {
    const span = this.spanAt(x, y);
    if (!span) return;
    this.chosen = span.place;
    this.at = (span.start + span.end) / 2;
  }
  textOf(span) {
    const length = span.end - span.start;
    const isOnPath = span.row.path.some(part => part.span === span.number);
    return `${span.text} (${words(span.kind)}), rank ${span.row.rank}, ${words(span.row.lane)}: ${
        seconds(span.end - span.start)}, from ${moment(span.start, length)} to ${moment(span.end, length)}${
        isOnPath ? ", on the critical path" : ""}`;
  }
}
