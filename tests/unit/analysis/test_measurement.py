"""What makes a run unknown: each thing by which a measurement cannot be trusted, and what a failed control does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.controls import apply_calibration, judge_controls
from harness.analysis.measured_arm import MeasuredArm, combine_repeats
from harness.analysis.measurement import judge_measurement
from harness.analysis.metrics.fold import fold
from harness.analysis.run_analysis import Analysis
from harness.observations.aggregates import AggregateStats
from harness.observations.events import Event
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import Calibration, Controls, Echo, Summary
from harness.results.verdicts import Result, Verdict
from tests.support.clocks_and_topology import RequestRow, SessionVerdict, kill_at, observed
from tests.support.recorded_run import plan

PLAN = plan(arms=[("one", "fault", 1)])
ECHO = Echo(100, 50.0, 1.0, 2.0, 0.1)


def arm(
    events: Sequence[Event] = (), *, complete: bool = True, effects: Sequence[int] = (), **driver: Any
) -> MeasuredArm:
    """An arm of one judged session, whose driver kept up."""
    seen = observed(
        [RequestRow(1, 1.0, op=1)], events, [SessionVerdict(1)], design="one", complete=complete, effects=effects
    )
    figures = fold(seen)
    return MeasuredArm(seen, replace(figures, driver=replace(figures.driver, **{"saturated": False, **driver})))


def checks(*arms: MeasuredArm, of: Any = PLAN) -> dict[str, Verdict]:
    """What is wrong with the measurement, by its name; all of it is unknown."""
    verdicts = list(judge_measurement(of, arms))
    assert {verdict.result for verdict in verdicts} <= {Result.UNKNOWN}
    return {verdict.check: verdict for verdict in verdicts}


def test_a_measurement_without_a_doubt_says_nothing() -> None:
    assert checks(arm(kill_at(4.0, healed=5.0))) == {}


def test_an_arm_that_was_cut_off_or_did_not_run_is_unknown() -> None:
    assert "cut off" in checks(arm(complete=False))["complete"].why
    assert set(checks()) == {"complete"}


def test_a_fault_without_evidence_is_unknown() -> None:
    commanded, _, _ = kill_at(4.0, healed=5.0)
    assert "no evidence that kill of r1" in checks(arm([commanded]))["fault_landed"].why


@pytest.mark.parametrize("kind", ["part_died", "broken_off"])
def test_a_part_that_died_by_itself_is_unknown(kind: str) -> None:
    assert checks(arm([Event(2.0, kind, "r0", {"why": "r0 ended with code 7"})]))[kind].why.endswith("code 7")


def test_a_worker_that_was_lost_is_unknown() -> None:
    lost = Event(2.0, "worker_lost", "w1", {"host": "there", "why": "it is gone", "sessions": 7})
    assert "its 7 sessions are not judged" in checks(arm([lost]))["worker_lost"].why


@pytest.mark.parametrize("saturated", [True, None])
def test_a_driver_that_did_not_keep_up_or_was_not_sampled_is_unknown(saturated: bool | None) -> None:
    assert set(checks(arm(saturated=saturated))) == {"driver_kept_up"}


def test_a_design_that_waited_for_cores_is_unknown() -> None:
    kept = arm()
    waited = replace(kept.figures.resources, starved=True, waited=0.3, other_cpu=1.0, stolen_cpu=0.0)
    assert set(checks(replace(kept, figures=replace(kept.figures, resources=waited)))) == {"targets_kept_up"}


def calibration(correct: int) -> Calibration:
    return Calibration({SessionOutcome.LOST: {SessionOutcome.LOST: correct}}, 10, correct)


def test_a_judge_that_errs_on_known_bugs_makes_every_verdict_unknown() -> None:
    verdicts = [Verdict("keeps", Result.PASS, "kept", "one"), Verdict("keeps", Result.FAIL, "lost 3", "two")]
    failed = Controls(calibration(9), ECHO)
    applied = apply_calibration([*verdicts, *judge_controls(failed)], failed)
    assert {verdict.result for verdict in applied} == {Result.UNKNOWN}
    assert any("without it: fail, lost 3" in verdict.why for verdict in applied)
    passed = Controls(calibration(10), ECHO)
    assert [verdict.result for verdict in apply_calibration(verdicts, passed)] == [Result.PASS, Result.FAIL]


def test_an_echo_that_did_not_run_in_every_round_is_unknown() -> None:
    for echo in (None, replace(ECHO, repeats=(ECHO, None))):
        assert [verdict.check for verdict in judge_controls(Controls(calibration(10), echo))] == ["calibration", "echo"]
    assert [verdict.check for verdict in judge_controls(Controls(calibration(10), ECHO))] == ["calibration"]


def test_a_run_whose_judge_was_not_tried_is_unknown() -> None:
    """Its calibration is missing, or left no session."""
    (verdict,) = judge_controls(Controls(None, ECHO))
    assert (verdict.check, verdict.result) == ("calibration", Result.UNKNOWN)


@pytest.mark.parametrize(
    ("results", "worst", "code"),
    [
        ((Result.PASS, Result.PASS), Result.PASS, 0),
        ((Result.PASS, Result.UNKNOWN), Result.UNKNOWN, 3),
        ((Result.UNKNOWN, Result.FAIL, Result.PASS), Result.FAIL, 1),
    ],
)
def test_the_worst_verdict_decides_the_exit_code(results: Sequence[Result], worst: Result, code: int) -> None:
    verdicts = tuple(Verdict("keeps", result, "") for result in results)
    analysis = Analysis(Summary("s", "r", {}, Controls(None, None)), verdicts, ())
    assert (analysis.result, analysis.result.exit_code) == (worst, code)


def test_effects_without_records_are_unknown() -> None:
    seen = arm(effects=[1])
    tallied = replace(seen, observed=replace(seen.observed, aggregates=AggregateStats.empty()))
    assert set(checks(tallied)) == {"effects_judged"}


def test_several_repeats_keep_each_for_itself() -> None:
    first, second = arm(), replace(arm(), observed=replace(arm().observed, repeat=2))
    combined = combine_repeats([first, second], "one", "fault")
    assert combined is not None and len(combined.repeats) == 2
