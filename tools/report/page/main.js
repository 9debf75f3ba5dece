// ---- the page -----------------------------------------------------------------------------------

// {summaries: what `--json` of the programs is, links: of each strategy of each of them that has more than the page
// has, what all are, rank_runs: of each that has thousands of ranks, [kind, ranks] one after the other, sweep: null or
// what tools/report/swept_rows.h says}
const data = JSON.parse(document.getElementById("data").textContent);
// A kind of ranks that have the same figures is written once.
function unfoldRanks(s, runs) {
  const kinds = s.ranks;
  s.ranks = [];
  for (const [kind, ranks] of runs)
    for (let k = 0; k < ranks; ++k) s.ranks.push({...kinds[kind], rank: s.ranks.length});
}
data.rank_runs.forEach((own, file) => own.forEach((runs, k) => {
  if (runs) unfoldRanks(data.summaries[file].strategies[k], runs);
}));

function title() {
  const named = data.summaries.find(f => f.source === "predicted") || data.summaries[0];
  return named ? named.scenario : data.sweep ? [...new Set(data.sweep.files.map(f => f.name))].join(", ") : "nothing";
}
document.title = `${title()} – rehearse`;
document.getElementById("page").replaceChildren(
    el("h1", {}, title()),
    ...[data.sweep ? sweepSections(data.sweep) : [], data.summaries.length ? summariesSections(data.summaries) : []]
        .flat(Infinity)
        .filter(node => node));
