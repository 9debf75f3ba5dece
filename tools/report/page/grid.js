// ---- the grid of a pipeline: ranks by units of time ----------------------------------------------

const gridColors = {
  F: "forward",
  B: "backward",
  I: "backward_input",
  W: "backward_weight"
};
const gridNames = {
  F: "forward",
  B: "backward",
  I: "input gradients",
  W: "weight gradients"
};
const mostDrawnCells = 6000;

// As `rehearse plan --format grid` prints it.
function gridText({ranks, rows}) {
  const cells = rows.map(row => row.split(" ")), columns = Math.max(0, ...cells.map(row => row.length)),
        width = Math.max(1, ...cells.flat().map(cell => cell.length));
  return cells
      .map(
          (row, r) => (`rank ${String(ranks[r]).padEnd(3)}` +
                       Array.from({length: columns}, (_, c) => " " + (row[c] || ".").padEnd(width)).join(""))
                          .trimEnd() +
              "\n")
      .join("");
}

function gridSvg(name, {ranks, rows}) {
  const cells = rows.map(row => row.split(" ")), columns = Math.max(0, ...cells.map(row => row.length)),
        longest = Math.max(1, ...cells.flat().map(cell => cell.length));
  const h = 18, left = 64, w = Math.max(3, Math.min(7 * longest + 8, 6000 / columns)), hasText = w >= 6 * longest;
  const drawn =
      cells.map((row, r) => [svg("text", {x: 0, y: r * h + 13}, `rank ${ranks[r]}`), row.map((cell, c) => {
                  const color = gridColors[cell[0]];
                  if (!color) return null;
                  const wide = row[c + 1] === "=" ? 2 : 1, x = left + c * w;
                  return [
                    svg("rect", {x, y: r * h + 1, width: wide * w, height: h - 2, rx: 2, fill: `var(--${color})`},
                        svg("title", {}, `rank ${ranks[r]}: ${gridNames[cell[0]]} ${cell}, from ${c} to ${c + wide}`)),
                    hasText ? svg("text", {
                      class: "cell",
                      x: x + wide * w / 2,
                      y: r * h + 13,
                      "text-anchor": "middle",
                      "pointer-events": "none"
                    },
                                  cell.slice(1)) :
                              null
                  ];
                })]);
  return el(
      "div", {class: "scroll", tabindex: 0, role: "region", "aria-label": `grid of ${name}`},
      svg("svg", {
        class: "grid",
        width: left + columns * w + 4,
        height: rows.length * h + 4,
        role: "img",
        "aria-label": `${name}: grid of ${ranks.length} ranks by ${columns} units of time`
      },
          drawn.flat(Infinity)));
}

function gridPanel(entry) {
  const s = entry.predicted, grids = (s && s.pictures && s.pictures.grids) || [];
  if (!grids.length) return null;
  const kinds = Object.keys(gridColors).filter(kind => grids.some(grid => grid.rows.some(row => row.includes(kind))));
  const cellsOf = grid => grid.rows.reduce((sum, row) => sum + row.split(" ").length, 0);
  return el(
      "div", {class: "panel"}, el("h3", {}, "Grid of the pipeline"),
      legend(kinds.map(kind => [gridNames[kind], gridColors[kind]])),
      grids.map(
          grid =>
              [cellsOf(grid) <= mostDrawnCells ?
                   gridSvg(entry.name, grid) :
                   note(`${count(cellsOf(grid))} cells are more than are drawn: here as text.`),
               el("details", {open: cellsOf(grid) > mostDrawnCells}, el("summary", {}, "The grid as text"),
                  el("pre", {class: "plan", tabindex: 0}, gridText(grid)))]),
      note(
          "As papers draw it: forward, input gradients and weight gradients take one unit of time, a whole backward two, messages none. The timeline has the predicted times."));
}
