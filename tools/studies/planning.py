"""The runs of a study: which strategies and seeds, how long, evaluated when."""
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from . import Problem, results


@dataclass
class Run:
    """One strategy with one seed."""
    record: dict  # as results.py says, without what only training finds
    scenario: Path
    predicted: float  # seconds

    @property
    def name(self):
        return name_of(self.record)

    @property
    def steps(self):
        return max(self.record["equal_steps"], self.record["equal_flops"])

    @property
    def evaluated(self):
        return sorted({self.record["equal_steps"], self.record["equal_flops"]})

    @property
    def place(self):
        return self.record["strategy"], self.record["seed"]


def name_of(record):
    return f"{record['strategy']}, seed {record['seed']}"


def first_seed(text, path):
    seeds = re.findall(r"^[^#\n]*\bseed: *(\d+)", text, re.MULTILINE)
    if len(seeds) != 1:
        raise Problem(f"{path} needs one line with 'seed: NUMBER' in 'training': it says {len(seeds)} times which")
    return int(seeds[0])


def with_seed(text, seed):
    return re.sub(r"^([^#\n]*\bseed: *)\d+", rf"\g<1>{seed}", text, count=1, flags=re.MULTILINE)


def training_of(plan):
    """A plan's line 'training', as {key: word}."""
    line = next(line for line in plan.splitlines() if line.startswith("training "))
    return dict(word.split("=", 1) for word in line.split()[1:])


def flops_of(prediction):
    """Of a step, of all ranks, in units of the device's peak: the same unit for all strategies."""
    if prediction["mfu"] is None:
        raise Problem("the device's profile has no peak for the scenario's dtype: FLOPs cannot be compared")
    return prediction["mfu"] * prediction["step_time_s"] * len(prediction["ranks"])


def runs_with(seed, text, folder, programs):
    """One run for each strategy of the scenario."""
    scenario = folder / "scenarios" / f"seed-{seed}.yaml"
    scenario.parent.mkdir(parents=True, exist_ok=True)
    results.replace_file(scenario, with_seed(text, seed))
    predicted = programs.predict(scenario)
    predictions = predicted["strategies"]
    baseline = next((p for p in predictions if p.get("data_parallel")), None)
    if baseline is None:
        raise Problem("the scenario has no data parallelism to hold the others against, such as "
                      "{name: data-parallel, data: auto}")
    training = training_of(programs.plan(scenario, baseline["strategy"]))
    if int(training["seed"]) != seed:
        raise Problem(f"the scenario's 'seed:' is not its training's, which has {training['seed']}")
    common = {"scenario": predicted["scenario"], "seed": seed, "equal_steps": int(training["steps"])}
    return [run_of(p, baseline, common, scenario) for p in predictions]


def run_of(prediction, baseline, common, scenario):
    """common: what the records of all strategies have."""
    steps = common["equal_steps"]
    share = flops_of(prediction) / flops_of(baseline)
    end = max(round(steps / share), 1)
    subnetwork = prediction.get("subnetwork")
    ranks = prediction["ranks"]
    kept = [prediction["plan_hash"], steps, end, len(ranks)]
    record = common | {
        "strategy": prediction["strategy"],
        "key": hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16],
        "baseline": prediction is baseline,
        "workers": len(ranks),
        "coverage": subnetwork["holders"] / subnetwork["workers"] if subnetwork else None,
        "share": round(share, 6),
        "peak_memory_bytes": prediction["peak_memory_bytes"],
        "sent_bytes": max(rank["bytes_sent"] for rank in ranks),
        "equal_flops": end,
    }
    return Run(record, scenario, max(steps, end) * prediction["step_time_s"])


def plan_runs(path, folder, programs, seeds):
    """All runs in order, and the seeds that are asked for."""
    try:
        text = path.read_text()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
    first = first_seed(text, path)
    wanted = set(range(first, first + seeds))
    # Kept results of further seeds count as long as they are of the same plans.
    wanted |= {record["seed"] for record in results.read(folder)}
    # Seeds outermost: whoever stops early has all strategies.
    runs = [run for seed in sorted(wanted) for run in runs_with(seed, text, folder, programs)]
    return runs, range(first, first + seeds)
