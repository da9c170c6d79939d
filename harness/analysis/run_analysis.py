"""From what a run recorded to its summary and verdicts: pure, and repeatable on an old run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.controls import analyse_controls, apply_calibration, judge_controls
from harness.analysis.findings import summarize_finding
from harness.analysis.measured_arm import MeasuredArm, combine_repeats
from harness.analysis.measurement import judge_measurement
from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.resources import to_int
from harness.results.arm_files import ArmObservations
from harness.results.plan import RunPlan
from harness.results.run import Run
from harness.results.summary import Controls, DesignSummary, LoadUsers, Summary
from harness.results.verdicts import Expectation, Result, Verdict, worst
from harness.scenario.expectations.errors import ControlErrors


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
    observations = run.read_observations()
    arms = [_measure(arm, run.plan) for arm in observations]
    controls = analyse_controls(run, arms)
    summary = Summary(run.plan.scenario, run.plan.run, _summarize_designs(run.plan, arms), controls)
    verdicts = apply_calibration(
        [
            *_add_unexpected(summary, _excuse_cut_off(_judge_expectations(summary, expectations), arms)),
            *judge_measurement(run.plan, arms),
            *judge_controls(controls),
        ],
        controls,
    )
    return Analysis(_add_verdicts(summary, verdicts), verdicts, observations)


def first_look(run: Run, design: str, expectations: Sequence[Expectation]) -> Summary:
    """A summary of one design, with its finding and verdict, before the controls of the run are judged."""
    arms = [_measure(arm, run.plan) for arm in run.read_observations(design)]
    summary = Summary(run.plan.scenario, run.plan.run, _summarize_designs(run.plan, arms), Controls(None, None))
    own = [verdict for verdict in _judge_expectations(summary, expectations) if verdict.design == design]
    return _add_verdicts(summary, own)


def _measure(observed: ArmObservations, plan: RunPlan) -> MeasuredArm:
    """The figures of an arm, with what was planned beside what happened: the design's prediction, and the users."""
    arm, design, driver = fold(observed), plan.designs[observed.design], observed.driver
    expected = {"none": 0, "victim": arm.sessions.at_risk}.get(str(design.get("at_risk")))
    planned, why = plan.load.get("concurrent"), driver.get("users_ended_why")
    users = LoadUsers(
        planned if isinstance(planned, int) else None,
        to_int(driver.get("users_ended")) or 0,
        str(why) if why else None,
    )
    sessions = replace(arm.sessions, expected_lost=expected)
    return MeasuredArm(observed, replace(arm, sessions=sessions, users=users))


def _summarize_designs(plan: RunPlan, arms: Sequence[MeasuredArm]) -> dict[str, DesignSummary]:
    """Every design with at least one arm, by name."""
    designs = {}
    for name, describe in plan.designs.items():
        by_name = {kind: combine_repeats(arms, name, kind) for kind in ("fault", "control")}
        measured = {kind: figures for kind, figures in by_name.items() if figures is not None}
        if measured:
            designs[name] = DesignSummary(describe, measured, summarize_finding(measured))
    return designs


def _judge_expectations(summary: Summary, expectations: Sequence[Expectation]) -> Iterator[Verdict]:
    """The verdicts of every expectation. Each repeat is judged on its own; where they differ, the worst counts."""
    repeats = tuple(_split_repeats(summary))
    for expectation in expectations:
        by_design: dict[str, list[Verdict]] = {}
        for repeat in repeats:
            for verdict in expectation.judge(repeat):
                by_design.setdefault(verdict.design, []).append(verdict)
        for verdicts in by_design.values():
            gravest = worst(verdict.result for verdict in verdicts)
            yield next(verdict for verdict in verdicts if verdict.result is gravest)


def _add_unexpected(summary: Summary, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """The verdicts, and one more for each design of which nothing was expected: that is no pass."""
    left = dict.fromkeys(summary.designs)
    for verdict in verdicts:
        left.pop(verdict.design, None)
        yield verdict
    yield from (Verdict("expectations", Result.UNKNOWN, "nothing is expected of it", design) for design in left)


def _excuse_cut_off(verdicts: Iterable[Verdict], arms: Sequence[MeasuredArm]) -> Iterator[Verdict]:
    """Let errors of an arm that was cut off prove nothing: the end of its parts causes errors, too."""
    cut_off = {arm.observed.design for arm in arms if not arm.observed.complete}
    for verdict in verdicts:
        is_failed = verdict.check == ControlErrors.name and verdict.result is Result.FAIL
        if is_failed and verdict.design in cut_off:
            why = f"an arm was cut off, which causes errors too; {verdict.why}"
            yield replace(verdict, result=Result.UNKNOWN, why=why)
        else:
            yield verdict


def _split_repeats(summary: Summary) -> Iterator[Summary]:
    """The summary as if each repeat were the only one."""
    arms = [arm for design in summary.designs.values() for arm in design.arms.values()]
    for index in range(max((len(arm.repeats) or 1 for arm in arms), default=1)):
        designs = {}
        for name, design in summary.designs.items():
            own = {kind: arm.repeats[index] if index < len(arm.repeats) else arm for kind, arm in design.arms.items()}
            designs[name] = replace(design, arms=own, finding=summarize_finding(own))
        yield replace(summary, designs=designs)


def _add_verdicts(summary: Summary, verdicts: Sequence[Verdict]) -> Summary:
    """The summary with the worst verdict of each design, and the reasons of it and of all that did not pass."""
    designs = {}
    for name, design in summary.designs.items():
        own = [verdict for verdict in verdicts if verdict.design == name]
        result = worst(verdict.result for verdict in own)
        reasons = [verdict.why for verdict in own if verdict.result is result or verdict.result is not Result.PASS]
        designs[name] = replace(design, verdict=result.value, why=tuple(reasons))
    return replace(summary, designs=designs, verdict=worst(verdict.result for verdict in verdicts).value)
