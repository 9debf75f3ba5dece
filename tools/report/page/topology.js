// ---- the machine: vertices in levels above the ranks, cables coloured by what they carry ----------

const vertexSize = {
  device: 5,
  nic: 4,
  node: 7,
  switch: 8
};
const plainVertex = vertex => vertex.members > 1 ? `${count(vertex.members)} × ${vertex.name}` : vertex.name;

// Along a circle, or where dims say so on a grid: of vertices that are joined with one another only.
function directPlaces(vertices, dims, width) {
  if (dims.length === 2 && dims[0] * dims[1] === vertices.length) {
    const [columns, rows] = dims,
                    step = Math.min(90, (width - 80) / Math.max(1, columns - 1), 480 / Math.max(1, rows - 1)),
                    left = (width - (columns - 1) * step) / 2;
    return {
      height: (rows - 1) * step + 80,
      places: vertices.map((v, i) => [left + i % columns * step, 40 + Math.floor(i / columns) * step])
    };
  }
  const radius = Math.min(width / 2 - 60, 60 + 5 * vertices.length);
  return {
    height: 2 * radius + 80,
    places: vertices.map((v, i) => {
      const angle = 2 * Math.PI * i / vertices.length - Math.PI / 2;
      return [width / 2 + radius * Math.cos(angle), radius + 40 + radius * Math.sin(angle)];
    })
  };
}

// The ranks below, level by level; in a level in the order of what is joined below.
function layeredPlaces({vertices, cables}, width) {
  const levels = Math.max(...vertices.map(v => v.level)) + 1, gap = 96, places = vertices.map(() => null);
  const below = vertices.map(() => []);
  for (const {from, to} of cables) {
    if (vertices[from].level < vertices[to].level) below[to].push(from);
    if (vertices[to].level < vertices[from].level) below[from].push(to);
  }
  const mean = i => below[i].length ? below[i].reduce((sum, k) => sum + places[k][0], 0) / below[i].length : Infinity;
  for (let level = 0; level < levels; ++level) {
    const own = vertices.map((v, i) => i).filter(i => vertices[i].level === level);
    if (level > 0) own.sort((a, b) => mean(a) - mean(b) || a - b);
    own.forEach((i, k) => {
      places[i] = [(k + 0.5) / own.length * width, 34 + (levels - 1 - level) * gap];
    });
  }
  return {height: (levels - 1) * gap + 78, places};
}

function placesOf(topology, width) {
  const isDirect = topology.vertices.every(v => v.level === 0) && topology.vertices.length > 1;
  return isDirect ? directPlaces(topology.vertices, topology.dims, width) : layeredPlaces(topology, width);
}

// Straight, or around what would be in the way.
function pathOfCable(cable, places) {
  const [x0, y0] = places[cable.from], [x1, y1] = places[cable.to], length = Math.hypot(x1 - x0, y1 - y0);
  if (cable.from === cable.to) return `M ${x0 - 9} ${y0 + 5} a 11 11 0 1 0 18 0`;
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length], aside = Math.min(40, 10 + 0.12 * length);
  const isInTheWay = ([x, y]) => {
    const along = (x - x0) * ux + (y - y0) * uy;
    return along > 1 && along < length - 1 && Math.abs((x - x0) * uy - (y - y0) * ux) < 4;
  };
  return places.some(isInTheWay) ?
      `M ${x0} ${y0} Q ${(x0 + x1) / 2 + uy * aside} ${(y0 + y1) / 2 - ux * aside} ${x1} ${y1}` :
      `M ${x0} ${y0} L ${x1} ${y1}`;
}

class TopologyPicture {
  constructor(topology, runs) {
    Object.assign(this, {topology, runs, run: runs[0], at: -1});
    this.box = el("div", {class: "topology", tabindex: 0, role: "group", onkeydown: event => this.press(event)});
    this.status = el("div", {class: "status", role: "status"});
    this.scale = el("div", {class: "controls"});
    this.table = new Table({name: "cables", rows: [], columns: this.columns(), pick: row => this.choose(row.cable)});
    this.redraw = drawInto(this.box, width => this.draw(width));
    this.element =
        el("div", {},
           runs.length > 1 ? el("div", {class: "controls"},
                                choice("Loads of ", runs.map(run => [run, run.name]), runs[0], run => this.show(run))) :
                             null,
           el("div", {class: "panel"}, this.scale, this.box, this.status,
              el("details", {}, el("summary", {}, "The cables as a table"), this.table.element)));
    this.show(runs[0]);
  }

  columns() {
    return [
      column("name", {label: "cable", isText: true}), column("links", {label: "links, one way"}),
      column("bandwidth_bytes_per_s", {label: "bandwidth of a link", shown: rate}), column("latency_s"),
      column("bytes", {label: "bytes of a step"}),
      column("mean_utilisation", {label: "used, mean", shown: v => percent(v)}),
      column("most_utilisation", {label: "used, at most", shown: v => el("span", {}, meter(v), percent(v))})
    ];
  }

  show(run) {
    this.run = run;
    this.loads = run.s.pictures.cables;
    this.rows = this.topology.cables.map((cable, k) => ({cable: k, ...cable, ...this.loads[k]}));
    this.order = [...this.rows].sort((a, b) => b.most_utilisation - a.most_utilisation || a.cable - b.cable);
    this.table.update(this.order);
    this.scale.replaceChildren(
        el("span", {}, "used at most, of what a link can carry: 0 %", el("span", {class: "scale"}), "100 %"),
        el("span", {}, "point at a cable, or press arrow keys: the busiest first"));
    this.box.setAttribute(
        "aria-label",
        `topology, loads of ${run.name}: ${count(this.topology.vertices.length)} vertices, ${
            count(this.topology.cables.length)} cables. Arrow keys go from the busiest cable to the least busy.`);
    this.at = -1;
    this.status.textContent = "";
    this.redraw();
  }

  draw(width) {
    const {vertices, cables} = this.topology, wide = Math.max(width - 2, 12 * Math.max(...this.levelSizes()));
    const {height, places} = placesOf(this.topology, wide);
    this.lines = cables.map((cable, k) => {
      const share = Math.min(1, this.loads[k].most_utilisation);
      return svg(
          "path", {
            d: pathOfCable(cable, places),
            "data-cable": cable.name,
            "stroke-width": 1.2 + 3 * share,
            style: {stroke: `color-mix(in oklab, var(--hot) ${Math.round(100 * share)}%, var(--cold))`},
            onpointerenter: () => this.look(k),
            onclick: () => this.look(k)
          },
          svg("title", {}, this.textOf(k)));
    });
    const isNamed = level => this.levelSizes()[level] *
            (7 * Math.max(...vertices.filter(v => v.level === level).map(v => plainVertex(v).length)) + 4) <=
        wide;
    const nodes = vertices.map((vertex, i) => this.vertex(vertex, places[i], isNamed(vertex.level)));
    this.box.replaceChildren(
        svg("svg", {width: wide, height, role: "img", "aria-label": `${this.topology.network} network`},
            [...this.lines.keys()]
                .sort((a, b) => this.loads[a].most_utilisation - this.loads[b].most_utilisation)
                .map(k => this.lines[k]),
            nodes));
    if (this.at >= 0) this.mark();
  }

  levelSizes() {
    return this.topology.vertices.reduce((sizes, v) => {
      sizes[v.level] = (sizes[v.level] || 0) + 1;
      return sizes;
    }, []);
  }

  vertex(vertex, [x, y], isNamed) {
    const size = vertexSize[vertex.kind],
          shape = vertex.kind === "switch" ?
        svg("rect", {x: x - size, y: y - size * 0.7, width: 2 * size, height: 1.4 * size, rx: 2}) :
        svg("circle", {cx: x, cy: y, r: size});
    return svg(
        "g", {}, shape, svg("title", {}, `${vertex.kind} ${plainVertex(vertex)}`),
        isNamed ?
            svg("text", {x, y: vertex.level > 0 ? y - 12 : y + 22, "text-anchor": "middle"}, plainVertex(vertex)) :
            null);
  }

  textOf(k) {
    const cable = this.topology.cables[k], load = this.loads[k];
    return `${cable.name}: ${bytes(load.bytes)} of a step over ${count(cable.links)} links of ${
        rate(cable.bandwidth_bytes_per_s)} and ${seconds(cable.latency_s)}, used ${
        percent(load.mean_utilisation)} on average, ${percent(load.most_utilisation)} at most`;
  }
  look(k) {
    this.at = this.order.findIndex(row => row.cable === k);
    this.status.textContent = this.textOf(k);
    this.mark();
  }
  choose(k) {
    this.look(k);
    this.box.scrollIntoView({block: "nearest"});
  }
  mark() { this.lines.forEach((line, k) => line.classList.toggle("chosen", k === this.order[this.at].cable)); }
  press(event) {
    const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!by || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.look(this.order[Math.min(this.order.length - 1, Math.max(0, this.at + by))].cable);
  }
}

const foldedNotes = {
  nothing: "",
  nodes: " The cluster is large: a node stands for its devices and adapters, what it has inside is the loop below it.",
  alike:
      " The cluster is large: vertices that differ in their numbers alone are drawn as one, and so are their cables; colours are of the busiest link of each."
};

function topologySection(files, entries) {
  const file = files.find(f => f.source === "predicted" && f.topology && f.topology.cables.length);
  const runs = entries
                   .filter(
                       e => e.predicted && e.predicted.pictures && e.predicted.pictures.cables && file &&
                           e.predicted.pictures.cables.length === file.topology.cables.length)
                   .map(e => ({name: e.name, s: e.predicted}));
  if (!runs.length) return null;
  const {topology} = file;
  return el(
      "section", {id: "topology"}, el("h2", {}, "Links"),
      note(`${
          topology.network === "none" ? "There is no network between nodes" :
                                        `The network is a ${topology.network.replace("_", "-")}`}: ${
          count(topology.vertices.reduce((sum, v) => sum + v.members, 0))} devices, nodes, adapters and switches.${
          foldedNotes[topology.folded] || ""}`),
      new TopologyPicture(topology, runs).element);
}
