// ---- the step that is looked at, and canvases over its time --------------------------------------

const axisHeight = 22;

// The part of the step that is looked at, by all canvases of a strategy.
class View {
  constructor(horizon) { Object.assign(this, {horizon, from: 0, to: horizon, canvases: [], timelines: []}); }
  set(from, to) {
    const length = Math.min(this.horizon, Math.max(1e-12, to - from));
    this.from = Math.min(Math.max(0, from), this.horizon - length);
    this.to = this.from + length;
    for (const canvas of this.canvases) canvas.redraw();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    this.set(at + (this.from - at) * factor, at + (this.to - at) * factor);
  }
  move(share) {
    const by = share * (this.to - this.from);
    this.set(this.from + by, this.to + by);
  }
  all() { this.set(0, this.horizon); }
  // So that a time can be seen, if it is not.
  show(time) {
    if (time < this.from || time > this.to)
      this.set(time - (this.to - this.from) / 2, time + (this.to - this.from) / 2);
  }
  press(key, at) {
    const actions = {
      later: () => this.move(0.2),
      earlier: () => this.move(-0.2),
      "+": () => this.zoom(0.6, at),
      "-": () => this.zoom(1 / 0.6, at),
      "0": () => this.all()
    };
    if (actions[key]) actions[key]();
    return key in actions;
  }
  buttons() {
    const button = (text, name, key) =>
        el("button", {type: "button", "aria-label": name, title: name, onclick: () => this.press(key)}, text);
    return el(
        "div", {class: "controls"}, button("+", "zoom in", "+"), button("−", "zoom out", "-"),
        button("←", "earlier", "earlier"), button("→", "later", "later"), button("whole step", "whole step", "0"),
        el("span", {}, "drag to zoom, click for times; arrow keys go from one to the next"));
  }
}

// A canvas over the time that the view shows, with an axis below; of more height than there is room for a part.
// Of a kind of its own: wantedHeight(), drawContent(pen, colors), told(x, y), what there is to say about a place,
// pick(x, y), which keys go on from, keys(), what they do, and step(by, rows), which goes to another of the things that
// it shows and gives [its time, what there is to say of it].
class TimeCanvas {
  constructor(name, view, text) {
    Object.assign(this, {name, view, drag: null, at: undefined});
    this.canvas = el("canvas", {role: "img", "aria-label": `${name}: ${text}`});
    this.spacer = el("div", {});
    this.box =
        el("div", {
          class: "timeline",
          tabindex: 0,
          role: "group",
          "aria-label":
              `${name}. ${this.keys()}, with shift they move the view; plus and minus zoom, 0 shows the whole step.`,
          onscroll: () => this.redraw(),
          onkeydown: event => this.press(event)
        },
           this.canvas, this.spacer);
    this.status = el("div", {class: "status", role: "status"});
    this.element = el("div", {}, el("h3", {}, name), this.box, this.status);
    this.redraw = drawInto(this.box, width => this.draw(width));
    view.canvases.push(this);
    this.listen();
  }

  draw(width) {
    const wanted = this.wantedHeight() + axisHeight,
          height = Math.min(wanted, Math.max(160, Math.round(0.7 * innerHeight) - 4));
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
    const colors = {ink: css("soft"), line: css("line")};
    this.drawContent(pen, colors);
    this.drawAxis(pen, colors);
    if (!this.drag) return;
    pen.fillStyle = "rgba(120, 150, 200, 0.25)";
    pen.fillRect(Math.min(this.drag.from, this.drag.to), 0, Math.abs(this.drag.to - this.drag.from), area.bottom);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const {key, shiftKey} = event, moved = {
      ArrowRight: [1, 0],
      ArrowLeft: [-1, 0],
      ArrowDown: [0, 1],
      ArrowUp: [0, -1],
      Home: [-Infinity, 0],
      End: [Infinity, 0]
    }[key];
    if (shiftKey && (key === "ArrowRight" || key === "ArrowLeft"))
      this.view.press(key === "ArrowRight" ? "later" : "earlier");
    else if (moved)
      this.go(...moved);
    else if (!this.view.press(key, this.at))
      return;
    event.preventDefault();
  }
  go(by, rows) {
    const [time, text] = this.step(by, rows) || [];
    if (text === undefined) return;
    this.at = time;
    this.status.textContent = text;
    this.view.show(time);
    this.redraw();
  }

  drawAxis(pen, colors) {
    const {left, width, height, bottom} = this.area, {from, to} = this.view;
    pen.fillStyle = css("panel");
    pen.fillRect(0, bottom, width, height - bottom);
    const {ticks, text} = ticksOf("time_s", from, to, width < 560 ? 3 : 6);
    pen.textAlign = "center";
    for (const tick of ticks) {
      const x = this.placeOf(tick), said = text(tick), half = pen.measureText(said).width / 2;
      pen.fillStyle = colors.line;
      pen.fillRect(x - 0.5, bottom, 1, 5);
      pen.fillStyle = colors.ink;
      pen.fillText(said, Math.min(Math.max(x, left - 20 + half), width - half), bottom + 16);
    }
    pen.textAlign = "left";
  }

  timeAt(x) { return this.view.from + (x - this.area.left) / this.area.scale; }
  placeOf(time) { return this.area.left + (time - this.view.from) * this.area.scale; }
  tell(x, y) {
    const text = this.told(x, y);
    if (text) this.status.textContent = text;
  }

  listen() {
    const place = event => {
      const area = this.canvas.getBoundingClientRect();
      return [event.clientX - area.left, event.clientY - area.top];
    };
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
      if (!drag || Math.abs(drag.to - drag.from) < 6) {
        this.pick(x, y);
        this.tell(x, y);
        return this.redraw();
      }
      const times = [this.timeAt(drag.from), this.timeAt(drag.to)].sort((a, b) => a - b);
      this.view.set(...times);
    });
    this.canvas.addEventListener("pointercancel", () => {
      this.drag = null;
      this.redraw();
    });
    this.canvas.addEventListener("dblclick", () => this.view.all());
    this.canvas.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.view.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(place(event)[0]));
    }, {passive: false});
  }
}
