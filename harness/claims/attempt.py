"""Attempting claims: their runs, each once and within its budget, in a process of its own; then what they say.

A run that is there already, of the same scenario and commit, counts: what was interrupted goes on where it was.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from harness.analysis.scaling.scaling_run import FILE, ScalingRun
from harness.claims.claim import Claim, RequiredRun, Runs
from harness.common.environment import environment
from harness.common.errors import HarnessError
from harness.results.run import Run
from harness.results.summary import Summary
from harness.scenario.loading import load

#: Exit codes after which a run has figures: pass, fail, unknown.
_MEASURED = (0, 1, 3)
_EXIT_TIMEOUT_S = 15.0  # seconds after an interrupt

Say = Callable[[str], None]


def needs(claims: Iterable[Claim]) -> tuple[RequiredRun, ...]:
    """Every run that these claims rest on, once each, in their order."""
    return tuple({need.name: need for claim in claims for need in claim.needs}.values())


def attempt(wanted: Sequence[RequiredRun], results: Path, say: Say, *, fresh: bool = False) -> Runs:
    """These runs, made where they are not there yet; one that breaks does not stop the others."""
    missing: dict[str, str] = {}
    for number, need in enumerate(wanted, 1):
        if not fresh and _is_there(need, results):
            say(f"[{number}/{len(wanted)}] {need.name}: measured already")
            continue
        say(f"[{number}/{len(wanted)}] harness {' '.join(need.words)}")
        if why := _run(need, results):
            missing[need.name] = why
            say(f"  {why}")
    return _gathered(wanted, results, missing)


def _gathered(wanted: Sequence[RequiredRun], results: Path, missing: dict[str, str]) -> Runs:
    summaries: dict[str, Summary] = {}
    scaled: dict[str, ScalingRun] = {}
    for need in wanted:
        if need.name in missing:
            continue
        try:
            run = Run.open(results / need.name / "latest")
            if (run.path / FILE).exists():
                scaled[need.name] = ScalingRun.read(run)
            else:
                summaries[need.name] = run.read_summary()
        except HarnessError as problem:
            missing[need.name] = problem.message
    return Runs(summaries, scaled, missing)


def _is_there(need: RequiredRun, results: Path) -> bool:
    """Whether its newest run ended, and is of the scenario and the commit as they are now."""
    with contextlib.suppress(HarnessError):
        run = Run.open(results / need.name / "latest")
        ended = (run.path / FILE).exists() or (run.path / "summary.json").exists()
        same = _commit(run.plan.environment) == _commit(environment())
        return ended and same and run.plan.sha256 == load(Path("scenarios") / f"{need.name}.py").sha256
    return False


def _commit(of: Mapping[str, object]) -> str:
    """The commit alone: the tables that are written here would make any tree a changed one."""
    return str(of.get("git")).removesuffix("-dirty")


def _run(need: RequiredRun, results: Path) -> str:
    """Run it; empty if it has figures, else why it has none."""
    log = results / f"{need.name}.log"
    results.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("w") as out:
        argv = [sys.executable, "-m", "harness.cli", *need.words, "--out", str(results)]
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            code = child.wait(need.budget)
        except subprocess.TimeoutExpired:
            _end(child)
            return f"it took more than its {need.budget:g} s; a quieter machine, or a larger budget, would settle it"
        finally:
            _end(child)
    if code in _MEASURED:
        return ""
    last = [line for line in log.read_text().splitlines() if line.startswith("harness:")]
    return f"exit code {code} after {time.monotonic() - began:.0f} s: {last[-1] if last else f'see {log}'}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Interrupt what still runs, so that it cleans up; kill it only if it does not."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
