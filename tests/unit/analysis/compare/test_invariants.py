"""What is counted on both sides: of how many, and what each difference means."""

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.compare import ComparedRun, ComparisonOutcome
from harness.analysis.compare.invariants import Invariant, check_invariants
from harness.results.summary import MessageFigures, Percentiles, Sagas
from harness.results.verdicts import Result, Verdict
from tests.support.compare import Session

REGRESSION, IMPROVED = ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED
EQUIVALENT, INCONCLUSIVE = ComparisonOutcome.EQUIVALENT, ComparisonOutcome.INCONCLUSIVE
NONE = Percentiles(None, None, None, None, None)


def side(at_risk: str = "victim", pairs: int = 2, **changes: Any) -> ComparedRun:
    """A side whose subject has these figures in each repeat; of sessions and writes, these fields of them."""
    whole = Session(pairs=pairs).side()
    summary = whole.summary.designs["subject"]
    arm = summary.arms["control"]
    kept: dict[str, Any] = {
        name: replace(getattr(arm, name), **value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    repeats = tuple(replace(repeat, **kept) for repeat in arm.repeats)
    described = replace(
        summary,
        describe={**summary.describe, "at_risk": at_risk},
        arms={"control": replace(repeats[0], repeats=repeats)},
    )
    return replace(whole, summary=replace(whole.summary, designs={**whole.summary.designs, "subject": described}))


def of_subject(run: ComparedRun, baseline: ComparedRun, margin: float = 0.1) -> dict[str, Invariant]:
    return {
        invariant.what.removesuffix(", control"): invariant
        for invariant in check_invariants(run, baseline, margin)
        if invariant.design == "subject"
    }


def messages(lost: int, due: int = 1000) -> MessageFigures:
    return MessageFigures(due, due, due, lost, 0, 7, 3, 2, 0, 0, 0, NONE, NONE, NONE, None, None)


def test_a_count_is_reported_with_both_sides() -> None:
    now, before = side(writes={"lost": 1500}), side(writes={"lost": 700})
    found = of_subject(now, before)["acknowledged writes lost"]
    counts, _, reason = found.why.partition("; ")
    assert counts == "control arm: 3,000 acknowledged writes lost, 1,400 in the baseline"
    assert reason == "their share certainly grew by more than 10%"
    assert of_subject(before, now)["acknowledged writes lost"].why == (
        "control arm: 1,400 acknowledged writes lost, 3,000 in the baseline"
    )


def test_messages_count_of_those_that_were_due() -> None:
    few, many = side(messages=messages(100)), side(messages=messages(400))
    assert of_subject(many, few)["messages lost"].outcome is REGRESSION
    assert of_subject(few, many)["messages lost"].outcome is IMPROVED
    twice_as_many_due = side(messages=messages(200, 2000))
    assert of_subject(twice_as_many_due, few)["messages lost"].outcome is EQUIVALENT
    assert of_subject(few, few)["messages repeated"].why == "control arm: 14 messages repeated, 14 in the baseline"
    assert of_subject(few, few)["messages disordered"].why == "control arm: 6 messages disordered, 6 in the baseline"
    assert of_subject(side(), side())["messages lost"].why == "control arm: 0 messages lost, 0 in the baseline"


def test_orders_count_of_those_that_began() -> None:
    few, many = side(sagas=Sagas(1000, 900, 0, 100, 50, 0)), side(sagas=Sagas(1000, 600, 0, 400, 300, 0))
    for what in ("orders left half done", "orders with a step done twice"):
        assert of_subject(many, few)[what].outcome is REGRESSION
        assert of_subject(few, many)[what].outcome is IMPROVED
        assert of_subject(side(sagas=Sagas(2000, 1800, 0, 200, 100, 0)), few)[what].outcome is EQUIVALENT
    assert "200 orders left half done" in of_subject(few, few)["orders left half done"].why
    assert "100 orders with a step done twice" in of_subject(few, few)["orders with a step done twice"].why
    assert (
        of_subject(side(), side())["orders left half done"].why
        == "control arm: 0 orders left half done, 0 in the baseline"
    )


def test_sessions_count_of_those_that_started_and_writes_of_those_acknowledged() -> None:
    started = side().summary.designs["subject"].arms["control"].sessions.started
    some = {"lost": 50, "lost_not_at_risk": 40}
    before = side(sessions=some, writes={"acknowledged": 1000, "lost": 100})
    twice = {"started": 2 * started, "judged": 2 * started, "lost": 100, "lost_not_at_risk": 80}
    after = side(sessions=twice, writes={"acknowledged": 2000, "lost": 200})
    found = of_subject(after, before)
    for what in ("sessions lost", "sessions lost without being at risk", "acknowledged writes lost"):
        assert found[what].outcome is EQUIVALENT, found[what].why
    assert (
        of_subject(side(sessions={**some, "lost_not_at_risk": None}), before)[
            "sessions lost without being at risk"
        ].outcome
        is IMPROVED
    )


@pytest.mark.parametrize(
    ("at_risk", "before", "now", "outcome"),
    [
        ("victim", 0, 0, EQUIVALENT),
        ("victim", 0, 1, REGRESSION),
        ("victim", 50, 51, EQUIVALENT),
        ("victim", 50, 100, REGRESSION),
        ("victim", 100, 50, IMPROVED),
        ("none", 50, 51, REGRESSION),
        ("none", 51, 50, EQUIVALENT),
        ("none", 100, 50, IMPROVED),
    ],
)
def test_one_more_is_too_many_where_there_must_be_none(
    at_risk: str, before: int, now: int, outcome: ComparisonOutcome
) -> None:
    found = of_subject(side(at_risk, sessions={"lost": now}), side(at_risk, sessions={"lost": before}))
    assert found["sessions lost"].outcome is outcome


def test_a_count_that_may_have_moved_is_inconclusive_with_that_reason() -> None:
    shifted = of_subject(side(sessions={"lost": 56}), side(sessions={"lost": 50}))["sessions lost"]
    assert shifted.outcome is INCONCLUSIVE
    assert shifted.why.endswith("; their share may have moved beyond the margin, or not")


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        (0, 0, EQUIVALENT),
        (0, 1, INCONCLUSIVE),
        (50, 50, EQUIVALENT),
        (50, 51, EQUIVALENT),
        (50, 100, INCONCLUSIVE),
        (100, 50, EQUIVALENT),
    ],
)
def test_more_sessions_that_could_not_be_judged_leave_it_open(
    before: int, now: int, outcome: ComparisonOutcome
) -> None:
    found = of_subject(side(sessions={"unknown": now}), side(sessions={"unknown": before}))
    assert found["sessions unknown"].outcome is outcome


def test_an_arm_in_which_nothing_was_judged_any_more_says_so() -> None:
    blind, sound = side(sessions={"judged": 0}), side()
    assert of_subject(blind, sound)["sessions judged"] == Invariant(
        "subject", "sessions judged, control", INCONCLUSIVE, "control arm: no session could be judged"
    )
    for run, baseline in ((sound, sound), (blind, blind), (sound, blind)):
        assert "sessions judged" not in of_subject(run, baseline)


@pytest.mark.parametrize("check", ["driver_kept_up", "targets_kept_up"])
def test_an_unknown_verdict_on_times_says_nothing_of_counts(check: str) -> None:
    run = replace(side(), verdicts=(Verdict(check, Result.UNKNOWN, "late", "subject"),))
    assert of_subject(run, side())[f"verdict of {check}"].outcome is EQUIVALENT


def test_a_failure_is_new_unless_the_same_check_of_the_same_design_failed_before() -> None:
    failed = Verdict("keeps", Result.FAIL, "lost 3", "subject")
    run = replace(side(), verdicts=(failed,))
    for other in (
        replace(failed, check="finds"),
        replace(failed, design="reference"),
        replace(failed, result=Result.UNKNOWN),
    ):
        found = of_subject(run, replace(side(), verdicts=(other,)))["verdict of keeps"]
        assert found == Invariant("subject", "verdict of keeps", REGRESSION, "lost 3")
    assert of_subject(run, run)["verdict of keeps"].outcome is EQUIVALENT
