// ---- where figures are from ----------------------------------------------------------------------

const band = s => s && s.step_time_low_s !== undefined && s.step_time_low_s !== null &&
        s.step_time_high_s !== undefined && s.step_time_high_s !== null ?
    [s.step_time_low_s, s.step_time_high_s] :
    null;
const bandText = s => band(s) ? ` (${seconds(band(s)[0])} to ${seconds(band(s)[1])})` : "";
const withBand = (value, s) => el("span", {}, seconds(value), band(s) ? el("small", {}, bandText(s)) : null);

function provenanceRows(entries) {
  return entries.flatMap(e => sources.filter(source => e[source]).map(source => {
    const s = e[source], file = e.files[source], range = band(s), rests = s.price_shares || {};
    return {
      strategy: e.name,
      source,
      device: file.device,
      transport: file.transport || null,
      measured: rests.measured ?? null,
      published: rests.published ?? null,
      assumed: rests.assumed ?? null,
      step_time_s: s.step_time_s,
      step_time_low_s: range ? range[0] : null,
      step_time_high_s: range ? range[1] : null,
      steps: s.step_times ? s.step_times.steps : null,
      plan_hash: s.plan_hash
    };
  }));
}

const origins = [
  [
    "predicted times",
    "a simulation of the plan, whose ops are priced by the profile's rates; messages by the cluster's links"
  ],
  [
    "predicted memory",
    "the plan's own arena, buffer by buffer, with what the profile says of libraries, contexts and allocators beside it"
  ],
  ["bytes sent and of links", "counted in the plan, message by message; no rate is in them"],
  [
    "samples/s, MFU, bubble, exposed communication, idle",
    "the predicted or the measured timeline; an MFU counts executed model FLOPs by the profile's peak"
  ],
  ["measured figures", "a run with the same plan: clocks around its ops, its arena and its messages"],
  ["critical path, curves, grids, links over time", "the same step as the timeline's: that of median length"]
];

// What neither profile nor cluster price, by the keys that would.
const missingPrices = {
  messaging: "what a message costs its ranks",
  capacity: "how ranks share a node's cores",
  launch: "what queueing a kernel takes the host",
  interconnect: "the links between GPUs of a node"
};
function missingNote(entries) {
  const missing = [...new Set(entries.flatMap(e => e.predicted && e.predicted.missing_prices || []))];
  return missing.length ?
      note(`Taken for nothing, since neither the profile nor the cluster says anything of it: ${
          missing.map(name => `${missingPrices[name] || "a price"} (${name})`).join(", ")}.`) :
      null;
}

function provenanceSection(entries) {
  const rows = provenanceRows(entries), isTold = c => rows.some(row => c.value(row) !== null),
        share = name => column(name, {label: `${name} rates`, shown: v => percent(v)});
  const columns = [
    column("strategy", {isText: true}), column("source", {label: "figures", isText: true}),
    column("device", {label: "profile or backend", isText: true}), column("transport", {isText: true}),
    share("measured"), share("published"), share("assumed"), column("step_time_s"),
    column("step_time_low_s", {label: "at least"}), column("step_time_high_s", {label: "at most"}),
    column("steps", {label: "steps of chance"}), column("plan_hash", {label: "plan", isText: true})
  ];
  return el(
      "section", {id: "provenance"}, el("h2", {}, "Where the figures are from"),
      table({name: "provenance", rows, columns: columns.filter(isTold)}),
      note(
          "Shares are of the time that is computed, by the kind of rate it is priced with: measured on such a device, published by others, or assumed." +
          (rows.some(row => row.step_time_low_s !== null) ?
               " At least and at most: the ends of the band in which 90 % of runs are expected." :
               "")),
      missingNote(entries),
      el("dl", {}, origins.map(([what, from]) => el("div", {}, el("dt", {}, what), el("dd", {}, from)))));
}

// Rows say by which method they are; which rates a profile has is said of one prediction at a time.
const sweepOrigins = {
  simulate: [
    ["times", "a simulation of each row's plan, whose ops are priced by the device profile that its scenario names"],
    [
      "memory",
      "the plan's own arena, buffer by buffer, with what the profile says of libraries, contexts and allocators beside it"
    ],
    ["bytes", "counted in the plan, message by message"]
  ],
  estimate: [
    ["times", "closed forms of the plan's, priced by the device profile that its scenario names; nothing is simulated"],
    [
      "memory, at least",
      "the tensors that are alive at once, and what the profile says of libraries, contexts and allocators; gaps of the " +
          "arena are not in it, so that what fits by little may not fit when it is laid out"
    ]
  ]
};
function sweepProvenance(sweep) {
  const origins = sweepOrigins[sweep.method] || [];
  return el(
      "section", {}, el("h2", {}, "Where the figures are from"),
      el("dl", {},
         [
           ...origins,
           [
             "bands",
             "errors that the profile states: 90 % of runs are expected between the step time's 5 % and 95 % quantiles"
           ]
         ].map(([what, from]) => el("div", {}, el("dt", {}, what), el("dd", {}, from)))),
      note(
          `Which of its rates are measured, published or assumed, a prediction of one scenario says: rehearse simulate ${
              sweep.files[0].file}.`));
}
