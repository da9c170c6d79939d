"""The controls of a run: the calibration of the judge, the echo and the A/A arm; and what a failed one means."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.analysis.measured_arm import MeasuredArm, combine_repeats
from harness.analysis.metrics.fold import fold
from harness.common.errors import UsageError
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmFiles
from harness.results.run import Run
from harness.results.summary import AAControl, Calibration, Controls, Echo
from harness.results.verdicts import Result, Verdict

#: What the judge should call each seeded bug of the calibration's service.
OUTCOME_OF_BUG = {
    "none": SessionOutcome.KEPT,
    "drop": SessionOutcome.LOST_WRITES,
    "duplicate": SessionOutcome.DUPLICATED,
    "stale": SessionOutcome.STALE,
    "leak": SessionOutcome.LEAKED,
    "rollback": SessionOutcome.ROLLED_BACK,
    "lose": SessionOutcome.LOST,
}
_NO_LOAD = (0.0, 0.0)  # of controls, which are measured from their first request on


def analyse_controls(run: Run, arms: Sequence[MeasuredArm]) -> Controls:
    """The controls that ran, from what they left in the run."""
    return Controls(_analyse_calibration(run), _analyse_echo(run), _analyse_aa(arms))


def _analyse_calibration(run: Run) -> Calibration | None:
    truth = run.read_controls().calibration
    if not truth:
        return None
    if unknown := set(truth.values()) - set(OUTCOME_OF_BUG):
        raise UsageError(f"controls.json of {run.path} names unknown bugs: {unknown}", "run the scenario again")
    observed = run.arm("calibration", "control").read_observations("calibration", "control", _NO_LOAD)
    return compute_calibration(observed.judgements, truth)


def compute_calibration(verdicts: Sequence[SessionVerdict], truth: Mapping[str, str]) -> Calibration:
    """The confusion matrix of the judge; ``truth`` maps each owner to the bug that its session really suffered."""
    judged = {verdict.owner: verdict.outcome for verdict in verdicts}
    cells = Counter((OUTCOME_OF_BUG[bug], judged.get(owner, SessionOutcome.UNKNOWN)) for owner, bug in truth.items())
    cells.update((SessionOutcome.KEPT, outcome) for owner, outcome in judged.items() if owner not in truth)
    matrix: dict[SessionOutcome, dict[SessionOutcome, int]] = {}
    for (seeded, outcome), count in sorted(cells.items()):
        matrix.setdefault(seeded, {})[outcome] = count
    correct = sum(count for (seeded, outcome), count in cells.items() if seeded is outcome)
    return Calibration(matrix, cells.total(), correct)


def _analyse_echo(run: Run) -> Echo | None:
    """The first round's echo, with all rounds' inside it if there are several."""
    rounds = max((repeat for _, _, repeat in run.plan.arms), default=1)
    echoes = tuple(_analyse_echo_of_round(run.arm("echo", "control", repeat)) for repeat in range(1, rounds + 1))
    first = next((echo for echo in echoes if echo is not None), None)
    return replace(first, repeats=echoes if rounds > 1 else ()) if first else None


def _analyse_echo_of_round(files: ArmFiles) -> Echo | None:
    """The figures of one echo; None if it did not run to its end."""
    observed = files.read_observations("echo", "control", _NO_LOAD) if files.path.exists() else None
    if observed is None or not observed.complete:
        return None
    arm = fold(observed)
    mean, p50, p99 = arm.throughput.mean, arm.service_ms.p50, arm.service_ms.p99
    if mean is None or p50 is None or p99 is None:
        return None
    return Echo(arm.requests.ok, mean, p50, p99, arm.resources.driver_cpu)


def _analyse_aa(arms: Sequence[MeasuredArm]) -> AAControl | None:
    design = next((arm.observed.design for arm in arms if arm.observed.arm == "aa"), None)
    figures = combine_repeats(arms, design, "aa") if design is not None else None
    return AAControl(design, figures) if design is not None and figures is not None else None


def judge_controls(controls: Controls) -> Iterator[Verdict]:
    """The verdicts on the controls themselves."""
    calibration = controls.calibration
    if calibration is None:
        yield Verdict("calibration", Result.UNKNOWN, "the calibration left no session to try the judge on")
    else:
        why = (
            f"the judge classified {calibration.correct} of {calibration.sessions} sessions with seeded bugs correctly"
        )
        yield Verdict("calibration", Result.PASS if calibration.diagonal else Result.UNKNOWN, why)
    if controls.echo is None or None in controls.echo.repeats:
        yield Verdict("echo", Result.UNKNOWN, "the echo control did not run to its end in every round")


def apply_calibration(verdicts: Sequence[Verdict], controls: Controls) -> tuple[Verdict, ...]:
    """The verdicts as they are, or all unknown if the calibration failed: a judge that errs proves nothing."""
    if controls.calibration is None or controls.calibration.diagonal:
        return tuple(verdicts)
    because = "the calibration failed, so nothing is certain; without it: "
    return tuple(
        verdict
        if verdict.check == "calibration"
        else replace(verdict, result=Result.UNKNOWN, why=f"{because}{verdict.result.value}, {verdict.why}")
        for verdict in verdicts
    )
