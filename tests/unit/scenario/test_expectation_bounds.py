"""Expectations at their bounds, with the reasons that they give."""

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.fold import fold
from harness.common.errors import UsageError
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import (
    ArmFigures,
    Controls,
    DesignSummary,
    DriverFigures,
    EndpointStats,
    FaultFigures,
    LoadUsers,
    MessageFigures,
    Percentiles,
    Phase,
    Phases,
    RequestCounts,
    Sagas,
    Summary,
    Throughput,
)
from harness.results.verdicts import Result, Verdict
from harness.scenario.expectations import (
    Expect,
    availability_above,
    clean_control,
    delivers,
    encode,
    errors_below,
    finds,
    keeps,
    leaves_half_done,
    loses_at_most,
    loses_messages,
    loses_only_the_at_risk,
    loses_the_at_risk,
    may_lose,
    moves_a_share,
    p50_below,
    p90_below,
    p99_below,
    p999_below,
    recall,
    recovers,
    seconds_lost,
    settles,
    stays_down,
    surges,
    throughput_above,
    zero,
)
from harness.scenario.expectations.errors import ControlErrors, JudgesSessions
from harness.scenario.expectations.expectation import check_every_arm, explain_not_judged, opposite
from harness.scenario.expectations.sessions import (
    CleanControl,
    Finds,
    Keeps,
    LosesAtMost,
    LosesOnlyTheAtRisk,
    LosesTheAtRisk,
    MovesAShare,
)
from harness.scenario.expectations.thresholds import Threshold
from tests.support.clocks_and_topology import RequestRow, observed

PASS, FAIL, UNKNOWN = Result.PASS, Result.FAIL, Result.UNKNOWN
BASE = fold(observed([RequestRow(1, 1)]))
NO_TIMES = Percentiles(None, None, None, None, None)


def arm(writes: dict[str, Any] | None = None, **sessions: Any) -> ArmFigures:
    """Two hundred judged sessions with a thousand acknowledged writes; 60 were at risk, and none was lost."""
    known = {"started": 200, "judged": 200, "unknown": 0, "at_risk": 60, "lost_not_at_risk": 0, "at_risk_not_lost": 60}
    return replace(
        BASE,
        sessions=replace(BASE.sessions, **{**known, **sessions}),
        writes=replace(BASE.writes, **{"acknowledged": 1000, **(writes or {})}),
        driver=DriverFigures(False, 1.0, 0, 0),
    )


def verdict(
    expect: Expect, finding: str = "kept", describe: dict[str, Any] | None = None, **arms: ArmFigures
) -> Verdict:
    """Of design d; its one arm is ``fault`` unless others are given."""
    design = DesignSummary(describe or {}, arms, SessionOutcome(finding))
    (one,) = replace(expect, designs=("d",)).judge(Summary("s", "r", {"d": design}, Controls(None, None)))
    return one


def judged(expect: Expect, fault: ArmFigures, **more: Any) -> tuple[Result, str]:
    one = verdict(expect, fault=fault, **more)
    return one.result, one.why


BOUND = "(95 % upper bound 1.5 %)"  # of 0 of 200
WRITES = "(95 % upper bound 0.3 %)"  # of 0 of 1,000


def test_a_count_is_shown_with_its_whole_and_a_zero_with_what_it_rules_out() -> None:
    assert zero(0, 200) == f"0 of 200 {BOUND}"
    assert zero(0, 1) == "0 of 1 (95 % upper bound 95 %)"
    assert (zero(1, 1000), zero(0, 0), zero(5000, 10_000)) == ("1 of 1,000", "0 of 0", "5,000 of 10,000")


def test_opposite_turns_pass_and_fail_and_leaves_unknown() -> None:
    assert [opposite((result, "why"))[0] for result in (PASS, FAIL, UNKNOWN)] == [FAIL, PASS, UNKNOWN]


def test_of_several_arms_the_worst_counts_with_the_reasons_of_all_that_did_not_pass() -> None:
    results = {"a": PASS, "b": FAIL, "c": UNKNOWN}
    arms = {name: replace(BASE, latency_is_lower_bound=name == "x") for name in results}
    by_arm = {id(figures): name for name, figures in arms.items()}

    def check(figures: ArmFigures) -> tuple[Result, str]:
        name = by_arm[id(figures)]
        return results[name], f"because of {name}"

    assert check_every_arm(arms, check) == (FAIL, "b: because of b; c: because of c")
    assert check_every_arm({"a": arms["a"]}, check) == (PASS, "a: because of a")


@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ({}, ""),
        ({"judged": 190, "unknown": 10}, ""),
        ({"judged": 189, "unknown": 11}, "only 189 of 200 sessions could be judged"),
        ({"judged": 0, "unknown": 200}, "no session could be judged"),
        ({"judged": 0, "unknown": 0, "started": 0, "at_risk": 0}, "no session began"),
        ({"judged": 0, "unknown": 200, "not_judged_because": ("x", "y")}, "no session could be judged; x; y"),
        ({"started": 3000, "judged": 2000, "unknown": 1000}, "only 2,000 of 3,000 sessions could be judged"),
    ],
)
def test_too_few_judged_sessions_are_explained(sessions: dict[str, Any], said: str) -> None:
    assert explain_not_judged(arm(**sessions).sessions) == said


def test_a_design_without_an_arm_did_not_run() -> None:
    assert verdict(keeps()) == Verdict("keeps", UNKNOWN, "it did not run", "d")


def test_an_implied_expectation_that_fails_names_the_line_that_says_otherwise() -> None:
    hint = 'if that must happen, say so: expect=[finds("d", among=("lost",))]'
    failed = verdict(Keeps(implied=True), "lost", fault=arm(lost=1))
    assert failed.why == f"sessions lost 1 of 200, acknowledged writes lost 0 of 1,000 {WRITES}; {hint}"
    assert hint not in verdict(keeps(), "lost", fault=arm(lost=1)).why
    assert hint not in verdict(Keeps(implied=True), fault=arm()).why


def test_names_of_designs_are_texts() -> None:
    with pytest.raises(UsageError, match="expects names of designs, not 3"):
        keeps(3)  # type: ignore[arg-type]


def test_keeps_counts_losses_of_sessions_and_of_writes() -> None:
    good = f"fault: sessions lost 0 of 200 {BOUND}, acknowledged writes lost 0 of 1,000 {WRITES}"
    assert judged(keeps(), arm()) == (PASS, good)
    assert judged(keeps(), arm(lost=1))[0] is FAIL
    assert judged(keeps(), arm({"lost": 1}))[0] is FAIL
    assert judged(keeps(), arm(unknown=1, judged=199, not_judged_because=("x",))) == (
        UNKNOWN,
        f"{good.replace('0 of 200', '0 of 199')}; 1 sessions could not be judged; x",
    )
    assert judged(Keeps(implied=True), arm(unknown=1, judged=199))[0] is PASS
    assert judged(keeps(), arm({"unexplained": 1}))[0] is judged(keeps(), arm(unexplained=1))[0] is UNKNOWN


def test_keeps_is_about_every_arm_and_if_implied_about_the_one_with_the_fault() -> None:
    arms: dict[str, Any] = {"control": arm(lost=1), "fault": arm()}
    assert verdict(keeps(), **arms).result is FAIL
    assert verdict(Keeps(implied=True), **arms).result is PASS
    assert verdict(Keeps(implied=True), control=arm(lost=1)).result is FAIL, "without a fault, the control"


def test_loses_the_at_risk_compares_the_two_sets() -> None:
    lost: dict[str, Any] = {"lost": 60, "expected_lost": 60, "at_risk_not_lost": 0}
    why = "60 of 200 sessions lost, 60 predicted; 0 lost without being at risk, 0 at risk but kept"
    assert judged(loses_the_at_risk(), arm(**lost)) == (PASS, why)
    unpredicted = why.replace(", 60 predicted", "")
    assert judged(loses_the_at_risk(), arm(**{**lost, "expected_lost": None})) == (PASS, unpredicted)
    assert judged(loses_the_at_risk(), arm(**{**lost, "lost_not_at_risk": 1}))[0] is FAIL
    assert judged(loses_the_at_risk(), arm(**{**lost, "at_risk_not_lost": 1}))[0] is FAIL
    assert judged(loses_the_at_risk(), arm(lost=0, at_risk=0, at_risk_not_lost=0))[0] is FAIL, "none was at risk"
    assert judged(loses_the_at_risk(), arm(**lost, unknown=11, judged=189))[0] is UNKNOWN
    assert judged(loses_the_at_risk(), arm(at_risk=None))[0] is UNKNOWN


@pytest.mark.parametrize("make", [loses_the_at_risk, loses_only_the_at_risk])
def test_at_least_so_many_sessions_must_have_been_judged(make: Any) -> None:
    lost = arm(lost=60, at_risk_not_lost=0)
    assert judged(make(), arm(judged=0, unknown=200))[1].startswith("only 0 sessions judged, at least 1 wanted")
    assert judged(make(judged=200), lost)[0] is PASS
    result, why = judged(make(judged=201), lost)
    assert result is UNKNOWN and why.startswith("only 200 sessions judged, at least 201 wanted")


def test_loses_only_the_at_risk_says_how_many_were() -> None:
    some = arm(lost=20, at_risk_not_lost=40)
    assert judged(loses_only_the_at_risk(), some) == (
        PASS,
        "20 of 200 sessions lost, 60 at risk; 0 lost without being at risk",
    )
    assert judged(loses_only_the_at_risk(), arm(lost=20, lost_not_at_risk=1))[0] is FAIL
    without_theory = judged(loses_only_the_at_risk(), arm(lost_not_at_risk=None, not_judged_because=("x",)))
    assert without_theory == (UNKNOWN, "only 200 sessions judged, at least 1 wanted, and some fault; x")


def test_an_implied_one_asks_it_of_writes_too() -> None:
    implied = LosesOnlyTheAtRisk(implied=True)
    assert judged(implied, arm()) == (PASS, f"sessions lost 0 of 200 {BOUND}")
    why = "20 of 200 sessions lost, 60 at risk; without being at risk {} were lost, and {} acknowledged writes"
    lost = {"lost": 9, "lost_not_at_risk": 0}
    assert judged(implied, arm(lost, lost=20)) == (PASS, why.format(0, 0))
    for changed, counts in (
        (arm(lost, lost=20, lost_not_at_risk=2), (2, 0)),
        (arm({**lost, "lost_not_at_risk": 3}, lost=20), (0, 3)),
        (arm(lost, lost=20, lost_not_at_risk=None), (20, 0)),
        (arm({**lost, "lost_not_at_risk": None}, lost=20), (0, 9)),
    ):
        result, said = judged(implied, changed)
        assert result is FAIL and said.startswith(why.format(*counts))
    assert judged(implied, arm(lost, lost=0))[0] is PASS
    assert judged(implied, arm(lost=1, at_risk=None))[0] is UNKNOWN


def test_a_doubt_stands_after_what_is_known_or_alone() -> None:
    dark = arm(judged=0, unknown=200, lost_not_at_risk=0)
    assert judged(LosesOnlyTheAtRisk(implied=True), dark) == (UNKNOWN, "no session could be judged")
    assert judged(may_lose(), dark)[0] is UNKNOWN
    half = arm(judged=100, unknown=100)
    assert judged(LosesOnlyTheAtRisk(implied=True), half)[1] == (
        "sessions lost 0 of 100 (95 % upper bound 3 %); only 100 of 200 sessions could be judged"
    )
    odd = arm({"unexplained": 2000}, unexplained=1)
    assert judged(LosesOnlyTheAtRisk(implied=True), odd)[1].endswith("; 2,000 writes unexplained, in 1 sessions")


def with_writes(lost: int, lost_sessions: int = 0, **more: Any) -> ArmFigures:
    """Ten acknowledged writes per second before the fault: a quarter of 40 good replies."""
    stats = {
        name: EndpointStats(ok + 5, ok, 0, {}, None, None, None, None)
        for name, ok in (("POST /a", 60), ("PUT /b", 20), ("PATCH /c", 15), ("DELETE /d", 5), ("GET /e", 300))
    }
    before = Phase(RequestCounts(400, 400, 0, 0), Throughput(40.0, 40.0), NO_TIMES, NO_TIMES)
    known = arm({"lost": lost}, lost=lost_sessions, **more)
    return replace(known, names=stats, phases=Phases(before, None, None))


def test_lost_writes_are_worth_the_time_in_which_as_many_were_acknowledged() -> None:
    assert seconds_lost(with_writes(25)) == pytest.approx(2.5)
    assert seconds_lost(with_writes(0)) == 0.0
    assert seconds_lost(replace(with_writes(25), phases=Phases(None, None, None))) is None
    reads = {"GET /e": EndpointStats(5, 5, 0, {}, None, None, None, None)}
    assert seconds_lost(replace(with_writes(25), names=reads)) is None
    silent = Phase(RequestCounts(0, 0, 0, 0), Throughput(0.0, 0.0), NO_TIMES, NO_TIMES)
    assert seconds_lost(replace(with_writes(25), phases=Phases(silent, None, None))) is None


def test_loses_at_most_allows_a_tolerance() -> None:
    counts = "26 acknowledged writes lost, as many as come in 2.60 s"
    allowed = "at most 2 s of them were allowed, and 0 of 200 sessions"
    assert judged(loses_at_most(seconds=2), with_writes(26)) == (PASS, f"{counts}; {allowed}")
    assert judged(loses_at_most(seconds=2), with_writes(27))[0] is FAIL
    assert judged(loses_at_most(seconds=2, give=0.0), with_writes(20))[0] is PASS
    assert judged(loses_at_most(seconds=2, give=0.0), with_writes(21))[0] is FAIL
    assert judged(loses_at_most(seconds=2), with_writes(0, lost_sessions=1))[0] is FAIL
    assert judged(loses_at_most(seconds=2), with_writes(0, judged=0, unknown=200, proven=200))[0] is UNKNOWN
    assert judged(loses_at_most(seconds=2), with_writes(0, judged=100, unknown=100))[0] is UNKNOWN
    for wrong in ({"seconds": 0}, {"seconds": -1}, {"seconds": 1, "give": -0.1}):
        with pytest.raises(UsageError):
            loses_at_most(**wrong)
    assert loses_at_most(seconds=0.001, give=0)


def test_may_lose_says_what_was_lost() -> None:
    lost = judged(may_lose(), arm({"lost": 7}, lost=3))
    assert lost == (PASS, "sessions lost 3 of 200, acknowledged writes lost 7 of 1,000")


@pytest.mark.parametrize(("moved", "result"), [(29, FAIL), (30, PASS), (50, PASS), (70, PASS), (71, FAIL)])
def test_a_share_moves_within_a_tenth(moved: int, result: Result) -> None:
    why = f"{moved} of 200 sessions moved ({moved / 2:.1f}%), 25.0% predicted"
    assert judged(moves_a_share(share=0.25), arm(moved=moved)) == (result, why)


def test_a_share_lies_between_none_and_all() -> None:
    for share in (-0.1, 1.1):
        with pytest.raises(UsageError):
            moves_a_share(share=share)
    with pytest.raises(UsageError):
        moves_a_share(share=0.5, within=-0.1)
    assert judged(moves_a_share(share=0, within=0), arm(moved=0))[0] is PASS
    assert judged(moves_a_share(share=1), arm(moved=200))[0] is PASS
    assert judged(moves_a_share(share=0.5), arm(started=0, judged=0, at_risk=0)) == (UNKNOWN, "no session was started")
    assert judged(moves_a_share(share=0), arm(started=1, judged=1, at_risk=0, moved=0))[0] is PASS


def test_finds_compares_the_finding() -> None:
    assert judged(finds(among=("lost", "stale")), arm(), finding="stale") == (
        PASS,
        "found stale, expected lost or stale",
    )
    assert judged(finds(among="lost"), arm(), finding="stale")[0] is FAIL
    dark = arm(judged=0, unknown=200)
    assert judged(finds(among="lost"), dark, finding="unknown") == (
        UNKNOWN,
        "found unknown, expected lost; no session could be judged",
    )
    assert judged(finds(among="unknown"), dark, finding="unknown")[0] is PASS


def test_a_harm_is_declared_where_not_everything_may_be_kept() -> None:
    def declares(*among: str) -> bool:
        expect = finds(among=among)
        assert isinstance(expect, Finds)
        return expect.declares_harm

    assert declares("lost") and declares("lost", "unknown") and not declares("kept", "lost")


def test_a_clean_control_has_no_anomaly() -> None:
    good = "no anomaly in 200 sessions and 1,000 acknowledged writes"
    assert verdict(clean_control(), control=arm()) == Verdict("clean_control", PASS, good, "d")
    assert verdict(clean_control(), fault=arm()).why == "the control arm did not run"
    dirty = arm({"duplicated": 2000}, lost=3)
    assert verdict(clean_control(), control=dirty).why == "without a fault: 3 sessions lost, 2,000 writes duplicated"
    assert verdict(clean_control(), control=arm(judged=0, unknown=200)).result is UNKNOWN


def speaking(**counts: int) -> ArmFigures:
    known = {"due": 1000, "lost": 0, "missed": 0, "repeated": 0, "disordered": 0, **counts}
    due, lost, missed, repeated, disordered = known.values()
    figures = MessageFigures(
        due, due, due, lost, missed, repeated, disordered, 2, 0, 0, 0, NO_TIMES, NO_TIMES, NO_TIMES, None, None
    )
    return replace(arm(), messages=figures)


def test_messages_make_a_control_unclean_unless_they_are_not_meant() -> None:
    noisy = speaking(lost=3, repeated=2)
    assert verdict(clean_control(), control=noisy).why == "without a fault: 3 messages lost, 2 messages repeated"
    assert verdict(CleanControl(of_messages=False), control=noisy).result is PASS


@pytest.mark.parametrize(
    ("at_risk", "more"), [("none", ", and no at_risk="), ("victim", ", and no at_risk="), ("x", "")]
)
def test_an_implied_clean_control_names_the_line_that_declares_the_design_broken(at_risk: str, more: str) -> None:
    dirty = verdict(CleanControl(implied=True), describe={"at_risk": at_risk}, control=arm(stale=4, lost=0))
    line = f'if it must be broken without a fault: expect=[finds("d", among=("stale",))]{more}'
    assert dirty.why == f"without a fault: 4 sessions read stale; {line}"


def with_errors(failed: int, requests: int = 1000, ended: int = 0, planned: int | None = 100) -> ArmFigures:
    stats = EndpointStats(requests, requests - failed, 0, {}, None, None, None, None, failures={"503": failed})
    counts = RequestCounts(requests, requests - failed, failed, 0)
    return replace(arm(), requests=counts, names={"GET /": stats}, users=LoadUsers(planned, ended))


def test_control_errors_allows_a_share_of_requests_and_of_users() -> None:
    at_most = ControlErrors(at_most=0.01)
    said = "without a fault {} of 1,000 requests failed or are in doubt"
    assert verdict(at_most, control=with_errors(10)).why == said.format(10)
    assert verdict(at_most, control=with_errors(10)).result is PASS
    failed = verdict(at_most, control=with_errors(11))
    assert (failed.result, failed.why) == (FAIL, f"{said.format(11)}: 11 of 1,000 GET / answered 503")
    stalled = replace(with_errors(11), requests=RequestCounts(1100, 989, 111, 0, dropped=100))
    assert verdict(at_most, control=stalled).why.endswith(
        ": 100 of 1,100 requests were never sent because no session was free, 11 of 1,000 GET / answered 503"
    )
    ended = "2 of 100 users ended in on_start"
    assert verdict(at_most, control=with_errors(0, ended=1)).result is PASS
    assert verdict(at_most, control=with_errors(0, ended=2)) == Verdict(
        "control_errors", FAIL, f"{said.format(0)}; {ended}", "d"
    )
    assert verdict(at_most, control=with_errors(11, ended=2)).why.endswith(f"answered 503; {ended}")
    assert verdict(at_most, control=with_errors(0, ended=1, planned=None)).result is FAIL, "of no known number"
    assert verdict(at_most, control=with_errors(0, 0)).why == "no request was measured in the control arm"
    assert verdict(at_most, fault=with_errors(0)).why == "the control arm did not run"
    hint = "the scenario allows 1 %: errors_at_most=0.01"
    assert verdict(ControlErrors(at_most=0.01, implied=True), control=with_errors(11)).why.endswith(f"; {hint}")


def test_errors_at_most_is_a_share() -> None:
    assert ControlErrors(at_most=0) and ControlErrors(at_most=1)
    for wrong in (-0.1, 1.1):
        with pytest.raises(UsageError, match="a share between 0 and 1"):
            ControlErrors(at_most=wrong)


def test_without_ledgers_and_expectations_nothing_is_known() -> None:
    assert judged(JudgesSessions(), arm())[0] is UNKNOWN


def test_delivers_counts_what_was_lost_repeated_and_disordered() -> None:
    counts = [f"{what} 0 of 1,000 {WRITES}" for what in ("lost", "repeated", "disordered")]
    good = f"fault: messages {', '.join(counts)}"
    assert judged(delivers(), speaking()) == (PASS, good)
    for what in ("lost", "repeated", "disordered"):
        result, why = judged(delivers(), speaking(**{what: 3}))
        assert result is FAIL and f"{what} 3 of 1,000" in why
    assert judged(delivers(), speaking(due=0)) == (UNKNOWN, "fault: no message was due to anyone")
    assert judged(delivers(), arm()) == (UNKNOWN, "fault: no message was due to anyone")
    assert verdict(delivers(), control=speaking(lost=1), fault=speaking()).result is FAIL


def test_loses_messages_says_how_many_were_missed_while_away() -> None:
    assert judged(loses_messages(), speaking(lost=3, missed=2)) == (
        PASS,
        "3 of 1,000 messages lost, 2 of them while away",
    )
    assert judged(loses_messages(), speaking(repeated=3))[0] is FAIL
    assert judged(loses_messages(), speaking(due=0))[0] is judged(loses_messages(), arm())[0] is UNKNOWN


def test_sagas_settle_if_none_is_half_done_and_no_effect_happened_twice() -> None:
    def with_sagas(half_done: int, repeated: int) -> ArmFigures:
        return replace(arm(), sagas=Sagas(200, 150, 50 - half_done, half_done, repeated, 7))

    counts = f"half done 0 of 200 {BOUND} sagas, with an effect that happened twice 0"
    why = f"{counts}; 150 shipped, 50 undone, 7 of them by a later start"
    assert judged(settles(), with_sagas(0, 0)) == (PASS, f"fault: {why}")
    assert judged(settles(), with_sagas(1, 0))[0] is judged(settles(), with_sagas(0, 1))[0] is FAIL
    assert judged(leaves_half_done(), with_sagas(1, 0))[0] is PASS
    assert verdict(settles(), control=with_sagas(1, 0), fault=with_sagas(0, 0)).result is FAIL


def fault(
    recover_s: float | None = 1.0, effective: float | None = 4.0, healed: float | None = None, **more: Any
) -> FaultFigures:
    return FaultFigures("kill", "r1", 4.0, effective, healed, {}, **{"detect_s": 0.0, **more}, recover_s=recover_s)


def after(*faults: FaultFigures) -> ArmFigures:
    return replace(arm(), faults=faults)


@pytest.mark.parametrize(
    ("faults", "seconds"),
    [
        ((fault(2.5),), 2.5),
        ((fault(2.5, healed=5.0),), 1.5),
        ((fault(0.5, healed=5.0),), 0.0),
        ((fault(2.5, effective=0.0, healed=0.0),), 2.5),
        ((fault(2.5), fault(1.0)), 2.5),
        ((fault(1.0), fault(2.5)), 2.5),
    ],
)
def test_recovery_is_timed_from_the_undo_or_without_one_from_the_effect(
    faults: tuple[FaultFigures, ...], seconds: float
) -> None:
    why = f"correct goodput was back {seconds:.2f} s after the fault was undone"
    assert judged(recovers(), after(*faults)) == (PASS, why)
    assert judged(recovers(within=seconds), after(*faults))[0] is PASS
    assert judged(stays_down(), after(*faults))[0] is FAIL
    if seconds:
        assert judged(recovers(within=seconds - 0.01), after(*faults))[0] is FAIL


def test_recovery_that_was_not_seen_or_not_recorded() -> None:
    assert judged(recovers(), after(fault(None), fault(1.0))) == (
        FAIL,
        "correct goodput did not come back to 95 % of before",
    )
    assert judged(recovers(), after(fault(1.0), fault(effective=None))) == (UNKNOWN, "no fault took effect")
    assert judged(recovers(), after()) == (UNKNOWN, "no fault took effect")
    assert judged(recovers(), after(fault(1.0), fault(1.0, detect_s=None)))[1].endswith("were not recorded")
    assert judged(recovers(within=0), after(fault(0.0)))[0] is PASS
    with pytest.raises(UsageError):
        recovers(within=-0.1)


def test_surges_looks_at_the_greatest_of_all() -> None:
    herd = after(fault(surge=2.0), fault(surge=4.0), fault(surge=None))
    why = "4.0 times as many sessions began in the worst second after the fault as before it"
    assert judged(surges(least=4.0), herd) == (PASS, why)
    assert judged(surges(least=4.1), herd) == (FAIL, why)
    assert judged(surges(least=0.1), after(fault(surge=None)))[0] is UNKNOWN
    for wrong in (0, -1):
        with pytest.raises(UsageError):
            surges(least=wrong)


def test_thresholds_are_made_with_their_metric_and_unit() -> None:
    made = {
        p50_below("200ms", "a"): "p50 < 200ms",
        p90_below("0.2s", "a", during="fault"): "p90 < 200ms during fault",
        p99_below("1s", "a", name="GET /"): "p99(GET /) < 1000ms",
        p999_below("1m", "a"): "p999 < 60000ms",
        errors_below(0.001, "a"): "errors < 0.1 %",
        throughput_above(500, "a", during="control"): "throughput > 500/s during control",
        availability_above(0.999, "a", name="GET /"): "availability(GET /) > 99.9 %",
    }
    assert [expect.title for expect in made] == list(made.values())
    assert all(expect.designs == ("a",) for expect in made)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "p95", "limit": 1.0},
        {"metric": "p99", "limit": -0.1},
        {"metric": "errors", "limit": 1.1},
        {"metric": "availability", "limit": 1.1},
        {"metric": "p99", "limit": 1.0, "during": "lunch"},
    ],
)
def test_a_threshold_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Threshold(**wrong)


def test_a_threshold_at_its_bound_is_accepted() -> None:
    for right in (
        {"metric": "errors", "limit": 1},
        {"metric": "availability", "limit": 1},
        {"metric": "p99", "limit": 0},
    ):
        assert Threshold(**right).limit == right["limit"]  # type: ignore[arg-type]
    assert Threshold(metric="p99", limit=1000).limit == Threshold(metric="throughput", limit=1000).limit


def with_figures(**more: Any) -> ArmFigures:
    """A thousand requests in ten seconds: 900 ok, of which 450 were correct."""
    return replace(
        arm(),
        requests=RequestCounts(1000, 900, 70, 30),
        throughput=Throughput(90.0, 45.0),
        latency_ms=Percentiles(10.0, 20.0, 30.0, 40.0, 50.0),
        **more,
    )


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("p50", 10.0, "10 ms"),
        ("p90", 20.0, "20 ms"),
        ("p99", 30.0, "30 ms"),
        ("p999", 40.0, "40 ms"),
        ("max", 50.0, "50 ms"),
        ("errors", 0.1, "10 %"),
        ("availability", 0.45, "45 %"),
        ("throughput", 90.0, "90/s"),
    ],
)
def test_a_threshold_reads_its_figure_and_holds_on_one_side_of_it(metric: str, value: float, shown: str) -> None:
    below, above = (judged(Threshold(metric=metric, limit=value * factor), with_figures()) for factor in (1.01, 0.99))
    at = judged(Threshold(metric=metric, limit=value), with_figures())
    why = f"fault: {metric} was {shown}, over 1,000 requests"
    upper = metric in ("throughput", "availability")
    assert (below, above) == ((FAIL if upper else PASS, why), (PASS if upper else FAIL, why))
    assert at == (FAIL, why), "the limit itself is not below"


def test_no_errors_and_full_availability_can_be_asked_for() -> None:
    clean = replace(with_figures(), requests=RequestCounts(100, 100, 0, 0), throughput=Throughput(10.0, 10.0))
    assert judged(errors_below(0), clean)[0] is judged(availability_above(1), clean)[0] is PASS
    assert judged(throughput_above(10), clean)[0] is FAIL


def test_nothing_answered_is_no_availability() -> None:
    dead = replace(with_figures(), requests=RequestCounts(100, 0, 100, 0), throughput=Throughput(0.0, 0.0))
    assert judged(availability_above(0), dead) == (PASS, "fault: availability was 0 %, over 100 requests")
    assert judged(availability_above(0.01), dead)[0] is FAIL
    assert judged(errors_below(1), dead)[0] is PASS


def test_without_any_request_nothing_is_known() -> None:
    none = replace(with_figures(), requests=RequestCounts(0, 0, 0, 0))
    assert judged(errors_below(0.5), none) == (UNKNOWN, "fault: no request was measured")
    assert judged(p99_below("1s"), replace(with_figures(), latency_ms=NO_TIMES))[0] is UNKNOWN


def test_where_times_cannot_be_trusted_no_threshold_is_known() -> None:
    tired = replace(with_figures(), driver=DriverFigures(True, 1.0, 0, 0))
    assert judged(errors_below(0.5), tired) == (
        UNKNOWN,
        "fault: the load process or the design was short of a core, or was not watched",
    )


def test_a_lower_bound_is_marked_and_cannot_keep_a_threshold() -> None:
    bound = with_figures(latency_is_lower_bound=True)
    assert judged(p50_below("9ms"), bound) == (FAIL, "fault: p50 was >= 10 ms, over 1,000 requests")
    assert judged(p50_below("11ms"), bound) == (
        UNKNOWN,
        "fault: p50 was >= 10 ms, over 1,000 requests: a lower bound, since not all arrivals were served",
    )
    assert judged(errors_below(0.2), bound)[0] is PASS


def named(requests: int = 200, **more: Any) -> EndpointStats:
    known = {"p50_ms": 1.0, "p99_ms": 3.0, "p90_ms": 2.0, "p999_ms": 4.0, "max_ms": 5.0, "correct": 100, **more}
    return EndpointStats(requests, 150, 0, {}, request_bytes=None, response_bytes=None, **known)


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        ("p50", "1 ms"),
        ("p90", "2 ms"),
        ("p99", "3 ms"),
        ("p999", "4 ms"),
        ("max", "5 ms"),
        ("errors", "25 %"),
        ("availability", "50 %"),
        ("throughput", "15/s"),  # its part of the good replies
    ],
)
def test_a_threshold_on_one_name_reads_the_figures_of_that_name(metric: str, shown: str) -> None:
    limits = Threshold(metric=metric, limit=0.5, request="GET /")
    figures = with_figures(names={"GET /": named(), "POST /": named(5)})
    assert judged(limits, figures)[1] == f"fault: {metric} was {shown}, over 200 requests"
    during = replace(limits, during="before")
    phase = Phase(RequestCounts(10, 10, 0, 0), Throughput(1.0, 1.0), NO_TIMES, NO_TIMES)
    phased = {"GET /": named(9, phases={"before": named()})}
    in_phase = replace(figures, names=phased, phases=Phases(phase, None, None))
    assert judged(during, in_phase)[1] == f"{metric} was {shown}, over 200 requests"


def test_a_name_without_good_replies_has_no_throughput() -> None:
    silent = replace(
        with_figures(names={"GET /": named()}), requests=RequestCounts(10, 0, 10, 0), throughput=Throughput(0.0, 0.0)
    )
    assert judged(throughput_above(0.1, name="GET /"), silent) == (FAIL, "fault: throughput was 0/s, over 200 requests")


def test_a_name_that_was_not_counted_is_unknown_with_the_first_eight_that_were() -> None:
    many = with_figures(names={f"GET /{n}": named() for n in range(9)})
    known = ", ".join(f"GET /{n}" for n in range(8))
    assert judged(p50_below("1s", name="GET /x"), many) == (
        UNKNOWN,
        f"fault: no request 'GET /x' was counted; there were {known}",
    )
    assert judged(p50_below("1s", name="GET /x"), with_figures(names={}))[1].endswith("; there were none was recorded")
    assert judged(p50_below("1s", name="GET /"), with_figures(names={"GET /": named(0)}))[0] is UNKNOWN


@pytest.mark.parametrize(
    ("during", "why"),
    [
        ("control", "there was no control arm"),
        ("before", "there was no time before a fault"),
        ("after", "there was no time after a fault"),
    ],
)
def test_an_arm_or_phase_that_was_not_there_is_unknown(during: str, why: str) -> None:
    assert judged(p50_below("1s", during=during), with_figures()) == (UNKNOWN, why)
    assert verdict(p50_below("1s", during="before"), control=with_figures()).why == "there was no fault arm"


def test_an_arm_or_phase_is_read_alone() -> None:
    phase = Phase(RequestCounts(10, 10, 0, 0), Throughput(1.0, 1.0), Percentiles(7.0, 7.0, 7.0, 7.0, 7.0), NO_TIMES)
    both = with_figures(phases=Phases(None, phase, None))
    assert judged(p50_below("8ms", during="during"), both) == (PASS, "p50 was 7 ms, over 10 requests")
    fast = replace(with_figures(), latency_ms=Percentiles(1.0, 1.0, 1.0, 1.0, 1.0))
    arms: dict[str, Any] = {"control": fast, "fault": with_figures()}
    assert verdict(p50_below("2ms", during="control"), **arms).result is PASS
    assert verdict(p50_below("2ms", during="fault"), **arms).result is FAIL
    assert verdict(p50_below("2ms"), **arms).why == "fault: p50 was 10 ms, over 1,000 requests"


@pytest.mark.parametrize(
    ("threshold", "all_errors"),
    [
        (errors_below(0.1), True),
        (availability_above(0.9), True),
        (errors_below(0.1, during="control"), True),
        (errors_below(0.1, during="fault"), False),
        (errors_below(0.1, name="GET /"), False),
        (p99_below("1s"), False),
        (throughput_above(1), False),
    ],
)
def test_only_a_limit_on_all_requests_without_a_fault_says_how_many_may_fail(
    threshold: Expect, all_errors: bool
) -> None:
    assert isinstance(threshold, Threshold) and threshold.limits_all_errors is all_errors


def test_only_a_kind_of_the_projects_own_is_kept_as_data() -> None:
    class Mine(Keeps):
        name = "keeps"

    own, kind = encode([Mine(("a",)), keeps("a")])
    assert own == {"expect": "keeps", "foreign": True}
    assert kind == {"expect": "keeps", "designs": ["a"], "implied": False} or kind["designs"] == ("a",)


def test_a_damaged_entry_is_named_with_its_place() -> None:
    good = encode([keeps("a")])
    with pytest.raises(UsageError, match=r"expectation 1 \(keeps\) of the run is cut off or foreign"):
        recall([*good, {"expect": "keeps", "designs": 3}], ())


def test_a_foreign_kind_stands_by_the_verdicts_recorded_of_it() -> None:
    recorded = [Verdict("mine", FAIL, "x", "a"), Verdict("keeps", PASS, "y", "a")]
    (foreign,) = recall([{"expect": "mine"}], recorded)
    assert list(foreign.judge(Summary("s", "r", {}, Controls(None, None)))) == recorded[:1]
    (named_alike,) = recall([{"expect": "keeps", "foreign": True}], recorded)
    assert list(named_alike.judge(Summary("s", "r", {}, Controls(None, None)))) == recorded[1:]


def test_an_expectation_has_the_same_defaults_as_the_function_that_makes_it() -> None:
    assert LosesAtMost(seconds=2.0) == loses_at_most(seconds=2.0) and LosesAtMost(seconds=2.0).give == 0.3
    assert MovesAShare(share=0.5) == moves_a_share(share=0.5) and MovesAShare(share=0.5).within == 0.1
    assert LosesTheAtRisk() == loses_the_at_risk() and LosesTheAtRisk().judged == 1
    assert LosesOnlyTheAtRisk() == loses_only_the_at_risk() and LosesOnlyTheAtRisk().judged == 1
    assert CleanControl() == clean_control() and CleanControl().of_messages
    assert not Keeps().implied and Keeps().designs == ()
