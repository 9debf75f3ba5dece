// ---- the critical path: what the step's end waited for -------------------------------------------

const waitKind = "nothing in the plan";
const shareKind = share => share.kind === null ? waitKind : words(share.kind);
const shareColor = share => share.kind === null ? "idle" : share.kind;

function pathPanel(entry) {
  const own = sources.filter(k => entry[k] && pathOf(entry[k]));
  if (!own.length) return null;
  const kinds =
      [...new Map(own.flatMap(k => pathOf(entry[k]).shares).map(share => [shareKind(share), shareColor(share)]))];
  const timeOf = (source, kind) => pathOf(entry[source])
                                       .shares.filter(share => shareKind(share) === kind)
                                       .reduce((sum, share) => sum + share.time_s, 0);
  const lengthOf = source => pathOf(entry[source]).shares.reduce((sum, share) => sum + share.time_s, 0);
  const rows = own.flatMap(
      source =>
          pathOf(entry[source])
              .shares.map(
                  share => ({source, kind: share.kind, time_s: share.time_s, share: share.time_s / lengthOf(source)})));
  return el(
      "div", {class: "panel"}, el("h3", {}, "Critical path: what the step's end waited for"),
      stackedBars(
          `${entry.name}: critical path`, kinds, "time_s",
          own.map(source => ({
                    name: source,
                    values: kinds.map(([kind]) => timeOf(source, kind)),
                    text: seconds(lengthOf(source))
                  }))),
      table({
        name: `${entry.name} critical path`,
        rows,
        columns: [
          ...(own.length > 1 ? [column("source", {label: "figures", isText: true})] : []),
          column("kind", {label: "on the path", isText: true, shown: (v, row) => shareKind(row)}),
          column("time_s", {label: "time"}),
          {name: "share", label: "share", value: row => row.share, shown: v => percent(v)}
        ]
      }),
      own.map(
          source =>
              el("details", {}, el("summary", {}, `Op by op, ${source}`),
                 pathTable(`${entry.name} path ${source}`, entry[source]))));
}

function pathTable(name, s) {
  const rows = pathOf(s).parts.map(([rank, span, start, end]) => ({
                                     rank,
                                     op: span === null ? waitKind : s.timeline[span][3],
                                     kind: span === null ? null : s.timeline[span][2],
                                     start_s: start,
                                     end_s: end,
                                     time_s: end - start
                                   }));
  return table({
    name,
    rows,
    columns: [
      column("start_s", {label: "from"}), column("end_s", {label: "to"}), column("time_s", {label: "time"}),
      column("rank"), column("kind", {isText: true, shown: v => v === null ? none : words(v)}),
      column("op", {isText: true})
    ]
  });
}
