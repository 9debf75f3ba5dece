"""What is kept of finished runs: DIR/results.jsonl, one run a line.

A record has
  scenario, strategy, seed        what was trained
  key                             hash of its plan and of how long it trains: another key, another run
  baseline                        whether it is the data parallelism that the others are held against
  workers, coverage               coverage: of subnetworks, else null
  share                           of data parallelism's FLOPs in a step, all ranks together
  peak_memory_bytes, sent_bytes   predicted; of the worst rank, in a step
  equal_steps, equal_flops        the steps after which it is compared
  status                          done, diverged (stopped where a value was no number) or failed
  error                           of diverged and failed ones: why
  seconds                         what it took
  evaluations                     [{step, accuracy, loss}], a loss that is no number being null; none unless done
"""
import contextlib
import fcntl
import json
import os

from . import Problem

NAME = "results.jsonl"
REPLACED = "replaced.jsonl"


def read(folder):
    path = folder / NAME
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def read_all(folder):
    """read, where there must be some."""
    records = read(folder)
    if not records:
        raise Problem(f"there are no results in {folder}: {folder / NAME} is missing or empty")
    return records


def write(folder, records):
    """All or nothing: whoever is stopped meanwhile leaves the file as it was."""
    replace_file(folder / NAME, "".join(line_of(record) for record in records))


def set_aside(folder, records):
    """Keeps results that no longer count."""
    with open(folder / REPLACED, "a") as file:
        file.write("".join(line_of(record) for record in records))


def line_of(record):
    return json.dumps(record) + "\n"


def replace_file(path, text):
    new = path.with_name(path.name + ".new")
    with open(new, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


@contextlib.contextmanager
def alone(folder):
    """One study at a time writes there."""
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"another study is writing to {folder}") from None
        yield


def evaluation_after(record, steps):
    return next(at for at in record["evaluations"] if at["step"] == steps)
