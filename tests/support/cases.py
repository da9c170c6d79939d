"""Runs a field case of tests/cases through the command line, in a copy of its directory."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.results.run import Run
from harness.results.summary import Summary
from harness.results.verdicts import Verdict
from tests.support.harness_command import ROOT, CommandResult, harness

CASES = ROOT / "tests" / "cases"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="no Node.js on this machine: apt-get install nodejs"
)


@dataclass(frozen=True)
class CaseRun:
    """What the command printed, its exit code, and the run that it left."""

    command: CommandResult
    run: Run

    @property
    def code(self) -> int:
        """The exit code."""
        return self.command.code

    @property
    def first_line(self) -> str:
        """The first line of the output, however the terminal wraps it."""
        return " ".join(self.command.out.split("\n┏")[0].split())

    @property
    def summary(self) -> Summary:
        """The figures of the run."""
        return self.run.read_summary()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict of the run."""
        return tuple(self.run.read_verdicts())


def copy_case(name: str, place: Path) -> Path:
    """A copy of the case's directory below ``place``."""
    return Path(shutil.copytree(CASES / name, place / name, ignore=shutil.ignore_patterns("__pycache__")))


def run_command(case: Path, *arguments: str) -> CommandResult:
    """``harness run ARGUMENTS`` in the copy of a case, with the commands of this environment on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return harness("run", *arguments, "--out", case / "results", env=env, cwd=case, timeout=400)


def run_case(name: str, place: Path, *flags: str, file: str = "scenario.py") -> CaseRun:
    """Run a file of the case with these flags; it must get as far as leaving a run."""
    case = copy_case(name, place)
    result = run_command(case, file, *flags)
    latest = case / "results" / Path(file).stem / "latest"
    assert latest.exists(), result.out + result.err
    return CaseRun(result, Run.open(latest))
