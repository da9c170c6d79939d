from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.controls import compute_calibration
from harness.analysis.findings import summarize_finding
from harness.analysis.metrics.fold import fold
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, Controls, DesignSummary, Summary
from harness.results.verdicts import Result, Verdict, worst
from harness.scenario.expectations import clean_control, finds, keeps, loses_the_at_risk, zero
from tests.support.clocks_and_topology import RequestRow, observed


def _arm(**sessions: Any) -> ArmFigures:
    base = fold(observed([RequestRow(1, 1)]))
    known = {"started": 200, "judged": 200, "unknown": 0, "at_risk": 66, "expected_lost": 66}
    return replace(base, sessions=replace(base.sessions, **{**known, **sessions}))


def _summary(**arms: ArmFigures) -> Summary:
    design = DesignSummary({}, arms, summarize_finding(arms))
    return Summary("s", "r", {"d": design}, Controls(None, None))


def _one(verdicts: Any) -> Verdict:
    (verdict,) = verdicts
    assert isinstance(verdict, Verdict)
    return verdict


def test_the_worst_verdict_wins_and_fail_outweighs_unknown() -> None:
    assert worst([Result.PASS, Result.UNKNOWN]) is Result.UNKNOWN
    assert worst([Result.UNKNOWN, Result.FAIL, Result.PASS]) is Result.FAIL
    assert worst([]) is Result.PASS


@pytest.mark.parametrize(
    ("sessions", "word"),
    [
        ({}, "kept"),
        ({"lost": 3, "stale": 9}, "lost"),
        ({"lost": 3, "leaked": 1}, "leaked"),
        ({"forced_login": 4}, "forced_login"),
        ({"judged": 0, "at_risk": 0, "expected_lost": 0}, "unknown"),
        ({"judged": 0, "unknown": 200, "leaked": 6}, "leaked"),
        ({"judged": 189, "unknown": 11}, "unknown"),
        ({"judged": 190, "unknown": 10}, "kept"),
    ],
)
def test_the_finding_is_the_gravest_thing_that_happened(sessions: dict[str, int], word: str) -> None:
    assert summarize_finding({"fault": _arm(**sessions)}) == word


def test_what_no_explanation_fits_is_found_as_that() -> None:
    arm = _arm()
    assert summarize_finding({"fault": replace(arm, writes=replace(arm.writes, unexplained=1))}) == "unexplained"


def test_the_finding_speaks_of_the_fault_arm_where_there_is_one() -> None:
    assert summarize_finding({"control": _arm(lost=1), "fault": _arm()}) == "kept"
    assert summarize_finding({"control": _arm(lost=1)}) == "lost"


def test_any_lost_write_breaks_keeps() -> None:
    arm = _arm()
    broken = replace(arm, writes=replace(arm.writes, acknowledged=100, lost=1))
    assert _one(keeps("d").judge(_summary(fault=broken))).result is Result.FAIL
    assert _one(keeps("d").judge(_summary(fault=arm))).result is Result.PASS


def test_keeps_does_not_know_what_it_could_not_judge() -> None:
    assert _one(keeps("d").judge(_summary(fault=_arm(unknown=1)))).result is Result.UNKNOWN


@pytest.mark.parametrize(
    ("differences", "result"),
    [
        ({"lost": 66, "lost_not_at_risk": 0, "at_risk_not_lost": 0}, Result.PASS),
        ({"lost": 66, "lost_not_at_risk": 1, "at_risk_not_lost": 1}, Result.FAIL),
        ({"lost": 65, "lost_not_at_risk": 0, "at_risk_not_lost": 1}, Result.FAIL),
        ({"lost": 66, "judged": 100, "lost_not_at_risk": 0, "at_risk_not_lost": 0}, Result.UNKNOWN),
    ],
)
def test_loses_the_at_risk_compares_sets_not_numbers(differences: dict[str, int], result: Result) -> None:
    verdict = _one(loses_the_at_risk("d", judged=150).judge(_summary(fault=_arm(**differences))))
    assert verdict.result is result


def test_finds_fails_when_the_positive_control_finds_nothing() -> None:
    assert _one(finds("d", among=["lost"]).judge(_summary(fault=_arm()))).result is Result.FAIL
    assert _one(finds("d", among=["lost"]).judge(_summary(fault=_arm(lost=2)))).result is Result.PASS


@pytest.mark.parametrize("what", ["lost", "stale", "rolled_back", "leaked", "forced_login"])
def test_one_anomaly_makes_a_control_unclean(what: str) -> None:
    assert _one(clean_control("d").judge(_summary(control=_arm(**{what: 1})))).result is Result.FAIL
    assert _one(clean_control("d").judge(_summary(control=_arm()))).result is Result.PASS


def test_an_expectation_of_a_design_that_did_not_run_is_unknown() -> None:
    assert _one(keeps("other").judge(_summary(fault=_arm()))).result is Result.UNKNOWN


def test_only_keeps_the_expectations_of_the_designs_that_run() -> None:
    narrowed = keeps("a", "b").only(["b", "c"])
    assert narrowed is not None and narrowed.designs == ("b",)
    assert keeps("a").only(["c"]) is None


def test_a_zero_is_shown_with_its_n_and_bound() -> None:
    assert zero(0, 48210) == "0 of 48,210 (95 % upper bound 0.0062 %)"
    assert zero(3, 10) == "3 of 10"


def test_calibration_is_diagonal_only_if_every_bug_is_named_and_nothing_else(judgement: Any) -> None:
    good = [judgement(owner="u1", outcome=SessionOutcome.LOST), judgement(owner="u2")]
    assert compute_calibration(good, {"u1": "lose", "u2": "none"}).diagonal
    assert not compute_calibration(good, {"u1": "lose", "u2": "drop"}).diagonal
    alarm = compute_calibration(
        [*good, judgement(owner="u3", outcome=SessionOutcome.STALE)], {"u1": "lose", "u2": "none"}
    )
    assert not alarm.diagonal and alarm.matrix[SessionOutcome.KEPT] == {SessionOutcome.KEPT: 1, SessionOutcome.STALE: 1}
    assert not compute_calibration(good[:1], {"u1": "lose", "u2": "none"}).diagonal
