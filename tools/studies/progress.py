"""Says on stderr how far a study is and how long it will take."""
import re
import sys
import time


def human(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class Progress:
    """missing: the runs to come, in order; kept: records of finished ones, by which times are judged."""

    def __init__(self, missing, kept, budget):
        self._left = list(missing)
        self._number, self._count = 0, len(missing)
        self._begin = time.monotonic()
        self._budget = budget
        # Seconds of finished runs by (strategy, steps), and of all against the predictions: those for
        # another machine are right up to a factor, about.
        self._known = {}
        self._taken = self._predicted = 0.0
        for record in kept:
            self._learn(record)

    def _learn(self, record):
        if record["status"] == "done":
            steps = max(record["equal_steps"], record["equal_flops"])
            self._known[record["strategy"], steps] = record["seconds"]

    def _estimate(self, run):
        """Seconds, or None as long as nothing is known."""
        known = self._known.get((run.record["strategy"], run.steps))
        if known is not None:
            return known
        return run.predicted * self._taken / self._predicted if self._predicted else None

    def _estimate_left(self):
        estimates = [self._estimate(run) for run in self._left]
        return None if None in estimates else sum(estimates)

    def begin(self, run):
        """Whether the budget allows it; says that it begins or why it does not."""
        spent = time.monotonic() - self._begin
        estimate = self._estimate(run)
        if self._budget is not None and spent + (estimate or 0) > self._budget:
            print(f"the budget of {human(self._budget)} is spent: {len(self._left)} runs are left, the same "
                  "command goes on", file=sys.stderr)
            return False
        self._number += 1
        left = self._estimate_left()
        time_left = f"; about {human(left)} left" if left is not None else ""
        print(f"[{self._number}/{self._count}] {run.name}: {run.steps} steps{time_left}", file=sys.stderr)
        return True

    def line(self, text):
        """What the run itself says, where there is a terminal to show it on."""
        step = re.search(r"step \d+/\d+, loss.*", text)
        if step and sys.stderr.isatty():
            print(f"\r  {step[0]}\033[K", end="", file=sys.stderr, flush=True)

    def end(self, run, record):
        self._left.remove(run)
        self._learn(record)
        if record["status"] == "done":
            self._taken += record["seconds"]
            self._predicted += run.predicted
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        found = record.get("error") or (f"accuracy {100 * record['evaluations'][-1]['accuracy']:.1f} % "
                                        f"in {human(record['seconds'])}")
        note = "" if record["status"] == "done" else f"{record['status']}: "
        print(f"  {note}{found}", file=sys.stderr)
