// ---- what there is to conclude, at a glance --------------------------------------------------------

// cards: {title, value, text: lines, isBad?}
const cardsOf = cards => el("section", {class: "cards", "aria-label": "conclusions"}, cards.filter(card => card).map(({title, value, text, isBad}) =>
  el("div", {class: isBad ? "card bad" : "card"}, el("h2", {}, title), el("p", {class: "value"}, unbroken(value)), text.filter(line => line).map(line => el("p", {}, unbroken(line))))));
// Lines do not end between a number and its unit.
const unbroken = text => text.replace(/(\d) (%|×|[pnum]?s|[KMGTP]?i?B)(?!\w)/g, "$1\u00a0$2");

const times = ratio => `${ratio < 9.995 ? ratio.toFixed(2) : number(ratio)} ×`;
const listed = names => names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
const someOf = (names, most = 3) => names.length <= most ? listed(names) : `${names.slice(0, most).join(", ")} and ${count(names.length - most)} more`;

// By the time of a run: of those that fit, if any do.
function rankedRuns(entries) {
  const all = entries.filter(e => e.predicted).sort((a, b) => runTime(a.predicted) - runTime(b.predicted)), fitting = all.filter(e => e.predicted.fits !== false);
  return {all, fitting, best: fitting[0] || null};
}
const isCheaperNoRun = entries => entries.some(e => multiplier(e.predicted) !== 1 || redrawn(e.predicted, r => r.time_s) > 0);

function fastestCard({fitting, best, all}) {
  if (!best) return all.length ? {title: "Fastest", value: "nothing fits", isBad: true, text: [`All of ${someOf(all.map(e => e.name))} need more memory than there is.`]} : null;
  const s = best.predicted, ofRuns = isCheaperNoRun(fitting);
  const parts = [["computing", s.compute_s], ["exposed communication", s.exposed_comm_s], ["idle", s.idle_s]].filter(([, t]) => t > 0.005 * s.step_time_s);
  return {title: fitting.length < 2 ? "Predicted" : ofRuns ? "Fastest run" : "Fastest", value: best.name, text: [`${seconds(s.step_time_s)} a step${band(s) ? `; 90 % of runs: ${seconds(band(s)[0])} to ${seconds(band(s)[1])}` : ""}`,
    parts.map(([name, t]) => `${name} ${percent(t / s.step_time_s)}`).join(", "), ofRuns ? "compared by what all steps of a run take" : ""]};
}

// Of the times of their runs.
function doBandsOverlap(shorter, longer) {
  const part = (s, bound) => runTime(s) * bound / s.step_time_s;
  return !band(longer) || part(shorter, band(shorter)[1]) >= part(longer, band(longer)[0]);
}

function differenceCard({fitting, best}) {
  if (fitting.length < 2) return null;
  const next = fitting[1], last = fitting[fitting.length - 1], s = best.predicted, alike = (s.not_told_apart_from || []).filter(name => fitting.some(e => e.name === name));
  return {title: "Ahead of the next", value: times(runTime(next.predicted) / runTime(s)), text: [`as fast as ${next.name}` + (last === next ? "" : `, ${times(runTime(last.predicted) / runTime(s))} as ${last.name}`),
    !band(s) ? "The profile says nothing of its errors: whether they can be told apart is not known." :
    alike.length ? `Within the profile's errors: it cannot be told apart from ${someOf(alike)}.` : doBandsOverlap(s, next.predicted) ? `The 90 % bands of both overlap.` : "The 90 % bands of both do not overlap."]};
}

function memoryCard({all, fitting, best}, room) {
  const known = all.filter(e => e.predicted.peak_memory_bytes !== null), tooLarge = all.filter(e => e.predicted.fits === false);
  if (!known.length) return null;
  const of = best && known.includes(best) ? best : known[0], peak = of.predicted.peak_memory_bytes, least = known.reduce((a, b) => b.predicted.peak_memory_bytes < a.predicted.peak_memory_bytes ? b : a);
  const faster = best ? tooLarge.filter(e => runTime(e.predicted) < runTime(best.predicted)) : [];
  return {title: "Memory", value: bytes(peak), isBad: !fitting.length, text: [`${of.name}, worst rank` + (room ? `: ${percent(peak / room)} of a device's ${bytes(room)}` : ""),
    tooLarge.length ? `${someOf(tooLarge.map(e => e.name))} ${tooLarge.length === 1 ? "does" : "do"} not fit${faster.length ? `; ${someOf(faster.map(e => e.name))} would be faster` : ""}.` : known.length > 1 ? "All fit." : "It fits.",
    least !== of ? `Least: ${least.name}, ${bytes(least.predicted.peak_memory_bytes)}.` : ""]};
}

function measuredCard(entries) {
  const both = entries.filter(e => e.predicted && e.measured && e.measured.step_time_s > 0);
  if (!both.length) return null;
  const offBy = e => e.predicted.step_time_s / e.measured.step_time_s - 1, worst = both.reduce((a, b) => Math.abs(offBy(b)) > Math.abs(offBy(a)) ? b : a), mean = both.reduce((sum, e) => sum + Math.abs(offBy(e)), 0) / both.length;
  const banded = both.filter(e => band(e.predicted)), within = banded.filter(e => e.measured.step_time_s >= band(e.predicted)[0] && e.measured.step_time_s <= band(e.predicted)[1]);
  const order = (a, b) => Math.sign(a.predicted.step_time_s - b.predicted.step_time_s) === Math.sign(a.measured.step_time_s - b.measured.step_time_s);
  const pairs = both.flatMap((a, i) => both.slice(i + 1).map(b => [a, b])), right = pairs.filter(([a, b]) => order(a, b)).length;
  return {title: "Against measurements", value: `off by ${percent(mean)}`, text: [`${both.length === 1 ? "the step time" : `mean of ${both.length} step times`}${both.length > 1 ? `; at most ${off(worst.predicted.step_time_s, worst.measured.step_time_s)}, ${worst.name}` : ` of ${worst.name}: ${off(worst.predicted.step_time_s, worst.measured.step_time_s)}`}`,
    banded.length ? `${within.length} of ${banded.length} measured times ${banded.length === 1 ? "is" : "are"} in ${banded.length === 1 ? "its" : "their"} 90 % band.` : "No bands: the profile says nothing of its errors.",
    pairs.length ? (right === pairs.length ? "Measured, they come in the predicted order." : `${right} of ${pairs.length} pairs come in the predicted order.`) : ""]};
}

// Of the fastest of them, beside plain data parallelism.
function subnetworkCard(entries) {
  const plain = entries.find(e => e.predicted && e.predicted.data_parallel), own = entries.filter(e => e.predicted && e.predicted.subnetwork).sort((a, b) => runTime(a.predicted) - runTime(b.predicted));
  if (!plain || !own.length) return null;
  const [best] = own, p = plain.predicted, s = best.predicted, share = runTime(s) / runTime(p), peaks = s.peak_memory_bytes !== null && p.peak_memory_bytes ? s.peak_memory_bytes / p.peak_memory_bytes : null, sent = sentByAll(s) !== null && sentByAll(p) ? sentByAll(s) / sentByAll(p) : null;
  return {title: "Subnetworks", value: `${percent(share)} of the run time`, text: [`${best.name} beside ${plain.name}'s run${multiplier(s) === 1 ? "" : `, of ${times(multiplier(s))} as many steps`}`,
    [peaks === null ? "" : `memory ${percent(peaks)}`, sent === null ? "" : `bytes of a step ${percent(sent)}`].filter(text => text).join(", ") + (peaks === null && sent === null ? "" : ` of ${plain.name}'s`)]};
}

function conclusions(entries, files) {
  const ranked = rankedRuns(entries);
  return cardsOf([fastestCard(ranked), differenceCard(ranked), memoryCard(ranked, deviceMemory(files)), measuredCard(entries), subnetworkCard(entries)]);
}

// ---- of a sweep ----------------------------------------------------------------------------------

// Of each strategy the row with the most samples per second, the best first.
function bestRows(swept, rows) {
  const figure = known(["run_samples_per_s", "samples_per_s"], swept.figures);
  return {figure, best: [...bestBy(rows.filter(row => row.status === "played"), figure, row => row.strategy).values()].sort((a, b) => b[figure] - a[figure])};
}

class SweepConclusions {
  constructor(swept, pick) {
    Object.assign(this, {swept});
    this.cards = el("div");
    this.table = new Table({name: "best of each strategy", rows: [], columns: this.columns(), pick});
    this.element = el("section", {}, this.cards, el("h2", {}, "Best of each strategy"), this.table.element, note("Of the rows that are shown and fit: that with the most samples per second of a run. Choose one for its details."));
  }
  columns() {
    const {swept} = this, {figure} = bestRows(swept, []), text = name => column(name, {isText: true});
    return [text("strategy"), column(figure), {name: "ahead", label: "of the best", value: row => row[figure] / this.most, shown: v => percent(v)}, ...swept.axes.map(axis => column(axis.name, {label: axis.label, isText: typeof axis.values[0] === "string", order: axis.place})),
      ...["step_time_s", "peak_memory_bytes", "bytes_sent", "mfu"].filter(name => swept.figures.includes(name)).map(name => column(name, name === "step_time_s" ? {shown: withBand} : {}))];
  }
  update(rows) {
    const {swept} = this, {figure, best} = bestRows(swept, rows), rowsOf = status => rows.filter(row => row.status === status).length;
    this.most = best.length ? best[0][figure] : 1;
    this.table.update(best);
    const [first, second] = best, at = row => placeText(swept, row);
    // Of samples per second: the fewest of one, the most of the other.
    const overlap = (a, b) => band(a) && band(b) ? a[figure] * a.step_time_s / band(a)[1] <= b[figure] * b.step_time_s / band(b)[0] : null;
    this.cards.replaceChildren(cardsOf([
      first ? {title: "Best", value: first.strategy, text: [`${number(first[figure])} ${label(figure)}, ${seconds(first.step_time_s)} a step${bandText(first)}`, at(first)]} : {title: "Best", value: "nothing fits", isBad: true, text: []},
      first && second ? {title: "Ahead of the next", value: times(first[figure] / second[figure]), text: [`as many samples/s as the best of ${second.strategy}`, at(second), overlap(first, second) === null ? "" : overlap(first, second) ? "Their 90 % bands overlap." : "Their 90 % bands do not overlap."]} : null,
      first && isNumber(first.peak_memory_bytes) ? {title: "Memory", value: bytes(first.peak_memory_bytes), text: ["of the best, on its worst rank"]} : null,
      {title: "Rows", value: `${number(rowsOf("played"))} fit`, text: [`${number(rowsOf("does not fit"))} do not fit, ${number(rowsOf("refused"))} are refused`]}]));
  }
}
