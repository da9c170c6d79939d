"""How quickly the commands answer, beside ``python -c pass``, and which share of a run is neither load nor planned.

    python -m benchmarks.commands results/node_kill/latest --share scenarios/node_kill.py

Every round runs every command once, so that all have the same machine; the shortest time of each counts. With
``--share``, the scenario is then run in its short and in its full form. Exit code 1 means that a command takes longer,
or a share is larger, than it should be. Run it on an otherwise idle machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

PYTHON = (sys.executable, "-c", "pass")
HARNESS = (sys.executable, "-m", "harness.cli")
#: The largest share of a run that may be neither load nor planned, by the flags of its form.
FORMS: dict[tuple[str, ...], float] = {("--quick",): 0.20, (): 0.08}


@dataclass(frozen=True)
class TimedCommand:
    """A command and its limit: ``starts`` times the start of Python, and ``seconds`` besides."""

    arguments: tuple[str, ...]
    seconds: float
    starts: float = 0.0

    def limit(self, python: float) -> float:
        """The limit in seconds, where Python itself takes ``python`` seconds."""
        return self.starts * python + self.seconds


@dataclass(frozen=True)
class ArmTimes:
    """The seconds of an arm that its plan asks for: the load, warm-up included, and the final read of its sessions.

    The read is paced, and looks again at what seemed lost, after a wait: up to two seconds.
    """

    load: float
    final_read: float

    @classmethod
    def read(cls, arm: Path) -> "ArmTimes":
        """From the directory of an arm. The final read ends with the last reply that was recorded."""
        load = json.loads((arm / "arm.json").read_text())["duration"]
        ends = pq.read_table(arm / "requests.parquet", columns=["t_end"])["t_end"].to_numpy()
        return cls(load, max(0.0, float(ends.max(initial=0)) / 1e9 - load))


def commands(run: Path) -> tuple[TimedCommand, ...]:
    """The commands that a person waits for."""
    return (
        TimedCommand(("--help",), 0.1, starts=3),
        TimedCommand(("list",), 0.7),
        TimedCommand(("doctor",), 0.7),
        TimedCommand(("explain", str(run)), 1.5),
        TimedCommand(("report", str(run)), 4.0),
    )


def time_command(argv: Sequence[str]) -> float:
    """Seconds from the start of a command to its end."""
    started = time.perf_counter()
    subprocess.run(argv, capture_output=True, check=False)
    return time.perf_counter() - started


def time_run(scenario: str, form: Sequence[str]) -> tuple[float, Sequence[ArmTimes]]:
    """The seconds that a run takes, from the start of its command to its end, and those of its arms and controls."""
    with tempfile.TemporaryDirectory() as results:
        seconds = time_command([*HARNESS, "run", scenario, *form, "--out", results])
        arms = sorted(path.parent for path in Path(results).glob("*/2*/observations/*/arm.json"))
        return seconds, [ArmTimes.read(arm) for arm in arms]


def compare_commands(out: Console, run: Path, rounds: int) -> bool:
    """Show how long every command takes; returns whether all stay below their limits."""
    timed = commands(run)
    seconds = [
        [time_command(PYTHON), *(time_command([*HARNESS, *command.arguments]) for command in timed)]
        for _ in range(rounds)
    ]
    python, *shortest = map(min, zip(*seconds, strict=True))
    table = Table("command", "seconds", "x python -c pass", "limit", title="the shortest of each")
    for command, least in zip(timed, shortest, strict=True):
        limit = f"{command.limit(python):.2f}"
        table.add_row(f"harness {command.arguments[0]}", f"{least:.2f}", f"{least / python:.0f}", limit)
    out.print(table)
    return all(least <= command.limit(python) for command, least in zip(timed, shortest, strict=True))


def compare_shares(out: Console, scenario: str) -> bool:
    """Show which share of each form is neither load nor planned; returns whether all stay below their limits."""
    table = Table("run", "seconds", "load", "final reads", "the rest", "limit", title="where the time of a run goes")
    kept = True
    for form, most in FORMS.items():
        total, arms = time_run(scenario, form)
        load, final_reads = sum(arm.load for arm in arms), sum(arm.final_read for arm in arms)
        rest = 1 - (load + final_reads) / total
        kept = kept and rest <= most
        row = (f"{total:.1f}", f"{load:.1f}", f"{final_reads:.1f}", f"{rest:.1%}", f"{most:.0%}")
        table.add_row(" ".join((Path(scenario).stem, *form)), *row)
    out.print(table)
    return kept


def main() -> int:
    """Measure, print tables, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands")
    parser.add_argument("run", type=Path, help="a finished run, for explain and report")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", metavar="SCENARIO", help="also run it, and show the share that is not load")
    options = parser.parse_args()
    out = Console()
    kept = compare_commands(out, options.run, options.rounds)
    if options.share:
        kept = compare_shares(out, options.share) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
