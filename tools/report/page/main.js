// ---- the page -----------------------------------------------------------------------------------

// {summaries: what `--json` of the programs is, sweep: null or what tools/report/swept_rows.h says}
const data = JSON.parse(document.getElementById("data").textContent);
function title() {
  const named = data.summaries.find(f => f.source === "predicted") || data.summaries[0];
  return named ? named.scenario : data.sweep ? [...new Set(data.sweep.files.map(f => f.name))].join(", ") : "nothing";
}
document.title = `${title()} – rehearse`;
document.getElementById("page").replaceChildren(el("h1", {}, title()), ...[data.sweep ? sweepSections(data.sweep) : [], data.summaries.length ? summariesSections(data.summaries) : []].flat(Infinity).filter(node => node));
