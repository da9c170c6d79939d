"""Ends the harness, or a part of it, at random moments of a run, and looks at what is left.

A seeded schedule picks a moment (start-up, controls, arms, sweep, analysis, report), a victim (the harness, its
supervisor, a load process, the balancer, the store, a replica) and one signal or two of SIGKILL, SIGTERM, SIGHUP and
SIGINT. After each, nothing of the run may run, temporary directories may hold nothing but what ``harness clean``
would name, the exit code must be one that is documented, and later commands must read what is left.

Prints a line per kill, and one JSON object as its last line; exit code 1 if a promise was broken.

    python -m benchmarks.kills [--count 100] [--seed 1]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.cluster.leftovers import orphan_directories
from harness.cluster.supervisor.main import OWNER_FILE, RUN_VARIABLE, SCRATCH_PREFIX

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = """
from harness import At, Balancing, BuiltIn, Design, Kill, Restart, Scenario, Sessions

SCENARIO = Scenario(
    designs=[Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"))],
    replicas=2,
    load=Sessions(concurrent=5, duration="2s", warmup="500ms"),
    faults=[At("800ms", Kill(replica=1)), At("1200ms", Restart(replica=1))],
)
"""
#: The parts of a run, by a word of their command lines.
PARTS = {
    "supervisor": "-I",  # warm processes run the same file, but not isolated
    "load": "locust",
    "balancer": "haproxy",
    "store": "valkey",
    "replica": "targets",
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
#: The time after which nothing of a run may be left.
WITHIN_S = 10.0
#: The exit codes that are documented; a signal in the first moments, before the harness runs, belongs to Python.
DOCUMENTED = frozenset((0, 1, 2, 3, 4, 130, -signal.SIGKILL))
#: What no command prints.
NOISE = ("Traceback", "Exception ignored", "never retrieved")
READERS = (("report",), ("explain",))


@dataclass(frozen=True)
class KillPlan:
    """One kill: when (as a share of an undisturbed run), which part, and with which signals."""

    moment: float
    victim: str
    signals: tuple[signal.Signals, ...]

    def __str__(self) -> str:
        return f"{self.victim} at {self.moment:.2f} with {' and '.join(number.name for number in self.signals)}"


def make_schedule(count: int, seed: int) -> Iterator[KillPlan]:
    """The kills of a seed: half of them of the harness itself."""
    rng = random.Random(seed)
    for _ in range(count):
        victim = "harness" if rng.random() < 0.5 else rng.choice(sorted(PARTS))
        signals = tuple(rng.choice(SIGNALS) for _ in range(rng.choice((1, 1, 2))))
        yield KillPlan(rng.random(), victim, signals)


class DisturbedRun:
    """A run of the harness in a directory of its own, with temporary files of its own."""

    def __init__(self, directory: Path) -> None:
        self.results, self._temporary = directory / "results", directory / "tmp"
        self._temporary.mkdir(parents=True)
        file = directory / "killed.py"
        file.write_text(SCENARIO)
        argv = [sys.executable, "-m", "harness.cli", "run", str(file), "--out", str(self.results)]
        environment = {**os.environ, "TMPDIR": str(self._temporary), "PYTHONPATH": str(ROOT)}
        self.log = directory / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                argv, cwd=directory, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._seen: set[psutil.Process] = set()

    @property
    def runs(self) -> Sequence[Path]:
        """The directories of runs that it has made: one or none."""
        return sorted(path.parent for path in self.results.glob("*/*/run.json") if not path.parent.is_symlink())

    def kill(self, plan: KillPlan) -> str:
        """Send the signals, to a part once it is up; returns who got them, or why nobody did."""
        while self.process.poll() is None:
            own = psutil.Process(self.process.pid)
            self._seen |= set(own.children(recursive=True))
            victims = [own] if plan.victim == "harness" else self._find_parts(PARTS[plan.victim])
            if victims:
                _send(victims[0], plan.signals)
                return plan.victim
            time.sleep(0.05)
        return "nothing: it had ended"

    def _find_parts(self, word: str) -> list[psutil.Process]:
        """The live descendants of the harness with that word in their command lines."""
        return [
            part for part in self._seen if not _ended(part) and any(word in text for text in _command(part).split())
        ]

    def find_problems(self) -> Iterator[str]:
        """What broke a promise, once the harness has ended."""
        code = self.process.wait(120)
        text = self.log.read_text()
        if code not in DOCUMENTED and (code > 0 or "harness" in text):
            yield f"exit code {code}"
        yield from (f"its output has {words!r}" for words in NOISE if words in text)
        deadline = time.monotonic() + WITHIN_S
        while (left := self.find_left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield from left
        yield from self._read_again()

    def find_left(self) -> list[str]:
        """What is left of it now: processes, scratch directories that nothing names, temporary files."""
        marks = {f"{RUN_VARIABLE}={run.name}" for run in self.runs}
        alive = {part for part in psutil.process_iter() if part in self._seen or _carries(part, marks)}
        processes = [f"{part.pid} {_command(part)} still runs" for part in alive if not _ended(part)]
        owners = Path(SCRATCH_PREFIX).parent.glob(f"{Path(SCRATCH_PREFIX).name}*/{OWNER_FILE}")
        orphans = set(orphan_directories())
        scratch = [
            f"{owner.parent} is left, and harness clean does not name it"
            for owner in owners
            if owner.parent not in orphans and any(_text(owner).endswith(f" {run.name}") for run in self.runs)
        ]
        return [*processes, *scratch, *(f"{path} is left" for path in self._temporary.iterdir())]

    def _read_again(self) -> Iterator[str]:
        for run in self.runs:
            for words in READERS:
                argv = [sys.executable, "-m", "harness.cli", *words, str(run)]
                done = subprocess.run(
                    argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
                )
                if done.returncode not in (0, 1, 2, 3) or "Traceback" in done.stderr:
                    yield f"{' '.join(words)} answers {done.returncode}: {done.stderr[-300:]}"


def _send(victim: psutil.Process, signals: Sequence[signal.Signals]) -> None:
    with suppress(psutil.NoSuchProcess):
        for number in signals:
            victim.send_signal(number)
            time.sleep(0.02)


def _command(part: psutil.Process) -> str:
    try:
        return " ".join(part.cmdline())
    except psutil.Error:
        return ""


def _carries(part: psutil.Process, marks: set[str]) -> bool:
    try:
        return any(f"{name}={value}" in marks for name, value in part.environ().items())
    except (psutil.Error, OSError):
        return False


def _ended(part: psutil.Process) -> bool:
    try:
        return part.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return True


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def measure_undisturbed(directory: Path) -> float:
    """The seconds that a run takes which nobody disturbs."""
    begin = time.monotonic()
    DisturbedRun(directory).process.wait(600)
    return time.monotonic() - begin


def disturb(plan: KillPlan, seconds: float, directory: Path) -> tuple[str, list[str]]:
    """Do one kill in a run of about so many seconds. Returns what got the signals, and what broke a promise."""
    run = DisturbedRun(directory)
    time.sleep(plan.moment * seconds)
    hit = run.kill(plan)
    return hit, list(run.find_problems())


def main() -> int:
    """Do all kills of a schedule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    hits: Counter[str] = Counter()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kills-") as home:
        seconds = measure_undisturbed(Path(home) / "undisturbed")
        print(f"a run takes {seconds:.1f} s; {flags.count} kills with seed {flags.seed}", flush=True)
        for number, plan in enumerate(make_schedule(flags.count, flags.seed), 1):
            hit, broken = disturb(plan, seconds, Path(home) / str(number))
            hits[hit] += 1
            problems += [f"{plan}: {problem}" for problem in broken]
            print(f"{number:4} {plan}: {hit}; {'; '.join(broken) or 'ok'}", flush=True)
    print(json.dumps({"count": flags.count, "seed": flags.seed, "hits": hits, "problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
