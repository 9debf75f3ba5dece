// ---- bars of parts ------------------------------------------------------------------------------

// rows: {name, values, text, band?: [low, high] in which the sum is expected}; parts: [name, color] of the values,
// which are figures of that name; limit: {value, text} of a line across all bars, where they come near it.
function stackedBars(name, parts, figure, rows, limit = null) {
  const sums = rows.map(row => Math.max(row.values.reduce((sum, v) => sum + v, 0), row.band ? row.band[1] : 0));
  const isLimitNear = limit && limit.value < 4 * Math.max(...sums),
        longest = Math.max(1e-30, ...sums, isLimitNear ? limit.value : 0);
  const place = value => `${100 * value / longest}%`;
  const whisker = ([low, high]) => el("span", {
    class: "whisker",
    title: `90 % of runs: ${show(figure, low)} to ${show(figure, high)}`,
    style: {left: place(low), width: place(high - low)}
  });
  const said = row => `${row.name}: ` + parts.map(([part], k) => `${part} ${show(figure, row.values[k])}`).join(", ") +
      (row.band ? `; 90 % of runs from ${show(figure, row.band[0])} to ${show(figure, row.band[1])}` : "");
  const bar = row =>
      el("div", {class: "bar", role: "img", "aria-label": said(row)},
         parts.map(([part, color], k) => el("i", {
                     title: `${part}: ${show(figure, row.values[k])}`,
                     style: {width: place(row.values[k]), background: `var(--${color})`}
                   })),
         row.band ? whisker(row.band) : null,
         isLimitNear ? el("span", {class: "limit", title: limit.text, style: {left: place(limit.value)}}) : null);
  return el(
      "div", {role: "group", "aria-label": name}, parts.length > 1 ? legend(parts) : null,
      el("div", {class: "bars", tabindex: rows.length > 18 ? 0 : null},
         rows.map(
             row =>
                 [el("span", {class: "name", title: row.name}, row.name), bar(row),
                  el("span", {class: "value"}, row.text)])),
      rows.some(row => row.band) ?
          note("Whiskers: where 90 % of runs are expected, by what the profile says of its errors.") :
          null,
      limit ? note(isLimitNear ? `The line: ${limit.text}.` : `Of ${limit.text}.`) : null);
}

// Ranks whose figures are the same, as one row each: {name, ranks: how many, rank: the first}.
function alikeRanks(ranks, figures) {
  const groups = new Map();
  for (const rank of ranks) {
    const key = JSON.stringify(figures.map(name => rank[name]));
    if (!groups.has(key)) groups.set(key, {rank, ranks: 0});
    ++groups.get(key).ranks;
  }
  return [...groups.values()].map(
      group => ({
        ...group,
        name: `rank ${group.rank.rank}` + (group.ranks > 1 ? ` and ${count(group.ranks - 1)} alike` : "")
      }));
}

const timeParts = [["compute", "forward"], ["exposed communication", "exposed"], ["idle", "idle"]];
const timesOf = s => [s.compute_s, s.exposed_comm_s, s.idle_s];
const meter = share => el("span", {class: "meter"}, el("i", {style: {width: `${100 * Math.min(1, share)}%`}}));
