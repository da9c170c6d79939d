"""What every scenario expects without saying so: silence is never a pass."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.findings import summarize_finding
from harness.analysis.metrics.fold import fold
from harness.common.errors import UsageError
from harness.faults import Kill
from harness.results.summary import (
    ArmFigures,
    Controls,
    DesignSummary,
    EndpointStats,
    MessageFigures,
    RequestCounts,
    Summary,
)
from harness.results.verdicts import Expectation, Result, Verdict
from harness.scenario.design import Design
from harness.scenario.expectations import (
    clean_control,
    errors_below,
    finds,
    keeps,
    loses_at_most,
    loses_messages,
    loses_only_the_at_risk,
    loses_the_at_risk,
    may_lose,
    moves_a_share,
    p99_below,
    recovers,
)
from harness.scenario.faults import At
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Sessions
from tests.support.clocks_and_topology import RequestRow, SessionVerdict, observed

SESSIONS = range(1, 201)
BASE = fold(
    observed([RequestRow(n, 1 + n / 100, op=n) for n in SESSIONS], judgements=[SessionVerdict(n) for n in SESSIONS])
)
KILL = (At("2s", Kill(1)),)


def arm(writes: dict[str, Any] | None = None, **sessions: Any) -> ArmFigures:
    """An arm of 200 judged sessions, of which 60 were at risk."""
    known = {"at_risk": 60, "lost_not_at_risk": 0, "at_risk_not_lost": 60, **sessions}
    changed = replace(BASE, sessions=replace(BASE.sessions, **known))
    return replace(changed, writes=replace(changed.writes, **{"lost_not_at_risk": 0, **(writes or {})}))


def scenario(expect: Sequence[Expectation] = (), at_risk: str | None = None, **more: Any) -> Scenario:
    load = Sessions(concurrent=10, duration="4s", warmup="1s")
    return Scenario(
        **{"designs": [Design("d", at_risk=at_risk)], "load": load, "faults": KILL, "expect": expect, **more}
    )


def verdicts(of: Scenario, has_ledgers: bool = True, **arms: ArmFigures) -> dict[str, Verdict]:
    """The verdicts on design ``d`` by what was checked."""
    describe = {"at_risk": of.designs[0].at_risk or "unstated"}
    design = DesignSummary(describe, arms, summarize_finding(arms))
    summary = Summary("s", "r", {"d": design}, Controls(None, None))
    judged = [verdict for expectation in of.expectations(has_ledgers) for verdict in expectation.judge(summary)]
    assert len({verdict.check for verdict in judged}) == len(judged)
    return {verdict.check: verdict for verdict in judged}


def results(of: Scenario, **arms: ArmFigures) -> dict[str, str]:
    return {check: verdict.result.value for check, verdict in verdicts(of, True, **arms).items()}


def test_a_design_without_a_theory_is_expected_to_keep_everything() -> None:
    assert results(scenario(), control=arm(), fault=arm()) == {
        "control_errors": "pass",
        "clean_control": "pass",
        "keeps": "pass",
    }
    verdict = verdicts(scenario(), control=arm(), fault=arm(lost=17))["keeps"]
    assert verdict.result is Result.FAIL
    assert "17 of 200" in verdict.why
    assert 'expect=[finds("d", among=("lost",))]' in verdict.why, "the line that would declare it"


def test_the_line_that_a_failure_names_makes_it_pass() -> None:
    declared = scenario([finds("d", among=("lost",))])
    assert set(results(declared, control=arm(), fault=arm(lost=17)).values()) == {"pass"}


def test_one_whose_theory_is_that_none_is_at_risk_keeps_everything() -> None:
    for lost in (arm(lost=1), arm({"lost": 1})):
        assert results(scenario(at_risk="none"), control=arm(), fault=lost)["keeps"] == "fail"


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (arm(lost=60, at_risk_not_lost=0), "pass"),
        (arm(lost=20, at_risk_not_lost=40), "pass"),
        (arm(lost=61, lost_not_at_risk=1), "fail"),
        (arm({"lost": 9, "lost_not_at_risk": 3}), "fail"),
        (arm({"lost": 9, "lost_not_at_risk": 0}), "pass"),
        (arm(lost=1, at_risk=0, lost_not_at_risk=None), "fail"),
        (arm(lost=1, at_risk=None), "unknown"),
        (arm(at_risk=None), "pass"),
    ],
)
def test_one_with_a_victim_loses_no_more_than_was_at_risk(fault: ArmFigures, result: str) -> None:
    assert results(scenario(at_risk="victim"), control=arm(), fault=fault)["loses_only_the_at_risk"] == result


@pytest.mark.parametrize("at_risk", [None, "none", "victim"])
def test_a_loss_without_a_fault_fails_whatever_the_theory(at_risk: str | None) -> None:
    stated = [loses_the_at_risk("d")] if at_risk == "victim" else []
    verdict = verdicts(scenario(stated, at_risk), control=arm(lost=30), fault=arm(lost=60, at_risk_not_lost=0))
    assert verdict["clean_control"].result is Result.FAIL
    assert "30 sessions lost" in verdict["clean_control"].why


def test_a_design_is_declared_broken_by_the_harm_that_it_must_show() -> None:
    broken = scenario([finds("d", among=("lost", "stale"))])
    assert results(broken, control=arm(lost=200), fault=arm(lost=200)) == {"finds": "pass"}


def test_a_theory_says_what_a_fault_does_so_without_one_it_must_be_clean() -> None:
    expected = scenario([finds("d", among=("lost",))], at_risk="victim")
    verdict = verdicts(expected, control=arm(lost=5), fault=arm(lost=60))["clean_control"]
    assert verdict.result is Result.FAIL
    assert "no at_risk=" in verdict.why
    without_faults = replace(expected, faults=())
    assert results(without_faults, control=arm(lost=5)) == {"finds": "pass"}


def test_to_find_a_design_kept_or_harmed_does_not_declare_it_broken() -> None:
    either = scenario([finds("d", among=("kept", "lost"))])
    assert results(either, control=arm(lost=1), fault=arm(lost=1)) == {
        "finds": "pass",
        "control_errors": "pass",
        "clean_control": "fail",
    }


@pytest.mark.parametrize(
    "stated",
    [
        keeps("d"),
        loses_the_at_risk("d"),
        loses_only_the_at_risk("d"),
        loses_at_most("d", seconds=1),
        may_lose("d"),
        finds("d", among=("kept", "lost")),
    ],
)
def test_what_is_stated_of_losses_is_not_implied_again(stated: Expectation) -> None:
    kinds = [type(expectation).__name__ for expectation in scenario([stated]).expectations()]
    assert kinds == [type(stated).__name__, "ControlErrors", "CleanControl"]


@pytest.mark.parametrize("shown", ["leaked", "wrong"])
@pytest.mark.parametrize(
    ("stated", "at_risk", "check"),
    [
        ([], None, "keeps"),
        ([], "none", "keeps"),
        ([], "victim", "loses_only_the_at_risk"),
        ([keeps("d")], None, "keeps"),
        ([loses_the_at_risk("d")], "victim", "loses_the_at_risk"),
        ([loses_only_the_at_risk("d")], "victim", "loses_only_the_at_risk"),
        ([loses_at_most("d", seconds=1)], None, "loses_at_most"),
        ([may_lose("d")], None, "may_lose"),
    ],
)
def test_no_fault_excuses_the_session_of_another(
    stated: Sequence[Expectation], at_risk: str | None, check: str, shown: str
) -> None:
    figures: dict[str, Any] = {shown: 2}
    fault = arm(lost=60, at_risk_not_lost=0, **figures)
    verdict = verdicts(scenario(stated, at_risk), control=arm(), fault=fault)[check]
    assert verdict.result is Result.FAIL
    assert verdict.why.startswith({"leaked": "2 sessions leaked", "wrong": "2 sessions shown a wrong reply"}[shown])
    declared = scenario([finds("d", among=(shown,))])
    assert results(declared, control=arm(), fault=fault) == {"finds": "pass"}


@pytest.mark.parametrize("stated", [recovers("d"), moves_a_share("d", share=0.3), p99_below("1s", "d")])
def test_what_is_stated_of_something_else_leaves_losses_a_failure(stated: Expectation) -> None:
    assert results(scenario([stated]), control=arm(), fault=arm(lost=1))["keeps"] == "fail"


def test_losses_may_be_measured_without_being_a_failure() -> None:
    measured = verdicts(scenario([may_lose("d")]), control=arm(), fault=arm(lost=17))["may_lose"]
    assert measured.result is Result.PASS and "17 of 200" in measured.why
    nothing = arm(judged=0, unknown=200, at_risk=0)
    assert results(scenario([may_lose("d")]), control=arm(), fault=nothing)["may_lose"] == "unknown"


@pytest.mark.parametrize(("unknown", "result"), [(0, "pass"), (10, "pass"), (11, "unknown"), (200, "unknown")])
def test_more_than_a_twentieth_not_judged_is_unknown_with_the_reasons(unknown: int, result: str) -> None:
    dark = arm(judged=200 - unknown, unknown=unknown, at_risk=0, not_judged_because=("11 final reads got 404",))
    for at_risk, check in ((None, "keeps"), ("victim", "loses_only_the_at_risk")):
        seen = verdicts(scenario(at_risk=at_risk), control=dark, fault=dark)
        assert {seen[check].result.value, seen["clean_control"].result.value} == {result}
        assert ("11 final reads got 404" in seen["clean_control"].why) == (result == "unknown")


def test_a_proven_loss_fails_though_nothing_else_was_judged() -> None:
    dark = arm(judged=0, unknown=200, proven=6, lost=6, at_risk=0)
    assert results(scenario(), control=arm(), fault=dark)["keeps"] == "fail"


def test_what_is_unexplained_is_not_kept() -> None:
    odd = arm({"unexplained": 4}, unexplained=2)
    assert results(scenario(), control=arm(), fault=odd)["keeps"] == "unknown"
    stated = verdicts(scenario([keeps("d")]), control=arm(), fault=odd)["keeps"]
    assert stated.result is Result.UNKNOWN and "4 writes unexplained, in 2 sessions" in stated.why
    assert results(scenario(), control=odd, fault=arm())["clean_control"] == "fail"


def with_errors(failures: dict[str, int], requests: int = 424) -> ArmFigures:
    failed = sum(failures.values())
    stats = EndpointStats(requests, requests - failed, 0, failures, 1.0, 2.0, 1.0, 1.0, failures=failures)
    return replace(arm(), requests=RequestCounts(requests, requests - failed, failed, 0), names={"GET /": stats})


def test_errors_without_a_fault_fail_with_their_names_and_statuses() -> None:
    verdict = verdicts(scenario(), control=with_errors({"404": 424}), fault=arm())["control_errors"]
    assert verdict.result is Result.FAIL
    assert "424 of 424 GET / answered 404" in verdict.why


@pytest.mark.parametrize(("failed", "result"), [(10, "pass"), (11, "fail")])
def test_one_in_a_hundred_requests_may_fail_without_a_fault(failed: int, result: str) -> None:
    control = with_errors({"503": failed}, 1000)
    assert results(scenario(), control=control, fault=arm())["control_errors"] == result


def test_how_many_may_fail_is_the_scenarios_to_say() -> None:
    control = with_errors({"503": 40}, 1000)
    assert results(scenario(errors_at_most=0.04), control=control, fault=arm())["control_errors"] == "pass"
    assert results(scenario(errors_at_most=0.0), control=with_errors({"0": 1}), fault=arm())["control_errors"] == "fail"
    assert "control_errors" not in results(scenario([errors_below(0.5, "d")]), control=control, fault=arm())
    assert "control_errors" in results(scenario([errors_below(0.5, "d", name="GET /")]), control=control, fault=arm())
    with pytest.raises(UsageError, match="between 0 and 1"):
        scenario(errors_at_most=1.5)


def test_no_request_in_the_control_arm_is_unknown() -> None:
    assert results(scenario(), control=with_errors({}, 0), fault=arm())["control_errors"] == "unknown"


def test_lost_messages_make_a_control_unclean_unless_they_are_expected() -> None:
    times = BASE.latency_ms
    messages = MessageFigures(9, 9, 9, 3, 0, 0, 0, 1, 0, 0, 0, times, times, times, None, None)
    spoken = replace(arm(), messages=messages)
    assert results(scenario(), control=spoken, fault=arm())["clean_control"] == "fail"
    assert results(scenario([loses_messages("d")]), control=spoken, fault=spoken)["clean_control"] == "pass"


def test_without_faults_only_the_control_is_judged() -> None:
    assert results(scenario(faults=()), control=arm()) == {"control_errors": "pass", "clean_control": "pass"}


def test_users_without_ledgers_are_judged_by_what_is_stated_alone() -> None:
    silent = verdicts(scenario(), has_ledgers=False, control=arm())
    assert {check: verdict.result.value for check, verdict in silent.items()} == {
        "judges_sessions": "unknown",
        "control_errors": "pass",
    }
    assert "--expect" in silent["judges_sessions"].why
    stated = verdicts(scenario([p99_below("10s", "d")]), has_ledgers=False, control=arm(), fault=arm())
    assert "judges_sessions" not in stated


def test_an_expectation_without_names_is_about_every_design() -> None:
    two = [Design("a"), Design("b")]
    every = scenario([keeps()], designs=two).expect
    assert [expectation.designs for expectation in every if hasattr(expectation, "designs")] == [("a", "b")]
    assert scenario([clean_control()], designs=two).only(["b"]).expect == (clean_control("b"),)


def test_an_expectation_of_a_design_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="'other', which is no design") as problem:
        scenario([keeps("other")])
    assert "it has d" in problem.value.hint


def test_what_is_no_expectation_is_refused() -> None:
    with pytest.raises(UsageError, match="no expectation"):
        scenario([keeps])  # type: ignore[list-item]
