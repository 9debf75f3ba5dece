"use strict";
// ---- text: what figures look like ---------------------------------------------------------------

const none = "–";
function scaled(x, steps) {
  const digits = y => Math.abs(y) >= 999.5 ? y.toFixed(0) : y.toPrecision(3);
  for (const [size, unit] of steps) if (Math.abs(x) >= size) return digits(x / size) + " " + unit;
  return x === 0 ? "0" : x.toPrecision(3);
}
const seconds = s => s === null ? none : Math.abs(s) < 5e-12 ? "0 s" : scaled(s, [[1, "s"], [1e-3, "ms"], [1e-6, "us"], [1e-9, "ns"], [1e-12, "ps"]]);
const bytes = b => b === null ? none : b === 0 ? "0 B" : scaled(b, [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]);
const rate = b => b === null ? none : scaled(b, [[1e12, "TB/s"], [1e9, "GB/s"], [1e6, "MB/s"], [1e3, "kB/s"], [1, "B/s"]]);
const percent = x => x === null ? none : (100 * x).toFixed(1) + " %";
const count = n => n.toLocaleString("en", {maximumFractionDigits: 6});
const off = (p, m) => p === m ? "equal" : m === 0 || p === null || m === null ? none : (p > m ? "+" : "") + (100 * (p / m - 1)).toFixed(1) + " %";
const words = name => name.replace(/_/g, " ");

const isTime = name => /_s$/.test(name) && !/per_s$/.test(name);
const isBytes = name => /(^|_)bytes(_|\.|$)/.test(name);
const isShare = name => /fraction$|^mfu$|utilisation$/.test(name);
const isBetterHigh = name => /per_s$|^mfu$|utilisation$/.test(name);

// A value of a column with that name, as people read it.
function show(name, value) {
  if (value === null || value === undefined) return none;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (isTime(name)) return seconds(value);
  if (isBytes(name)) return bytes(value);
  if (isShare(name)) return percent(value);
  if (Number.isInteger(value)) return count(value);
  const isPlain = Math.abs(value) >= 1e-3 && Math.abs(value) < 1e9;
  return isPlain ? count(Number(value.toPrecision(4))) : value.toPrecision(4);
}

const labels = {run_samples_per_s: "samples/s of a run", samples_per_s: "samples/s", tokens_per_s: "tokens/s", mfu: "MFU",
                bubble_fraction: "bubble", exposed_comm_s: "exposed comm", peak_memory_bytes: "peak memory",
                bytes_sent: "sent per worker", bytes_sent_by_all: "sent by all", step_time_low_s: "step time, 5 % below", step_time_high_s: "step time, 5 % above", step_time_p50_s: "step time p50", step_time_p99_s: "step time p99"};
const label = name => labels[name] || (isTime(name) ? words(name.slice(0, -2)) : isBytes(name) ? words(name.replace(/^pool_bytes\./, "").replace(/_bytes$/, "")) : words(name));

// The last keys of paths: as many as tell them apart.
function shortNames(paths) {
  const tail = (path, keys) => path.split(".").slice(-keys).join(".");
  return paths.map(path => {
    for (let keys = 1; ; ++keys) {
      const name = tail(path, keys);
      if (name === path || paths.every(other => other === path || tail(other, keys) !== name)) return name;
    }
  });
}
