"""The programs that a study starts, and the packages it needs."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from . import Problem

TOP = Path(__file__).resolve().parent.parent.parent
SETUP = TOP / "tools/setup"


class Programs:
    """rehearse and rehearse-exec of one build."""

    def __init__(self, folder):
        folder = folder.resolve()  # they are started in other folders
        self.rehearse = folder / "rehearse/rehearse"
        self.executor = folder / "rehearse_exec/rehearse-exec"
        for program in (self.rehearse, self.executor):
            if not program.is_file():
                raise Problem(f"there is no program {program}")

    def predict(self, scenario):
        """What `rehearse simulate --json` says about all strategies."""
        return json.loads(self._ask("simulate", scenario, "--json"))

    def plan(self, scenario, strategy):
        return self._ask("plan", scenario, "--strategy", strategy)

    def _ask(self, command, *options):
        done = subprocess.run([self.rehearse, command, *options], capture_output=True, text=True)
        if done.returncode != 0:
            raise Problem(f"rehearse {command} refuses the scenario\n{done.stderr.strip()}")
        return done.stdout


def find(folder):
    """Those of a build's tools/, or of the release preset, which is brought up to date."""
    if folder:
        return Programs(Path(folder))
    _set_up("install_packages")
    _set_up("build", "release", "rehearse", "rehearse-exec")
    return Programs(TOP / "build/release/tools")


def install_matplotlib():
    if importlib.util.find_spec("matplotlib"):
        return
    _set_up("install_packages", SETUP / "plot_packages.txt")
    importlib.invalidate_caches()


def _set_up(script, *options):
    # Results alone go to stdout.
    if subprocess.run([SETUP / script, *options], stdout=sys.stderr).returncode != 0:
        raise Problem(f"tools/setup/{script} did not succeed")
