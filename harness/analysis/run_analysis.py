"""From what a run recorded to its summary and verdicts: pure, and repeatable on an old run."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.metrics.fold import fold
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmFiles, ArmObservations
from harness.results.run import Run
from harness.results.summary import (
    AAControl,
    ArmFigures,
    Calibration,
    Controls,
    DesignSummary,
    Echo,
    Summary,
)
from harness.results.verdicts import Expectation, Result, Verdict, worst

#: A finding is the first of these that happened: to sessions, else to writes, else to messages; the gravest first.
_FINDINGS = (
    SessionOutcome.LEAKED,
    SessionOutcome.WRONG,
    SessionOutcome.LOST,
    SessionOutcome.ROLLED_BACK,
    SessionOutcome.STALE,
    SessionOutcome.FORCED_LOGIN,
    SessionOutcome.LOST_WRITES,
    SessionOutcome.DUPLICATED,
    SessionOutcome.LOST_MESSAGES,
    SessionOutcome.REPEATED_MESSAGES,
    SessionOutcome.DISORDERED,
)
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


@dataclass(frozen=True)
class Analysis:
    """A run's figures and what they mean."""

    summary: Summary
    verdicts: tuple[Verdict, ...]
    arms: tuple[ArmObservations, ...]

    @property
    def result(self) -> Result:
        """The worst of all verdicts."""
        return worst(verdict.result for verdict in self.verdicts)


def analyse(run: Run, expectations: Sequence[Expectation]) -> Analysis:
    """Fold every arm, judge every expectation, and check the measurement itself."""
    arms = run.read_observations()
    folded = [(arm, _with_theory(fold(arm), run.plan.designs[arm.design])) for arm in arms]
    controls = _controls(run, folded)
    summary = Summary(run.plan.scenario, run.plan.run, _designs(run, folded), controls)
    verdicts = _under_controls(
        [*_expected(summary, expectations), *_measurement(run, folded), *_control_verdicts(controls)], controls
    )
    return Analysis(_judged(summary, verdicts), verdicts, arms)


def _with_theory(arm: ArmFigures, design: Mapping[str, object]) -> ArmFigures:
    """Put the design's prediction beside what happened."""
    expected = {"none": 0, "victim": arm.sessions.at_risk}.get(str(design.get("at_risk")))
    return replace(arm, sessions=replace(arm.sessions, expected_lost=expected))


def _designs(run: Run, folded: Sequence[tuple[ArmObservations, ArmFigures]]) -> dict[str, DesignSummary]:
    designs = {}
    for name, describe in run.plan.designs.items():
        arms: dict[str, ArmFigures] = {}
        for kind in ("fault", "control"):
            arm = _repeated(folded, name, kind)
            if arm is not None:
                arms[kind] = arm
        if arms:
            designs[name] = DesignSummary(describe, arms, summarize_finding(arms))
    return designs


def _repeated(folded: Sequence[tuple[ArmObservations, ArmFigures]], design: str, kind: str) -> ArmFigures | None:
    """The figures of an arm's first repeat, with all of them beneath where there are several."""
    repeats = tuple(arm for seen, arm in folded if (seen.design, seen.arm) == (design, kind))
    return replace(repeats[0], repeats=repeats if len(repeats) > 1 else ()) if repeats else None


def summarize_finding(arms: Mapping[str, ArmFigures]) -> SessionOutcome:
    """What happened in the arm with the fault, or in the control where there is no fault.

    Of several repeats the first in which anything happened decides.
    """
    arm = arms.get("fault") or arms["control"]
    outcomes = map(_finding_of_arm, arm.repeats or (arm,))
    return next((outcome for outcome in outcomes if outcome is not SessionOutcome.KEPT), SessionOutcome.KEPT)


def _finding_of_arm(arm: ArmFigures) -> SessionOutcome:
    if not arm.sessions.judged:
        return SessionOutcome.UNKNOWN
    counts = arm.outcomes
    return next((outcome for outcome in _FINDINGS if counts.get(outcome)), SessionOutcome.KEPT)


def _expected(summary: Summary, expectations: Sequence[Expectation]) -> Iterator[Verdict]:
    """Every expectation of every repeat; where they differ, the worst speaks."""
    for expectation in expectations:
        by_design: dict[str, list[Verdict]] = {}
        for one in _repeats(summary):
            for verdict in expectation.judge(one):
                by_design.setdefault(verdict.design, []).append(verdict)
        for verdicts in by_design.values():
            gravest = worst(verdict.result for verdict in verdicts)
            yield next(verdict for verdict in verdicts if verdict.result is gravest)


def _repeats(summary: Summary) -> Iterator[Summary]:
    """The summary as if each repeat were the only one."""
    count = max((len(a.repeats) or 1 for d in summary.designs.values() for a in d.arms.values()), default=1)
    for index in range(count):
        designs = {}
        for name, design in summary.designs.items():
            arms = {
                kind: (arm.repeats[index] if index < len(arm.repeats) else arm) for kind, arm in design.arms.items()
            }
            designs[name] = replace(design, arms=arms, finding=summarize_finding(arms))
        yield replace(summary, designs=designs)


def _measurement(run: Run, folded: Sequence[tuple[ArmObservations, ArmFigures]]) -> Iterator[Verdict]:
    """What makes the figures believable, arm by arm."""
    done = {(arm.design, arm.arm, arm.repeat) for arm, _ in folded if arm.complete}
    for design, arm, repeat in run.plan.arms:
        if (design, arm, repeat) not in done:
            yield Verdict("complete", Result.UNKNOWN, f"the {arm} arm was cut off or did not run", design)
    for observed, figures in folded:
        yield from _arm_measurement(observed, figures)


def _arm_measurement(observed: ArmObservations, arm: ArmFigures) -> Iterator[Verdict]:
    where = f"{observed.arm} arm"
    for event in observed.events:
        if event.kind == "worker_lost":
            why = f"{event.subject} on {event.detail['host']} was lost, {event.detail['why']}"
            told = f"{where}: {why}; its {event.detail['sessions']} sessions are not judged"
            yield Verdict("worker_lost", Result.UNKNOWN, told, observed.design)
        if event.kind in ("part_died", "broken_off"):
            yield Verdict(event.kind, Result.UNKNOWN, f"{where}: {event.detail.get('why', '')}", observed.design)
    for fault in arm.faults:
        if fault.effective is None or fault.healed is None:
            why = f"{where}: no evidence that {fault.kind} of {fault.target} took effect and was undone"
            yield Verdict("fault_landed", Result.UNKNOWN, why, observed.design)
    if observed.aggregates is not None and observed.effects:
        why = f"{where}: without records nobody can tell whether effects are missing or took place twice"
        yield Verdict("effects_judged", Result.UNKNOWN, why, observed.design)
    if arm.driver.saturated:
        driver = arm.driver
        used = f"{driver.cpu_median} of {driver.core or 'a core'} in the median second, lag p99 {driver.lag_p99_ms} ms"
        why = f"{where}: the load process was saturated or late ({used}); times cannot be trusted"
        yield Verdict("driver_kept_up", Result.UNKNOWN, why, observed.design)
    if arm.driver.saturated is None and observed.complete:
        yield Verdict("driver_kept_up", Result.UNKNOWN, f"{where}: the load process was not sampled", observed.design)


def _controls(run: Run, folded: Sequence[tuple[ArmObservations, ArmFigures]]) -> Controls:
    echo, aa = _echo(run), _again(folded)
    truth = run.read_controls().get("calibration")
    if not truth:
        return Controls(None, echo, aa)
    load = {"warmup_s": 0.0, "duration_s": 0.0}
    return Controls(
        compute_calibration(
            run.arm("calibration", "control").read_observations("calibration", "control", load).judgements, truth
        ),
        echo,
        aa,
    )


def _again(folded: Sequence[tuple[ArmObservations, ArmFigures]]) -> AAControl | None:
    design = next((seen.design for seen, _ in folded if seen.arm == "aa"), None)
    arm = _repeated(folded, design, "aa") if design is not None else None
    return AAControl(design, arm) if design is not None and arm is not None else None


def _echo(run: Run) -> Echo | None:
    """The first round's echo, with all rounds' beneath it where there are several."""
    rounds = max((nth for _, _, nth in run.plan.arms), default=1)
    echoes = tuple(_echo_of(run.arm("echo", "control", nth)) for nth in range(1, rounds + 1))
    first = next((echo for echo in echoes if echo is not None), None)
    return replace(first, repeats=echoes if rounds > 1 else ()) if first else None


def _echo_of(files: ArmFiles) -> Echo | None:
    """The figures of one echo; None where it did not run to its end."""
    seen = (
        files.read_observations("echo", "control", {"warmup_s": 0.0, "duration_s": 0.0})
        if files.path.exists()
        else None
    )
    if seen is None or not seen.complete:
        return None
    arm = fold(seen)
    mean, p50, p99 = arm.throughput.mean, arm.service_ms.p50, arm.service_ms.p99
    if mean is None or p50 is None or p99 is None:
        return None
    return Echo(arm.requests.ok, mean, p50, p99, arm.resources.driver_cpu)


def compute_calibration(judgements: Sequence[SessionVerdict], truth: Mapping[str, str]) -> Calibration:
    """The confusion matrix of the judge: ``truth`` names the bug that each owner's session really suffered."""
    judged = {judgement.owner: judgement.outcome for judgement in judgements}
    cells = Counter((OUTCOME_OF_BUG[bug], judged.get(owner, SessionOutcome.UNKNOWN)) for owner, bug in truth.items())
    cells.update((SessionOutcome.KEPT, outcome) for owner, outcome in judged.items() if owner not in truth)
    matrix: dict[SessionOutcome, dict[SessionOutcome, int]] = {}
    for (seeded, outcome), count in sorted(cells.items()):
        matrix.setdefault(seeded, {})[outcome] = count
    correct = sum(count for (seeded, outcome), count in cells.items() if seeded is outcome)
    return Calibration(matrix, cells.total(), correct)


def _control_verdicts(controls: Controls) -> Iterator[Verdict]:
    calibration = controls.calibration
    if calibration is not None:
        why = f"the judge named {calibration.correct} of {calibration.sessions} sessions with seeded bugs rightly"
        yield Verdict("calibration", Result.PASS if calibration.diagonal else Result.UNKNOWN, why)
    if controls.echo is None or None in controls.echo.repeats:
        yield Verdict("echo", Result.UNKNOWN, "the echo control did not run to its end in every round")


def _under_controls(verdicts: Sequence[Verdict], controls: Controls) -> tuple[Verdict, ...]:
    """A failed control turns every verdict unknown: a judge that errs cannot speak."""
    if controls.calibration is None or controls.calibration.diagonal:
        return tuple(verdicts)
    because = "the calibration failed, so nothing is certain; without it: "
    return tuple(
        v if v.check == "calibration" else replace(v, result=Result.UNKNOWN, why=f"{because}{v.result.value}, {v.why}")
        for v in verdicts
    )


def _judged(summary: Summary, verdicts: Sequence[Verdict]) -> Summary:
    designs = {}
    for name, design in summary.designs.items():
        own = [verdict for verdict in verdicts if verdict.design == name]
        result = worst(verdict.result for verdict in own)
        designs[name] = replace(
            design,
            verdict=result.value,
            why=tuple(v.why for v in own if v.result is result or v.result is not Result.PASS),
        )
    return replace(summary, designs=designs, verdict=worst(verdict.result for verdict in verdicts).value)
