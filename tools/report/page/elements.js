// ---- elements of the page: text never becomes markup --------------------------------------------

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on"))
      node.addEventListener(key.slice(2), value);
    else if (key === "style")
      for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
    else
      node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined));
  return node;
}
const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const note = text => text ? el("p", {class: "note"}, text) : null;

// A choice: [value, text] each; changed(value).
function choice(text, options, chosen, changed) {
  const select =
      el("select", {onchange: () => changed(options[select.selectedIndex][0])},
         options.map(([value, shown]) => el("option", {selected: value === chosen}, shown)));
  return el("label", {}, text, select);
}
function tick(text, on, changed) {
  const box = el("input", {type: "checkbox", onchange: () => changed(box.checked)});
  box.checked = on;
  return el("label", {}, box, text);
}

function download(file, text) {
  const address = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  el("a", {href: address, download: file}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// ---- colours, and what is drawn anew when they change -------------------------------------------

const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const seriesColor = number => `series${number % 8}`;
const redraws = new Set();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach(redraw => redraw()));
// Draws whenever the element has a new width, and with new colours; what is asked for in between, once for each
// frame that is shown.
function drawInto(element, draw) {
  let width = 0, frame = null;
  const now = () => {
    frame = null;
    if (width > 0) draw(width);
  };
  const redraw = () => {
    frame ??= requestAnimationFrame(now);
  };
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    now();
  }).observe(element);
  redraws.add(redraw);
  return redraw;
}

const swatch = color => el("i", {style: {background: `var(--${color})`}});
const legend = entries =>
    el("div", {class: "legend"}, entries.map(([name, color]) => el("span", {}, swatch(color), name)));
