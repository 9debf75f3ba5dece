// ---- strategies: predictions and runs -----------------------------------------------------------

const sources = ["predicted", "measured"];

// By strategy: {name, predicted?, measured?}.
function entriesOf(files) {
  const entries = new Map();
  for (const source of sources)
    for (const file of files.filter(f => f.source === source))
      for (const s of file.strategies) {
        if (!entries.has(s.strategy)) entries.set(s.strategy, {name: s.strategy, files: {}});
        const entry = entries.get(s.strategy);
        entry[source] = s;
        entry.files[source] = file;
      }
  return [...entries.values()];
}
const runsOf = (entries, take = () => true) => entries.flatMap(
    e => sources.filter(k => e[k] && take(e[k]))
             .map(k => ({
                    name: entries.some(o => o.measured) ?
                        `${e.name}, ${k}${k === "measured" && hasOtherPlan(e) ? " with another plan" : ""}` :
                        e.name,
                    s: e[k]
                  })));

function strategyTable(entries) {
  const predicted = entries.filter(e => e.predicted), {best} = rankedRuns(entries);
  const isCheaper = predicted.some(e => multiplier(e.predicted) !== 1);
  const named = (name, e) => e === best && predicted.length > 1 ?
      el("span", {}, el("span", {class: "best"}, name),
         el("span", {class: "tag"}, isCheaper ? "fastest run" : "fastest")) :
      name;
  const of = (name, more = {}) => column(name, {value: e => (e.predicted || e.measured)[name] ?? null, ...more});
  const columns = [
    {name: "strategy", label: "strategy", isText: true, value: e => e.name, shown: named},
    column(
        "step_time_s",
        {value: e => e.predicted ? e.predicted.step_time_s : null, shown: (v, e) => withBand(v, e.predicted)}),
    column("measured_step_time_s", {
      label: "measured",
      value: e => e.measured ? e.measured.step_time_s : null,
      shown: (v, e) => v !== null && hasOtherPlan(e) ?
          el("span", {}, show("step_time_s", v), el("span", {class: "tag"}, "another plan")) :
          show("step_time_s", v)
    }),
    of("samples_per_s"), of("peak_memory_bytes"),
    of("fits", {shown: v => v === false ? el("span", {class: "no"}, "no") : show("fits", v)}),
    column("bytes_sent", {value: e => worstSent(e.predicted || e.measured)}), of("exposed_comm_s"), of("idle_s"),
    of("bubble_fraction"), of("mfu")
  ];
  const isTold = c => entries.some(e => c.value(e) !== null);
  const notes = predicted.filter(e => e.predicted.local_steps).map(e => {
    const it = e.predicted.local_steps;
    return note(`${e.name}: means over ${it.steps} steps, ${it.steps - 1} local ones of ${
        seconds(it.local_step_time_s)} and one of ${seconds(it.synchronising_step_time_s)} that synchronises.`);
  });
  const bands = ["step_time_low_s", "step_time_high_s"]
                    .map(name => column(name, {value: e => e.predicted ? e.predicted[name] ?? null : null}))
                    .filter(isTold);
  return [
    table({
      name: "strategies",
      inCsv: bands,
      columns: columns.filter(c => isTold(c) || !["mfu", "measured_step_time_s"].includes(c.name)),
      rows: entries
    }),
    isCheaper ?
        note(
            "A cheaper step is no cheaper run: the fastest run counts all steps that a strategy takes for the same work, and redraws of masks.") :
        null,
    notes
  ];
}

const poolNames = new Set([
  "arena", "parameters", "gradients", "optimizer_state", "activations", "communication", "workspace", "context",
  "fragmentation", "stand_ins", "communicators", "carried"
]);
// What no pool has of a peak is room between tensors that nobody uses.
function memoryBars(pools, rows, limit = null) {
  const rest = ({values, peak}) => Math.max(0, peak - values.reduce((sum, v) => sum + v, 0));
  const parts = [
    ...pools.map((pool, k) => [words(pool), poolNames.has(pool) ? pool : seriesColor(k)]),
    ["unused between tensors", "idle"]
  ];
  return stackedBars(
      "memory by pool", parts, "peak_memory_bytes",
      rows.map(row => ({name: row.name, values: [...row.values, rest(row)], text: bytes(row.peak)})), limit);
}

const deviceMemory = files => files.map(f => f.device_memory_bytes).find(size => size > 0) ?? null;

function comparison(entries, files) {
  const runs = runsOf(entries), pools = [...new Set(runs.flatMap(({s}) => Object.keys(s.pool_bytes)))];
  const withMemory = runs.filter(({s}) => s.peak_memory_bytes !== null && Object.keys(s.pool_bytes).length),
        sent = runs.filter(({s}) => worstSent(s) !== null), room = deviceMemory(files);
  return [
    el("div", {class: "panel"}, el("h3", {}, "One step, on the rank that computes longest"),
       stackedBars(
           "step time", timeParts, "step_time_s",
           runs.map(({name, s}) => ({name, values: timesOf(s), text: seconds(s.step_time_s), band: band(s)})))),
    el("div", {class: "pair"},
       withMemory.length ?
           el("div", {class: "panel"}, el("h3", {}, "Memory on the worst rank"),
              memoryBars(
                  pools,
                  withMemory.map(
                      ({name, s}) =>
                          ({name, values: pools.map(pool => s.pool_bytes[pool] || 0), peak: s.peak_memory_bytes})),
                  room ? {value: room, text: `the device's ${bytes(room)}`} : null)) :
                         null,
       sent.length ? el("div", {class: "panel"}, el("h3", {}, "Most bytes that a worker sends"),
                                      stackedBars(
                                          "bytes sent", [["sent", "all_reduce"]], "bytes_sent",
                                          sent.map(({name, s}) => ({name, values: [worstSent(s)], text: bytes(worstSent(s))})))) :
                                   null),
    strategyPareto(entries)
  ];
}

// Predictions by what they take and what they need: a cheaper step is no cheaper run, so runs are compared.
function strategyPareto(entries) {
  const rows = entries.filter(e => e.predicted && e.predicted.peak_memory_bytes !== null)
                   .map(e => ({
                          name: e.name,
                          number: entries.indexOf(e),
                          fits: e.predicted.fits !== false,
                          run_time_per_step_s: runTime(e.predicted),
                          peak_memory_bytes: e.predicted.peak_memory_bytes
                        }));
  if (rows.length < 2) return null;
  const [x, y] = ["run_time_per_step_s", "peak_memory_bytes"], front = frontOf(rows.filter(row => row.fits), x, y);
  const open = row => {
    const section = document.getElementById(`strategy${row.number}`);
    section.open = true;
    section.scrollIntoView();
  };
  const chart = new Chart({name: "Memory against time", height: 280, pick: point => open(point.row)});
  const text = row =>
      `${row.name}\n${label(x)} ${show(x, row[x])}\n${label(y)} ${show(y, row[y])}${row.fits ? "" : "\ndoes not fit"}`;
  chart.update({
    x,
    y,
    log: true,
    series: [
      ...rows.map(
          (row, k) =>
              ({name: row.fits ? row.name : `${row.name} (does not fit)`, color: seriesColor(k), isHollow: !row.fits})),
      {name: "not beaten in both", color: "soft", isJoined: true, hasPoints: false}
    ],
    points: [
      ...rows.map((row, k) => ({x: row[x], y: row[y], series: k, text: text(row), row})),
      ...front.map(row => ({x: row[x], y: row[y], series: rows.length}))
    ]
  });
  return el(
      "div", {class: "panel"}, el("h3", {}, "Memory against time"), chart.element,
      note("Predictions, on their worst rank. Click a point for its strategy."));
}

function predictedAgainstMeasured({name, predicted: p, measured: m}) {
  const sum = (s, key) => s.ranks.some(r => r[key] === null) ? null : s.ranks.reduce((a, r) => a + r[key], 0);
  const row = (what, unit, predicted, measured) =>
      ({what, unit, predicted, measured, off: measured && predicted !== null ? predicted / measured - 1 : null});
  const rows = [row("step time", "step_time_s", p.step_time_s, m.step_time_s)];
  for (const k of p.op_kinds) {
    const same = m.op_kinds.find(other => other.kind === k.kind);
    if (same) rows.push(row(`${words(k.kind)} (${count(k.ops)} ops)`, "busy_s", k.busy_s, same.busy_s));
  }
  rows.push(row("bytes sent, all ranks", "bytes_sent", sum(p, "bytes_sent"), sum(m, "bytes_sent")));
  for (const key of ["arena_bytes", "peak_memory_bytes"])
    rows.push(row(key === "arena_bytes" ? "tensor arena" : "peak memory", key, p[key], m[key]));
  return table({
    name: `${name} predicted and measured`,
    rows,
    columns: [
      {name: "figure", label: "figure", isText: true, value: r => r.what},
      ...sources.map(
          source => ({name: source, label: source, value: r => r[source], shown: (v, r) => show(r.unit, v)})),
      {name: "off_by", label: "off by", value: r => r.off, shown: (v, r) => off(r.predicted, r.measured)}
    ]
  });
}

function againstMeasured(entry) {
  return hasOtherPlan(entry) ? note(`Predicted with plan ${entry.predicted.plan_hash}, measured with plan ${
                                   entry.measured.plan_hash}: not the same plan, so that they are not compared.`) :
                               predictedAgainstMeasured(entry);
}

// The timelines and all else that is drawn over the time of the step: they zoom together.
function timelines(entry) {
  const own = sources.filter(k => entry[k] && entry[k].timeline.length);
  if (!own.length) return null;
  const horizon = Math.max(
      1e-12,
      own.reduce(
          (most, k) => entry[k].timeline.reduce((end, t) => Math.max(end, t[5]), Math.max(most, entry[k].step_time_s)),
          0));
  const kinds = [...new Set(own.flatMap(k => entry[k].timeline.map(t => t[2])))], view = new View(horizon),
        hasPath = own.some(k => pathOf(entry[k]));
  const mark = on => {
    for (const timeline of view.timelines) {
      timeline.showsPath = on;
      timeline.redraw();
    }
  };
  return [
    el("div", {class: "panel"},
       legend([...kinds.map(k => [words(k), k]), ...(hasPath ? [["critical path", "path"]] : [])]), view.buttons(),
       hasPath ? el("div", {class: "controls"}, tick("mark the critical path", true, mark)) : null,
       own.map(k => new Timeline(`${entry.name}, ${k}: one step`, entry[k], view).element)),
    pathPanel(entry),
    entry.predicted ?
        [memoryOverTime(entry.name, entry.predicted, view), linksOverTime(entry.name, entry.predicted, view)] :
        null
  ];
}

const mostRankBars = 64;
function rankPanels(name, s) {
  const bars = (title, figures, draw) => {
    const groups = alikeRanks(s.ranks, figures), left = groups.length - mostRankBars;
    return el(
        "div", {class: "panel"}, el("h3", {}, title), draw(groups.slice(0, mostRankBars)),
        left > 0 ? note(`And ${count(left)} more that differ: the table of ranks has all.`) : null);
  };
  const busy = bars(
      "Ranks: one step", ["compute_s", "exposed_comm_s", "idle_s"],
      groups => stackedBars(
          `${name}: time of ranks`, timeParts, "step_time_s",
          groups.map(
              ({name, rank}) =>
                  ({name, values: timesOf(rank), text: seconds(rank.compute_s + rank.exposed_comm_s + rank.idle_s)}))));
  const memory = s.ranks.every(r => r.peak_memory_bytes !== null) && s.ranks.length ?
      bars(
          "Ranks: peak memory", ["peak_memory_bytes", "arena_bytes"],
          groups => stackedBars(
              `${name}: memory of ranks`, [["tensors", "parameters"], ["beside tensors", "workspace"]],
              "peak_memory_bytes", groups.map(({name, rank: r}) => ({
                                                name,
                                                values: [
                                                  Math.min(r.arena_bytes, r.peak_memory_bytes),
                                                  Math.max(0, r.peak_memory_bytes - r.arena_bytes)
                                                ],
                                                text: bytes(r.peak_memory_bytes)
                                              })))) :
      null;
  return el("div", {class: "pair"}, busy, memory);
}

// Where the page has the busiest alone: sums of all, by the kinds of their names.
const linksOf = s =>
    data.links.flatMap((own, file) => own.filter((_, k) => data.summaries[file].strategies[k] === s))[0] || null;
function allLinks(name, {links, kinds}, shown) {
  return [
    table({
      name: `${name} kinds of links`,
      rows: kinds,
      columns: [
        column("name", {label: "links whose numbers differ", isText: true}), column("links", {label: "how many"}),
        column("bytes", {label: "bytes of a step"}),
        column("mean_utilisation", {label: "used, mean", shown: v => percent(v)}),
        column("most_utilisation", {label: "used, at most", shown: v => el("span", {}, meter(v), percent(v))})
      ]
    }),
    note(`The busiest ${count(shown)} of ${count(links)} links: a page has no room for more.`)
  ];
}

function tablesOf(name, s) {
  const pools = Object.entries(s.pool_bytes).map(([pool, size]) => ({pool, size_bytes: size}));
  const fold = (text, content) => el("details", {}, el("summary", {}, text), content);
  const all = linksOf(s);
  return [
    s.links.length ?
        el("div", {class: "panel"}, el("h3", {}, "Links"), all ? allLinks(name, all, s.links.length) : null, table({
             name: `${name} links`,
             rows: [...s.links].sort((a, b) => b.utilisation - a.utilisation),
             columns: [
               column("name", {label: "link", isText: true}), column("bytes", {label: "bytes of a step"}),
               column("utilisation", {label: "used", shown: v => el("span", {}, meter(v), percent(v))})
             ]
           })) :
        null,
    pools.length ? fold("Memory on the worst rank, by pool", table({
                          name: `${name} pools`,
                          rows: pools,
                          columns: [column("pool", {isText: true, shown: words}), column("size_bytes", {label: "size"})]
                        })) :
                   null,
    fold("Ranks", table({
           name: `${name} ranks`,
           rows: s.ranks,
           columns: [
             "rank", "peak_memory_bytes", "arena_bytes", "arena_live_bytes", "bytes_sent", "bytes_received",
             "compute_s", "exposed_comm_s", "idle_s"
           ].map(key => column(key, key === "bytes_sent" ? {label: "sent"} : {}))
         })),
    s.op_kinds.length ? fold("Kinds of ops", table({
                               name: `${name} op kinds`,
                               rows: s.op_kinds,
                               columns: [
                                 column("kind", {isText: true, shown: words}), column("ops", {label: "ops of a step"}),
                                 column("busy_s", {label: "busy, of a rank"})
                               ]
                             })) :
                        null
  ];
}

function training(name, s) {
  if (s.losses.length < 2) return null;
  const lost = s.losses.indexOf(null);  // a loss that is no number
  const chart = new Chart({name: `${name}, training loss`, height: 220});
  chart.update({
    x: "step",
    y: "loss",
    series: [{name: "training loss", color: "series0", isJoined: true, hasPoints: false}],
    points: s.losses.slice(0, lost < 0 ? s.losses.length : lost)
                .map((loss, i) => ({x: i + 1, y: loss, series: 0, text: `step ${i + 1}: loss ${number(loss)}`}))
  });
  return el(
      "div", {class: "panel"},
      el("h3", {}, `Training loss over ${s.losses.length} steps${lost < 0 ? "" : `: diverged in step ${lost + 1}`}`),
      chart.element,
      s.evaluations.map(
          v => note(`after ${v.step} steps: test accuracy ${percent(v.accuracy)}${
              v.loss === null ? "" : ", loss " + number(v.loss)}`)));
}

// Where the figures are from, as far as the files say.
function provenance(entry) {
  const told = sources.filter(k => entry[k]).map(k => {
    const file = entry.files[k];
    return `${k} ${k === "predicted" ? "by the profile" : "on"} ${file.device}${
        file.transport ? `, messages over ${file.transport}` : ""}, plan ${entry[k].plan_hash}`;
  });
  const times = entry.predicted && entry.predicted.step_times;
  const rests = entry.predicted && entry.predicted.price_shares, range = band(entry.predicted);
  if (rests)
    told.push(`computing is priced by ${
        Object.entries(rests)
            .filter(([, share]) => share > 0)
            .map(([kind, share]) => `${kind} rates (${percent(share)})`)
            .join(", ")}`);
  if (range)
    told.push(`90 % of runs are expected to take between ${seconds(range[0])} and ${seconds(range[1])} for a step`);
  const leftOut = (entry.predicted && entry.predicted.pictures && entry.predicted.pictures.left_out) || [];
  return [
    note(told.join("; ") + "."), leftOut.length ? note(`Left out: ${leftOut.join("; ")}.`) : null,
    times ? note(`The step time is the mean of ${count(times.steps)} steps that differ by chance: p50 ${
                seconds(times.p50_s)}, p99 ${seconds(times.p99_s)}.`) :
            null
  ];
}

function strategySection(entry, isOpen, id) {
  const s = entry.predicted || entry.measured;
  return el(
      "details", {class: "strategy", open: isOpen, id}, el("summary", {}, el("h2", {}, entry.name)), provenance(entry),
      entry.predicted && entry.measured ? againstMeasured(entry) : null, timelines(entry), gridPanel(entry),
      rankPanels(entry.name, s), tablesOf(entry.name, s), entry.measured ? training(entry.name, entry.measured) : null);
}

function summariesSections(files) {
  const entries = entriesOf(files), predicted = files.filter(f => f.source === "predicted"),
        measured = entries.filter(e => e.measured);
  const told = `${count(entries.length)} ${entries.length === 1 ? "strategy" : "strategies"}, ${
                   predicted.length ? "predicted for " + [...new Set(predicted.map(f => f.device))].join(", ") :
                                      "none predicted"}; ` +
      (measured.length ? "measured: " + measured.map(e => e.name).join(", ") : "none measured") + ".";
  const few = entries.length <= 4;
  return [
    note(told), conclusions(entries, files),
    el("section", {id: "strategies"}, el("h2", {}, "Strategies"), strategyTable(entries), comparison(entries, files)),
    subnetworkSection(entries), topologySection(files, entries),
    el("nav", {"aria-label": "strategies"},
       entries.map(
           (e, k) =>
               el("a", {
                 href: `#strategy${k}`,
                 onclick: () => {
                   document.getElementById(`strategy${k}`).open = true;
                 }
               },
                  e.name))),
    entries.map((e, k) => strategySection(e, few || k === 0, `strategy${k}`)), provenanceSection(entries)
  ];
}
