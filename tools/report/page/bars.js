// ---- bars of parts ------------------------------------------------------------------------------

// rows: {name, values, text}; parts: [name, color] of the values, which are figures of that name.
function stackedBars(name, parts, figure, rows) {
  const longest = Math.max(1e-30, ...rows.map(row => row.values.reduce((sum, v) => sum + v, 0)));
  const bar = row => el("div", {class: "bar", role: "img", "aria-label": `${row.name}: ` + parts.map(([part], k) => `${part} ${show(figure, row.values[k])}`).join(", ")},
    parts.map(([part, color], k) => el("i", {title: `${part}: ${show(figure, row.values[k])}`, style: {width: `${100 * row.values[k] / longest}%`, background: `var(--${color})`}})));
  return el("div", {role: "group", "aria-label": name}, parts.length > 1 ? legend(parts) : null,
    el("div", {class: "bars", tabindex: rows.length > 18 ? 0 : null}, rows.map(row => [el("span", {class: "name", title: row.name}, row.name), bar(row), el("span", {class: "value"}, row.text)])));
}

const timeParts = [["compute", "forward"], ["exposed communication", "exposed"], ["idle", "idle"]];
const timesOf = s => [s.compute_s, s.exposed_comm_s, s.idle_s];
const meter = share => el("span", {class: "meter"}, el("i", {style: {width: `${100 * Math.min(1, share)}%`}}));
