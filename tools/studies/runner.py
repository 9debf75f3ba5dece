"""Starts the runs of a study that are missing, and keeps what they find."""
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import results
from .planning import name_of, plan_runs
from .progress import Progress

INTERRUPTED = 130  # as shells have it
DIVERGED = "infinite or not a number"  # what the executor says when it stops for that
RUNNING = "running-"  # begins the names of folders that runs in progress write to


def still_valid(records, runs, folder, retry):
    """The kept results that this study would find again; says what it does not take over."""
    keys = {run.place: run.record["key"] for run in runs}
    valid, stale = [], []
    for record in records:
        key = keys.get((record["strategy"], record["seed"]))
        if key is None:
            reason = "the scenario no longer has it"
        elif key != record["key"]:
            reason = "the kept result is of another plan or length"
        elif retry and record["status"] == "failed":
            reason = "it failed"
        else:
            valid.append(record)
            continue
        stale.append(record)
        print(f"{name_of(record)}: {reason}; set aside in {folder / results.REPLACED}", file=sys.stderr)
    if stale:
        results.set_aside(folder, stale)
        results.write(folder, valid)
    return valid


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "no message")


def train(run, programs, folder, progress):
    """The run's record. Whatever happens, no process is left behind."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=RUNNING) as out:
        # Ranks are threads of one process: the same plan as over MPI, and no MPI is needed.
        command = [programs.executor, "train", run.scenario.relative_to(folder), "--strategy",
                   run.record["strategy"], "--local", str(run.record["workers"]), "--steps", str(run.steps),
                   "--evaluate-at", ",".join(str(step) for step in run.evaluated), "--out", Path(out).relative_to(folder)]
        begin = time.monotonic()
        # Started in the folder, its messages have no paths of this machine. A session of its own: an
        # interrupted study is not to take it for a failed run.
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                 cwd=folder, start_new_session=True)
        said = []
        try:
            for line in child.stderr:
                said.append(line)
                progress.line(line.strip())
            code = child.wait()
        finally:
            child.kill()
            child.wait()
        record = run.record | {"seconds": round(time.monotonic() - begin, 1)}
        if code != 0:
            why = f"ended by signal {-code}" if code < 0 else last_line("".join(said))
            status = "diverged" if DIVERGED in why else "failed"
            return record | {"status": status, "error": why, "evaluations": []}
        measured = json.loads((Path(out) / "measured.json").read_text())["strategies"][0]
    return record | {"status": "done", "evaluations": measured["evaluations"]}


def run_missing(runs, missing, kept, folder, programs, budget):
    progress = Progress(missing, kept, budget)
    strategies = list(dict.fromkeys(run.record["strategy"] for run in runs))
    for run in missing:
        if not progress.begin(run):
            return
        record = train(run, programs, folder, progress)
        kept.append(record)
        kept.sort(key=lambda r: (strategies.index(r["strategy"]), r["seed"]))
        results.write(folder, kept)
        progress.end(run, record)


def stop(signal_number, frame):
    raise KeyboardInterrupt


def run(path, folder, programs, seeds, budget, retry):
    """Whether it came to its end, which may be that of the budget; False if it was interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)
    with results.alone(folder):
        for left_over in folder.glob(RUNNING + "*"):
            shutil.rmtree(left_over)
        runs, asked = plan_runs(path, folder, programs, seeds)
        kept = still_valid(results.read(folder), runs, folder, retry)
        have = {(record["strategy"], record["seed"]) for record in kept}
        missing = [r for r in runs if r.place not in have and r.record["seed"] in asked]
        print(f"{len(missing) + len(kept)} runs, {len(kept)} of them are kept", file=sys.stderr)
        try:
            run_missing(runs, missing, kept, folder, programs, budget)
        except KeyboardInterrupt:
            print("\ninterrupted: what was finished is kept, the same command goes on", file=sys.stderr)
            return False
    return True
