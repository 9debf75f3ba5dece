// ---- subnetworks: what they save, and who holds what --------------------------------------------

// A step with its part of a redraw of masks, and all steps of a run for one of data parallelism's.
const multiplier = s => s.subnetwork ? s.subnetwork.step_multiplier : s.step_multiplier || 1;
const redrawn = (s, get) =>
    s.subnetwork && s.subnetwork.redraw ? get(s.subnetwork.redraw) / s.subnetwork.redraw.every_steps : 0;
const runTime = s => multiplier(s) * (s.step_time_s + redrawn(s, r => r.time_s));
const stateOf = s => s.largest ? s.largest.state_bytes : null;
const activationsOf = s => s.largest ? s.largest.activation_bytes : null;
const sentByAll = s =>
    s.ranks.some(r => r.bytes_sent === null) ? null : s.ranks.reduce((sum, r) => sum + r.bytes_sent, 0);
const worstSent = s => s.ranks.some(r => r.bytes_sent === null) ? null : Math.max(0, ...s.ranks.map(r => r.bytes_sent));

// Of a unit: the fewest, the mean and the most, where they are not equal.
function holdersOf(it) {
  const counts = it.units.length ? it.units.map(unit => unit.holders.length) : [it.holders];
  const least = Math.min(...counts), most = Math.max(...counts), mean = counts.reduce((a, b) => a + b) / counts.length;
  return {
    mean,
    text: least === most ? `${least} of ${it.workers}` :
                           `${least} / ${Number(mean.toPrecision(4))} / ${most} of ${it.workers}`,
    same: least === most
  };
}

function subnetworkTable(entries, plain) {
  const ddp = plain ? plain.predicted : null,
        share = (x, whole) => ddp && whole && x !== null ? percent(x / whole) : none;
  const beside = get =>
      ({shown: value => value === null ? none : bytes(value) + (ddp && get(ddp) ? `, ${share(value, get(ddp))}` : "")});
  const sentPerRun = s => ddp && sentByAll(s) !== null && sentByAll(ddp) ?
      multiplier(s) * (sentByAll(s) + redrawn(s, r => r.bytes_received * s.ranks.length)) / sentByAll(ddp) :
      null;
  const of = (name, text, get, more = {}) => ({name, label: text, value: e => get(e.predicted), ...more});
  return table({
    name: "subnetworks",
    rows: entries,
    columns: [
      {name: "strategy", label: "strategy", isText: true, value: e => e.name},
      of("coverage", "coverage", s => holdersOf(s.subnetwork).mean / s.subnetwork.workers, {shown: number}),
      of("holders", "holders", s => holdersOf(s.subnetwork).text), of("state_bytes", "state", stateOf, beside(stateOf)),
      of("activation_bytes", "activations", activationsOf, beside(activationsOf)),
      of("bytes_sent_by_all", "sent per step", sentByAll, beside(sentByAll)),
      of("step_multiplier", "steps of a run", multiplier, {shown: times}),
      of("sent_per_run_fraction", "sent per run", sentPerRun),
      of("run_time_fraction", "run time", s => ddp ? runTime(s) / ddp.step_time_s : null)
    ]
  });
}

function subnetworkNotes(entries, plain, all) {
  const notes =
      [`${
           plain ? `Shares are of ${plain.name}'s. ` :
                   ""}Most state and most activations of a rank; bytes of all ranks together.` +
       (entries.every(e => holdersOf(e.predicted.subnetwork).same) ?
            "" :
            " Holders of units that have not equally many: fewest / mean / most.")];
  const others = entries.map(e => [e.name, e.predicted.subnetwork])
                     .filter(
                         ([, it]) => it.equal_flops_multiplier &&
                             Math.abs(it.equal_flops_multiplier / it.step_multiplier - 1) > 0.05);
  if (others.length)
    notes.push(`Equal FLOPs are other steps: ${
        others.map(([name, it]) => `${name} × ${it.equal_flops_multiplier.toPrecision(3)}`).join(", ")}.`);
  for (const e of entries.filter(e => e.predicted.subnetwork.redraw)) {
    const it = e.predicted.subnetwork.redraw;
    notes.push(`${e.name} redraws its masks every ${it.every_steps} steps: ${bytes(it.bytes_received)} to a rank, in ${
        seconds(it.time_s)}; the pictures are of the first draw.`);
  }
  for (const [what, get] of [["state", stateOf], ["activations", activationsOf]]) {
    const parts =
        all.filter(
               e => e.predicted && !e.predicted.subnetwork && !e.predicted.data_parallel && get(e.predicted) !== null)
            .map(e => {
              const more = entries.filter(o => get(o.predicted) !== null && get(e.predicted) < get(o.predicted));
              return more.length ?
                  `${e.name} (${bytes(get(e.predicted))}) than ${
                      more.length === entries.length ? "any of these" : more.map(o => o.name).join(", ")}` :
                  "";
            })
            .filter(part => part);
    if (parts.length) notes.push(`Less ${what}: ${parts.join("; ")}.`);
  }
  return notes.map(note);
}

// Units by workers, whose numbers stand above; how many hold a unit at its right, how many a worker holds below.
function assignmentPicture(name, {units, workers}) {
  const left = 20 + 6.8 * Math.max(10, ...units.map(unit => unit.name.length)), top = 20, h = 16,
        w = Math.max(10, Math.min(26, 900 / workers));
  const bottom = top + units.length * h, width = left + workers * w + 60, place = k => left + k * w;
  const rows = units.map((unit, i) => {
    const holders = new Set(unit.holders), y = top + i * h;
    const cells = Array.from({length: workers}, (_, k) => {
      const isParked = unit.parked === k;
      return svg(
          "rect", {
            x: place(k),
            y: y + 1,
            width: w - 1.5,
            height: h - 2,
            rx: 2,
            class: holders.has(k) ? "held" : "left",
            stroke: isParked ? "var(--exposed)" : null,
            "stroke-width": isParked ? 2 : null
          },
          svg("title", {},
              `${unit.name}, worker ${k}: ${
                  holders.has(k) ? "held" :
                      isParked   ? "parked here, held by nobody" :
                                   "left out"}`));
    });
    return [
      svg("text", {x: 0, y: y + 12}, unit.name), cells,
      svg("text", {x: place(workers) + 6, y: y + 12}, String(unit.holders.length))
    ];
  });
  const loads = Array.from({length: workers}, (_, k) => units.filter(unit => unit.holders.includes(k)).length);
  // As many numbers as there is room for.
  const step = Math.ceil((7 * String(Math.max(workers - 1, ...loads)).length + 4) / w),
        numbers = (texts, y) => texts.map(
            (text, k) =>
                k % step ? null : svg("text", {x: place(k) + w / 2 - 1, y, "text-anchor": "middle"}, String(text)));
  return el(
      "div", {class: "scroll", tabindex: 0, role: "region", "aria-label": `assignment of ${name}`},
      svg("svg", {
        class: "assignment",
        width,
        height: bottom + 20,
        role: "img",
        "aria-label": `${name}: ${units.length} units, ${workers} workers, which hold ${loads.join(", ")} of them`
      },
          svg("text", {x: 0, y: 14}, "worker"), numbers(loads.map((_, k) => k), 14),
          svg("text", {x: place(workers) + 6, y: 14}, "holders"), rows.flat(2),
          svg("text", {x: 0, y: bottom + 13}, "units held"), numbers(loads, bottom + 13)));
}
const holdersTable = (name, {units}) =>
    el("details", {}, el("summary", {}, "Who holds what as a table"), table({
         name: `${name} holders`,
         rows: units.map(unit => ({
                           unit: unit.name,
                           count: unit.holders.length,
                           holders: unit.holders.join(" "),
                           parked: unit.parked ?? null
                         })),
         columns: [
           column("unit", {isText: true}), column("count", {label: "holders"}),
           column("holders", {label: "workers that hold it", isText: true, isWide: true}),
           ...(units.some(unit => unit.parked !== undefined) ? [column("parked", {label: "parked at"})] : [])
         ]
       }));

// What each worker carries, and how well they mix.
function workerLoads(e) {
  const it = e.predicted.pictures && e.predicted.pictures.assignment;
  if (!it) return null;
  return [
    note(`Spectral gap ${it.spectral_gap.toFixed(4)}${
        it.connected ? "" : ": the workers fall into parts that share no unit"}. Sums of gradients: ${
        count(it.collectives)}, in groups: ${count(it.groups)}, in rounds: ${count(it.rounds)} at least.`),
    table({
      name: `${e.name} loads of workers`,
      rows: it.loads.map((load, worker) => ({worker, ...load})),
      columns: [
        column("worker"), column("units"), column("share_of_units", {shown: v => percent(v)}),
        column("flops_per_sample", {label: "FLOPs of a sample"}), column("parameters"), column("state_bytes"),
        column("activation_bytes", {label: "activations"})
      ]
    })
  ];
}

function subnetworkSection(all) {
  const entries = all.filter(e => e.predicted && e.predicted.subnetwork);
  if (!entries.length) return null;
  const plain = all.find(e => e.predicted && e.predicted.data_parallel);
  const pictures = entries.filter(e => e.predicted.subnetwork.units.length);
  return el(
      "section", {id: "subnetworks"}, el("h2", {}, "Subnetworks"), subnetworkTable(entries, plain),
      subnetworkNotes(entries, plain, all), pictures.length ? el("h3", {}, "Who holds what, unit by worker") : null,
      pictures.length ? legend([["held", "parameters"], ["left out", "idle"]]) : null,
      pictures.map(
          e =>
              el("details", {class: "panel", open: pictures.length <= 4}, el("summary", {}, e.name),
                 assignmentPicture(e.name, e.predicted.subnetwork), holdersTable(e.name, e.predicted.subnetwork),
                 workerLoads(e))));
}
