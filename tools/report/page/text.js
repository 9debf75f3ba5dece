"use strict";
// ---- text: what figures look like ---------------------------------------------------------------

// As the terminal and the pictures for papers say them: model/base/text.cc, model/base/human_number.cc.
const none = "–";
const significant = x => x.toFixed(Math.abs(x) >= 99.95 || x === 0 ? 0 : Math.abs(x) >= 9.995 ? 1 : 2);
// "1.235e-05": an exponent of two digits at least.
const exponential = x => x.toExponential(3).replace(/\.?0+e/, "e").replace(/e([+-])(\d)$/, "e$10$2");
function scaled(x, steps) {
  for (const [size, unit] of steps) {
    if (Math.abs(x) >= 1e9 * size) return `${exponential(x / size)} ${unit}`;
    if (Math.abs(x) >= 0.9995 * size) return `${significant(x / size)} ${unit}`;
  }
  const [size, unit] = steps[steps.length - 1];
  return `${Number((x / size).toPrecision(3))} ${unit}`;
}
const timeUnits = [[1, "s"], [1e-3, "ms"], [1e-6, "us"], [1e-9, "ns"], [1e-12, "ps"]];
const byteUnits = [[2 ** 50, "PiB"], [2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];
const rateUnits = [[1e12, "TB/s"], [1e9, "GB/s"], [1e6, "MB/s"], [1e3, "kB/s"], [1, "B/s"]];
const seconds = s => s === null ? none : Math.abs(s) < 5e-12 ? "0 s" : scaled(s, timeUnits);
const bytes = b => b === null ? none : Math.abs(b) < 1000 ? `${Math.round(b)} B` : scaled(b, byteUnits);
const rate = b => b === null ? none : scaled(b, rateUnits);
const percent = x => x === null ? none : (100 * x).toFixed(1) + " %";
const count = n => n.toLocaleString("en", {maximumFractionDigits: 6});
// Of no unit, or with one beside it: four significant digits, and all of whole numbers.
function number(x) {
  const size = Math.abs(x);
  if (size < 1e15 && (Number.isInteger(x) || size >= 999.95)) return count(Math.round(x));
  return size < 1e-4 || size >= 1e15 ? exponential(x) : String(Number(x.toPrecision(4)));
}
const off = (p, m) => p === m           ? "equal" :
    m === 0 || p === null || m === null ? none :
                                          (p > m ? "+" : "") + (100 * (p / m - 1)).toFixed(1) + " %";
// Collectives as the field writes them: "all-reduce". The pictures for papers have the same (tools/figures/words.h).
const words = name => name.replace(/_/g, /^(all_reduce|reduce_scatter|all_gather)$/.test(name) ? "-" : " ");

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
  return number(value);
}

// Ticks between two values of a figure, so many at most: 1, 2 or 5 times a power of ten of one unit that suits
// both ends, and what they say.
function ticksOf(figure, from, to, most) {
  const units = isTime(figure) ? timeUnits : isBytes(figure) ? byteUnits : isShare(figure) ? [[0.01, "%"]] : [[1, ""]];
  const end = Math.max(Math.abs(from), Math.abs(to)),
        [size, unit] = units.find(([size]) => end >= size) || units[units.length - 1];
  const rough = (to - from) / size / most, power = 10 ** Math.floor(Math.log10(rough)),
        step = [1, 2, 5, 10].map(k => k * power).find(k => k >= rough * (1 - 1e-9));
  const ticks = [];
  for (let k = Math.ceil(from / size / step - 1e-9); k * step <= to / size * (1 + 1e-9); ++k)
    ticks.push(k * step * size);
  // As many digits as the step has, and no zeros that nothing needs.
  const text = value => {
    const plain = Number((value / size).toPrecision(12));
    return plain === 0 ? "0" :
                         `${
                             unit                        ? String(plain) :
                                 Number.isInteger(plain) ? number(plain) :
                                                           String(plain)}${unit ? " " + unit : ""}`;
  };
  return {ticks, text};
}

// A moment, with as many digits as tell it from others that are some hundredths of a length away.
function moment(time, length) {
  const [size, unit] = timeUnits.find(([size]) => Math.abs(time) >= 0.9995 * size) || timeUnits[timeUnits.length - 1];
  const digits = Math.min(Math.round(Math.log10(size / 1e-12)), Math.max(0, 2 - Math.floor(Math.log10(length / size))));
  return length > 0 && time !== 0 ? `${(time / size).toFixed(digits)} ${unit}` : seconds(time);
}

// Of a logarithmic axis: powers of ten, of bytes of two, so far apart that there are few, but two at least; each has
// its own unit.
function logTicksOf(figure, from, to, most) {
  const base = isBytes(figure) ? 2 : 10, first = Math.log(from) / Math.log(base), last = Math.log(to) / Math.log(base);
  const ticksOfPowers = (apart, factors) => {
    const ticks = [];
    for (let k = Math.floor(first / apart) * apart; k <= last; k += apart)
      ticks.push(...factors.map(factor => factor * base ** k));
    return ticks.filter(tick => tick >= from * (1 - 1e-9) && tick <= to * (1 + 1e-9));
  };
  const widths = [1, 2, 5, 10, 20, 50, 100], fine = base === 10 ? [[1, [1, 2, 5]]] : [],
        fits = widths.findIndex(k => (last - first) / k <= most);
  const powers = widths.slice(0, fits < 0 ? widths.length : fits + 1).reverse().map(k => [k, [1]]),
        tries = 3 * (last - first) <= most ? [...fine, ...powers] : [...powers, ...fine];
  const ticks = tries.map(([apart, factors]) => ticksOfPowers(apart, factors)).find(ticks => ticks.length > 1);
  return ticks ? {ticks, text: value => ticksOf(figure, 0, value * (1 + 1e-9), 1).text(value)} :
                 ticksOf(figure, from, to, Math.max(4, most));
}

const labels = {
  run_samples_per_s: "samples/s of a run",
  samples_per_s: "samples/s",
  tokens_per_s: "tokens/s",
  mfu: "MFU",
  bubble_fraction: "bubble",
  exposed_comm_s: "exposed comm",
  peak_memory_bytes: "peak memory",
  bytes_sent: "sent per worker",
  bytes_sent_by_all: "sent by all",
  step_time_low_s: "step time, 5 % quantile",
  step_time_high_s: "step time, 95 % quantile",
  step_time_p50_s: "step time p50",
  step_time_p99_s: "step time p99"
};
const label = name => labels[name] ||
    (isTime(name)      ? words(name.slice(0, -2)) :
         isBytes(name) ? words(name.replace(/^pool_bytes\./, "").replace(/_bytes$/, "")) :
                         words(name));

// The last keys of paths: as many as tell them apart.
function shortNames(paths) {
  const tail = (path, keys) => path.split(".").slice(-keys).join(".");
  return paths.map(path => {
    for (let keys = 1;; ++keys) {
      const name = tail(path, keys);
      if (name === path || paths.every(other => other === path || tail(other, keys) !== name)) return name;
    }
  });
}
