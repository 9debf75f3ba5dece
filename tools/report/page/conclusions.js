// ---- what there is to conclude, at a glance --------------------------------------------------------

// cards: {title, value, text: lines, look?: "good" or "bad", of what is judged}
const cardsOf = cards =>
    el("section", {class: "cards", "aria-label": "conclusions"},
       cards.filter(card => card)
           .map(
               ({title, value, text, look}) =>
                   el("div", {class: look ? `card ${look}` : "card"}, el("h2", {}, title),
                      el("p", {class: "value"}, unbroken(value)),
                      text.filter(line => line).map(line => el("p", {}, unbroken(line))))));
// Lines do not end between a number and its unit.
const unbroken = text => text.replace(/(\d) (%|×|[pnum]?s|[KMGTP]?i?B)(?!\w)/g, "$1\u00a0$2");

const times = ratio => `${ratio < 9.995 ? ratio.toFixed(2) : number(ratio)} ×`;
const listed = names =>
    names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
const someOf = (names, most = 3) =>
    names.length <= most ? listed(names) : `${names.slice(0, most).join(", ")} and ${count(names.length - most)} more`;

// By the time of a run: of those that fit, if any do.
function rankedRuns(entries) {
  const all = entries.filter(e => e.predicted).sort((a, b) => runTime(a.predicted) - runTime(b.predicted)),
        fitting = all.filter(e => e.predicted.fits !== false);
  return {all, fitting, best: fitting[0] || null};
}
const isCheaperNoRun = entries =>
    entries.some(e => multiplier(e.predicted) !== 1 || redrawn(e.predicted, r => r.time_s) > 0);

function fastestCard({fitting, best, all}) {
  if (!best)
    return all.length ? {
      title: "Fastest",
      value: "nothing fits",
      look: "bad",
      text: [`${someOf(all.map(e => e.name))} ${all.length === 1 ? "needs" : "need"} more memory than there is.`]
    } :
                        null;
  const s = best.predicted, ofRuns = isCheaperNoRun(fitting);
  const parts = [["computing", s.compute_s], ["exposed communication", s.exposed_comm_s], ["idle", s.idle_s]].filter(
      ([, t]) => t > 0.005 * s.step_time_s);
  return {
    title: fitting.length < 2 ? "Predicted" :
        ofRuns                ? "Fastest run" :
                                "Fastest",
    value: best.name,
    text: [
      `${seconds(s.step_time_s)} a step${
          band(s) ? `; 90 % of runs: ${seconds(band(s)[0])} to ${seconds(band(s)[1])}` : ""}`,
      parts.map(([name, t]) => `${name} ${percent(t / s.step_time_s)}`).join(", "),
      ofRuns ? "compared by what all steps of a run take" : "", measuredLine(fitting, best)
    ]
  };
}

// A prediction and a run can be compared if they are of one plan.
const isComparable = e =>
    Boolean(e.predicted && e.measured && e.measured.step_time_s > 0 && e.predicted.plan_hash === e.measured.plan_hash);
const hasOtherPlan = e => Boolean(e.predicted && e.measured && e.predicted.plan_hash !== e.measured.plan_hash);
const measuredRun = e => runTime(e.predicted) * e.measured.step_time_s / e.predicted.step_time_s;

// What runs say of what is predicted to be the fastest.
function measuredLine(fitting, best) {
  const both = fitting.filter(isComparable).sort((a, b) => measuredRun(a) - measuredRun(b)),
        own = both.includes(best) ? `measured: ${seconds(best.measured.step_time_s)} a step` : "";
  if (!both.length || (both.length === 1 && own)) return own;
  const first = both[0].name;
  if (!own) return `${best.name} was not measured; of those that were, ${first} is the fastest.`;
  return first === best.name ? `${own}, the fastest of ${count(both.length)} that were measured` :
                               `${own}. Measured, ${first} is faster: ${seconds(both[0].measured.step_time_s)} a step.`;
}

// Of the times of their runs.
function doBandsOverlap(shorter, longer) {
  const part = (s, bound) => runTime(s) * bound / s.step_time_s;
  return !band(longer) || part(shorter, band(shorter)[1]) >= part(longer, band(longer)[0]);
}

function differenceCard({fitting, best}) {
  if (fitting.length < 2) return null;
  const next = fitting[1], last = fitting[fitting.length - 1], s = best.predicted,
        alike = (s.not_told_apart_from || []).filter(name => fitting.some(e => e.name === name));
  return {
    title: "Ahead of the next",
    value: times(runTime(next.predicted) / runTime(s)),
    text: [
      `as fast as ${next.name}` +
          (last === next ? "" : `, ${times(runTime(last.predicted) / runTime(s))} as ${last.name}`),
      !band(s)         ? "The profile says nothing of its errors: whether they can be told apart is not known." :
          alike.length ? `Within the profile's errors: it cannot be told apart from ${someOf(alike)}.` :
          doBandsOverlap(s, next.predicted) ? `The 90 % bands of both overlap.` :
                                              "The 90 % bands of both do not overlap."
    ]
  };
}

function memoryCard({all, fitting, best}, room) {
  const known = all.filter(e => e.predicted.peak_memory_bytes !== null),
        tooLarge = all.filter(e => e.predicted.fits === false);
  if (!known.length) return null;
  const of = best && known.includes(best) ? best : known[0], peak = of.predicted.peak_memory_bytes,
        least = known.reduce((a, b) => b.predicted.peak_memory_bytes < a.predicted.peak_memory_bytes ? b : a);
  const faster = best ? tooLarge.filter(e => runTime(e.predicted) < runTime(best.predicted)) : [];
  return {
    title: "Memory",
    value: bytes(peak),
    look: !fitting.length ? "bad" :
        tooLarge.length   ? null :
                            "good",
    text: [
      `${of.name}, worst rank` + (room ? `: ${percent(peak / room)} of a device's ${bytes(room)}` : ""),
      tooLarge.length ? `${someOf(tooLarge.map(e => e.name))} ${tooLarge.length === 1 ? "does" : "do"} not fit${
                            faster.length ? `; ${someOf(faster.map(e => e.name))} would be faster` : ""}.` :
          known.length > 1                ? "All fit." :
                                            "It fits.",
      least !== of ? `Least: ${least.name}, ${bytes(least.predicted.peak_memory_bytes)}.` : ""
    ]
  };
}

function measuredCard(entries) {
  const both = entries.filter(isComparable), others = entries.filter(hasOtherPlan);
  const otherPlans = others.length ?
      `${someOf(others.map(e => e.name))} ${
          others.length === 1 ? "was" : "were"} measured with another plan than predicted: not compared.` :
      "";
  if (!both.length)
    return others.length ? {title: "Against measurements", value: "other plans", look: "bad", text: [otherPlans]} :
                           null;
  const offBy = e => e.predicted.step_time_s / e.measured.step_time_s - 1,
        worst = both.reduce((a, b) => Math.abs(offBy(b)) > Math.abs(offBy(a)) ? b : a),
        mean = both.reduce((sum, e) => sum + Math.abs(offBy(e)), 0) / both.length;
  const banded = both.filter(e => band(e.predicted)),
        within = banded.filter(
            e => e.measured.step_time_s >= band(e.predicted)[0] && e.measured.step_time_s <= band(e.predicted)[1]);
  const order = (a, b) => Math.sign(a.predicted.step_time_s - b.predicted.step_time_s) ===
      Math.sign(a.measured.step_time_s - b.measured.step_time_s);
  const pairs = both.flatMap((a, i) => both.slice(i + 1).map(b => [a, b])),
        right = pairs.filter(([a, b]) => order(a, b)).length;
  const look = banded.length < both.length ? null : within.length === both.length ? "good" : "bad";
  return {
    title: "Against measurements",
    value: `off by ${percent(mean)}`,
    look,
    text: [
      `${both.length === 1 ? "the step time" : `mean of ${both.length} step times`}${
          both.length > 1 ? `; at most ${off(worst.predicted.step_time_s, worst.measured.step_time_s)}, ${worst.name}` :
                            ` of ${worst.name}: ${off(worst.predicted.step_time_s, worst.measured.step_time_s)}`}`,
      banded.length ? `${within.length} of ${banded.length} measured times ${banded.length === 1 ? "is" : "are"} in ${
                          banded.length === 1 ? "its" : "their"} 90 % band.` :
                      "No bands: the profile says nothing of its errors.",
      pairs.length ? (right === pairs.length ? "Measured, they come in the predicted order." :
                                               `${right} of ${pairs.length} pairs come in the predicted order.`) :
                     "",
      otherPlans
    ]
  };
}

// Of the fastest of them, beside plain data parallelism.
function subnetworkCard(entries) {
  const plain = entries.find(e => e.predicted && e.predicted.data_parallel),
        own = entries.filter(e => e.predicted && e.predicted.subnetwork)
                  .sort((a, b) => runTime(a.predicted) - runTime(b.predicted));
  if (!plain || !own.length) return null;
  const [best] = own, p = plain.predicted, s = best.predicted, share = runTime(s) / runTime(p),
        peaks = s.peak_memory_bytes !== null && p.peak_memory_bytes ? s.peak_memory_bytes / p.peak_memory_bytes : null,
        sent = sentByAll(s) !== null && sentByAll(p) ? sentByAll(s) / sentByAll(p) : null;
  return {
    title: "Subnetworks",
    value: `${percent(share)} of the run time`,
    text: [
      `${best.name} beside ${plain.name}'s run${
          multiplier(s) === 1 ? "" : `, of ${times(multiplier(s))} as many steps`}`,
      [peaks === null ? "" : `memory ${percent(peaks)}`, sent === null ? "" : `bytes of a step ${percent(sent)}`]
              .filter(text => text)
              .join(", ") +
          (peaks === null && sent === null ? "" : ` of ${plain.name}'s`)
    ]
  };
}

function conclusions(entries, files) {
  const ranked = rankedRuns(entries);
  return cardsOf([
    fastestCard(ranked), differenceCard(ranked), memoryCard(ranked, deviceMemory(files)), measuredCard(entries),
    subnetworkCard(entries)
  ]);
}

// ---- of a sweep ----------------------------------------------------------------------------------

// Of each strategy the row with the most samples per second, the best first.
function bestRows(swept, rows) {
  const figure = known(["run_samples_per_s", "samples_per_s"], swept.figures);
  return {
    figure,
    best: [...bestBy(rows.filter(row => row.status === "played"), figure, row => row.strategy).values()].sort(
        (a, b) => b[figure] - a[figure])
  };
}

class SweepConclusions {
  constructor(swept, pick) {
    Object.assign(this, {swept});
    this.cards = el("div");
    this.table = new Table({name: "best of each strategy", rows: [], columns: this.columns(), pick});
    this.element = el(
        "section", {}, this.cards, el("h2", {}, "Best of each strategy"), this.table.element,
        note(
            "Of the rows that are shown and fit: that with the most samples per second of a run. Settings may differ from one to the next, as their columns say. Choose one for its details."));
  }
  columns() {
    const {swept} = this, {figure} = bestRows(swept, []), text = name => column(name, {isText: true});
    return [
      text("strategy"), column(figure),
      {name: "ahead", label: "of the best", value: row => row[figure] / this.most, shown: v => percent(v)},
      ...swept.axes.map(
          axis =>
              column(axis.name, {label: axis.label, isText: typeof axis.values[0] === "string", order: axis.place})),
      ...["step_time_s", "peak_memory_bytes", "bytes_sent", "mfu"]
          .filter(name => swept.figures.includes(name))
          .map(name => column(name, name === "step_time_s" ? {shown: withBand} : {}))
    ];
  }
  update(rows, scope) {
    const {swept} = this, {figure, best} = bestRows(swept, rows);
    this.most = best.length ? best[0][figure] : 1;
    this.table.update(best);
    const [first] = best;
    this.cards.replaceChildren(cardsOf([
      first ? this.bestCard(first, figure, scope) : this.noneCard(rows, scope),
      first ? this.nextCard(first, rows, figure) : null, first ? this.memoryCard(first) : null,
      rowsCard(swept, rows, scope)
    ]));
  }
  bestCard(first, figure, scope) {
    return {
      title: scope.knowsBest() ? "Best" : "Best on this page",
      value: first.strategy,
      text: [
        `${number(first[figure])} ${label(figure)}, ${seconds(first.step_time_s)} a step${bandText(first)}`,
        placeText(this.swept, first),
        scope.knowsBest() ? "" : "Rows that this page has no room for may be better: results.csv has all."
      ]
    };
  }
  noneCard(rows, scope) {
    if (rows.length && rows.every(row => row.status !== "played") && scope.status !== null)
      return {title: "Best", value: "none", text: ["No row that fits is shown."]};
    if (scope.knowsBest()) return {title: "Best", value: "nothing fits", look: "bad", text: []};
    return {
      title: "Best",
      value: "not on this page",
      text: ["No row of these values is among those that this page has room for. results.csv has all."]
    };
  }
  // Of another strategy at the same settings, or at those that differ the least.
  nextCard(first, rows, figure) {
    const next = nextOf(first, rows, figure, this.swept.axes);
    if (!next) return null;
    const {row, differing} = next, ratio = first[figure] / row[figure],
                said = axis => `${axis.label} ${valueText(row[axis.name])}, not ${valueText(first[axis.name])}`;
    // Of samples per second: the fewest of one, the most of the other.
    const overlap = (a, b) =>
        band(a) && band(b) ? a[figure] * a.step_time_s / band(a)[1] <= b[figure] * b.step_time_s / band(b)[0] : null;
    const bands = overlap(first, row) === null ? "" :
        overlap(first, row)                    ? "Their 90 % bands overlap." :
                                                 "Their 90 % bands do not overlap.";
    return {
      title: differing.length ? "At other settings" : "Ahead of the next",
      value: times(ratio),
      text: [
        `as many samples/s as ${row.strategy}${differing.length ? "" : " at the same settings"}`,
        differing.length ? `Not at the same settings: ${row.strategy} has ${differing.map(said).join("; ")}.` :
                           placeText(this.swept, row),
        bands
      ]
    };
  }
  memoryCard(first) {
    const {memory} = this.swept;
    return isNumber(first[memory]) ? {
      title: isPeak(memory) ? "Memory" : "Memory, at least",
      value: bytes(first[memory]),
      text:
          [isPeak(memory) ? "of the best, on its worst rank" :
                            "of the best, on its worst rank, in closed form: laid out, it may need some per cent more"]
    } :
                                     null;
  }
}

// The best row of another strategy, at settings that differ in as few axes as there are any: {row, differing: axes}.
// What strategies have of their own is no setting of the others.
function nextOf(first, rows, figure, axes) {
  const shared = axes.filter(axis => !axis.name.startsWith("strategies."));
  let next = null;
  for (const row of rows) {
    if (row.status !== "played" || row.strategy === first.strategy || !isNumber(row[figure])) continue;
    const differing = shared.filter(axis => row[axis.name] !== first[axis.name]),
          by = next ? differing.length - next.differing.length : -1;
    if (by < 0 || (by === 0 && isBetter(figure, row[figure], next.row[figure]))) next = {row, differing};
  }
  return next;
}

// Of all rows as the sweep counted them; of some on a page that has not all, only those that it has.
function rowsCard(swept, rows, scope) {
  const counts = scope.isAll() ? swept.statuses : countsOf(rows),
        {played = 0, refused = 0, ["does not fit"]: tooLarge = 0} = counts;
  const text = [`${count(tooLarge)} ${tooLarge === 1 ? "does" : "do"} not fit, ${count(refused)} ${
      refused === 1 ? "is" : "are"} refused`];
  if (!isPeak(swept.memory)) text.push("By the least memory that they need: laid out, what fits by little may not.");
  if (scope.isAll() || swept.hasAll)
    return {title: "Rows", value: `${count(played)} ${played === 1 ? "fits" : "fit"}`, text};
  return {
    title: "Rows",
    value: `${count(rows.length)} on this page`,
    text: [`of ${count(swept.played)} in all. How many rows have these values is not known here: results.csv has all.`]
  };
}
function countsOf(rows) {
  const counts = {};
  for (const row of rows) counts[row.status] = (counts[row.status] || 0) + 1;
  return counts;
}
