"""A study's table (table.md) and the numbers behind it (results.csv), from its records alone."""
import csv
import io
import statistics

from . import results

COLUMNS = ["strategy", "coverage", "runs", "accuracy at equal steps, %", "loss at equal steps", "steps for equal FLOPs",
           "FLOPs", "accuracy at equal FLOPs, %", "loss at equal FLOPs", "peak memory, MiB", "sent/step, KiB"]


def by_strategy(records):
    groups = {}
    for record in records:
        groups.setdefault(record["strategy"], []).append(record)
    return groups


def values_after(group, which, figure):
    """One of every run that came to its end and found a number there."""
    found = [results.evaluation_after(record, record[which])[figure] for record in group if record["status"] == "done"]
    return [value for value in found if value is not None]


def spread(values):
    """(mean, standard deviation of a sample or 0 for one value); None without values."""
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def mean_and_spread(values, digits, factor=1):
    both = spread(values)
    if both is None:
        return "-"
    mean, deviation = (f"{factor * value:.{digits}f}" for value in both)
    return f"{mean} ± {deviation}" if len(values) > 1 else mean


def runs_of(group):
    """"3", or "3: 1 diverged, 1 failed"."""
    lost = [f"{n} {status}" for status in ("diverged", "failed")
            if (n := sum(record["status"] == status for record in group))]
    return f"{len(group)}: {', '.join(lost)}" if lost else str(len(group))


def mean_of(group, key):
    return statistics.fmean(record[key] for record in group)


def row_of(strategy, group, baseline):
    def beside(key, unit):
        share = f", {100 * mean_of(group, key) / mean_of(baseline, key):.0f} %" if baseline and mean_of(baseline, key) else ""
        return f"{mean_of(group, key) / unit:.1f}{share}"

    coverage = group[0]["coverage"]
    spent = statistics.fmean(r["share"] * r["equal_flops"] / r["equal_steps"] for r in group)
    return [strategy, "-" if coverage is None else f"{coverage:.4g}", runs_of(group),
            mean_and_spread(values_after(group, "equal_steps", "accuracy"), 1, 100),
            mean_and_spread(values_after(group, "equal_steps", "loss"), 3),
            f"{mean_of(group, 'equal_flops'):.0f}", f"{spent:.3f}",
            mean_and_spread(values_after(group, "equal_flops", "accuracy"), 1, 100),
            mean_and_spread(values_after(group, "equal_flops", "loss"), 3),
            beside("peak_memory_bytes", 2**20), beside("sent_bytes", 2**10)]


def explanation(records, baseline):
    steps = baseline[0]["equal_steps"] if baseline else records[0]["equal_steps"]
    name = baseline[0]["strategy"] if baseline else "data parallelism"
    return f"""Test accuracy and loss of the assembled network, mean ± standard deviation over the seeds: first after {steps} steps,
as many as {name} trains, then at equal FLOPs, after the steps of that column. FLOPs are those executed by all
workers until then, as a share of {name}'s whole run. Peak memory (worst worker) and bytes sent (worst worker, one step) are
predicted, means over the seeds, beside their shares of {name}'s.
"""


def markdown(records):
    groups = by_strategy(records)
    baseline = next((group for group in groups.values() if group[0]["baseline"]), None)
    lines = [f"# {records[0]['scenario']}", "", explanation(records, baseline)]
    lines += [line(COLUMNS), line(["---"] * len(COLUMNS))]
    lines += [line(row_of(strategy, group, baseline)) for strategy, group in groups.items()]
    failures = [f"- {r['strategy']}, seed {r['seed']}: {r['error']}" for r in records if r["status"] != "done"]
    if failures:
        lines += ["", "Not in these figures:", ""] + failures
    return "\n".join(lines) + "\n"


def line(cells):
    return f"| {' | '.join(cells)} |"


def csv_text(records):
    """One evaluation a row; a run without any has one row without figures."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["strategy", "coverage", "seed", "status", "step", "flops_share", "accuracy", "loss"])
    for r in records:
        start = [r["strategy"], r["coverage"], r["seed"], r["status"]]
        for at in r["evaluations"] or [None]:
            rows.writerow(start + ([at["step"], round(r["share"] * at["step"] / r["equal_steps"], 6), at["accuracy"],
                                    at["loss"]] if at else [""] * 4))
    return text.getvalue()


def write(folder, records):
    for name, text in (("table.md", markdown(records)), ("results.csv", csv_text(records))):
        results.replace_file(folder / name, text)
    return [folder / "table.md", folder / "results.csv"]
