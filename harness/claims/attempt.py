"""Makes the runs that claims need: each once, within its time limit, in a process of its own.

A finished run of the same scenario and commit is used again, so an interrupted attempt continues where it stopped.
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

Log = Callable[[str], None]


def list_required_runs(claims: Iterable[Claim]) -> tuple[RequiredRun, ...]:
    """Every run that these claims need, once each, in the order of the claims."""
    return tuple({required.name: required for claim in claims for required in claim.all_runs}.values())


def attempt(wanted: Sequence[RequiredRun], results: Path, log: Log, *, fresh: bool = False) -> Runs:
    """Make the runs that are not in ``results`` yet, and read all of them; a run that fails does not stop the others.

    ``fresh`` repeats the runs that exist.
    """
    missing: dict[str, str] = {}
    for number, required in enumerate(wanted, 1):
        if not fresh and _is_measured(required, results):
            log(f"[{number}/{len(wanted)}] {required.name}: measured already")
            continue
        log(f"[{number}/{len(wanted)}] harness {' '.join(required.arguments)}")
        if why := _run(required, results):
            missing[required.name] = why
            log(f"  {why}")
    return _read_runs(wanted, results, missing)


def _read_runs(wanted: Sequence[RequiredRun], results: Path, missing: dict[str, str]) -> Runs:
    summaries: dict[str, Summary] = {}
    scaled: dict[str, ScalingRun] = {}
    for required in wanted:
        if required.name in missing:
            continue
        try:
            run = Run.open(results / required.name / "latest")
            if (run.path / FILE).exists():
                scaled[required.name] = ScalingRun.read(run)
            else:
                summaries[required.name] = run.read_summary()
        except HarnessError as problem:
            missing[required.name] = problem.message
    return Runs(summaries, scaled, missing)


def _is_measured(required: RequiredRun, results: Path) -> bool:
    """Whether its newest run is complete and has the current scenario and commit."""
    with contextlib.suppress(HarnessError):
        run = Run.open(results / required.name / "latest")
        complete = (run.path / FILE).exists() or (run.path / "summary.json").exists()
        same_commit = _read_commit(run.plan.environment) == _read_commit(environment())
        scenario = load(Path("scenarios") / f"{required.name}.py")
        return complete and same_commit and run.plan.sha256 == scenario.sha256
    return False


def _read_commit(recorded: Mapping[str, object]) -> str:
    """The commit without its mark for uncommitted changes: the pages written here are such changes themselves."""
    return str(recorded.get("git")).removesuffix("-dirty")


def _run(required: RequiredRun, results: Path) -> str:
    """Make one run; return why it has no figures, or an empty string if it has them."""
    log_path = results / f"{required.name}.log"
    results.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log_path.open("w") as output:
        argv = [sys.executable, "-m", "harness.cli", *required.arguments, "--out", str(results)]
        child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            code = child.wait(required.timeout_s)
        except subprocess.TimeoutExpired:
            return f"it took more than its {required.timeout_s:g} s; use a quieter machine or raise the limit"
        finally:
            _end(child)
    if code in _MEASURED:
        return ""
    problems = [line for line in log_path.read_text().splitlines() if line.startswith("harness:")]
    reason = problems[-1] if problems else f"see {log_path}"
    return f"exit code {code} after {time.monotonic() - started:.0f} s: {reason}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Interrupt the process if it still runs, so that it cleans up; kill it only if it does not exit."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
