import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.analysis.metrics.state_removal import (
    StateRemoval,
    find_cause,
    find_sessions_at_risk,
    find_state_removals,
)
from harness.common.intervals import exact_interval
from harness.observations.events import Event
from harness.observations.faults import pair_faults
from harness.observations.identity import Change, IdentityChange
from harness.observations.load_requests import LoadRequests
from harness.observations.requests import DROPPED, NO_SESSION
from harness.observations.samples import Sample
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.summary import ArmFigures, DriverFigures, RequestCounts
from tests.support.clocks_and_topology import RequestRow, kill_at, observed, requests


def _steady(session: int, boot: str, start: float, end: float, every: float = 0.1, **more: object) -> list[RequestRow]:
    count = round((end - start) / every)
    return [RequestRow(session, start + every * n, boot=boot, op=n + 1 if n % 2 else 0, **more) for n in range(count)]  # type: ignore[arg-type]  # the factory's own keywords


def test_attempted_is_the_sum_of_the_outcomes() -> None:
    rows = [
        RequestRow(1, 1),
        RequestRow(1, 2, outcome="failed"),
        RequestRow(1, 3, outcome="in_doubt", replica=None, boot=None),
    ]
    figures = fold(observed(rows)).requests
    assert (figures.attempted, figures.ok, figures.failed, figures.in_doubt) == (3, 1, 1, 1)


def test_latency_counts_from_the_intended_start_and_service_time_from_the_send() -> None:
    arm = fold(observed([RequestRow(1, 2.0, intended=1.5, took=0.1)]))
    assert arm.latency_ms.p50 == pytest.approx(600)
    assert arm.service_ms.p50 == pytest.approx(100)


def test_an_anomalous_reply_is_ok_but_not_correct() -> None:
    throughput = fold(observed([RequestRow(1, 1), RequestRow(1, 2, anomaly="lost")], duration=10)).throughput
    assert throughput.mean == pytest.approx(0.2)
    assert throughput.correct == pytest.approx(0.1)


def test_requests_are_reported_by_their_names() -> None:
    rows = [
        RequestRow(1, 1),
        RequestRow(1, 2, op=7, took=0.2),
        RequestRow(1, 3, op=8, anomaly="lost", outcome="failed"),
    ]
    names = fold(observed(rows)).names
    assert list(names) == ["POST /cart/add", "GET /cart"]
    add = names["POST /cart/add"]
    assert (add.requests, add.ok, add.anomalies, add.statuses) == (2, 1, 1, {"200": 1, "0": 1})
    assert add.request_bytes == 200
    assert add.p99_ms == pytest.approx(200)


def test_the_final_sweep_is_no_load() -> None:
    assert fold(observed([RequestRow(1, 1), RequestRow(1, 2, phase=1)])).requests.attempted == 1


def test_the_sessions_at_risk_are_those_last_acknowledged_by_the_victim() -> None:
    rows = [
        *_steady(1, "b1", 0, 4),
        *_steady(2, "b0", 0, 4),
        *_steady(3, "b1", 0, 2),
        *_steady(3, "b0", 2, 4),  # moved away in time
        RequestRow(4, 1, boot="b1"),  # read only: nothing to lose
        *_steady(5, "b0", 4.5, 6),  # began after the fault
    ]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(kill_at(4.2)))
    ) == {1}


def test_a_reply_of_the_victim_that_arrives_after_its_death_counts_as_before() -> None:
    rows = [RequestRow(1, 3.9, boot="b1", op=1), RequestRow(1, 4.0, boot="b1", op=2, took=0.5)]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(kill_at(4.2)))
    ) == {1}


def test_a_reply_rerouted_before_the_evidence_of_the_kill_came_in_changes_nothing() -> None:
    rows = [
        RequestRow(1, 3.9, boot="b1", op=1),
        RequestRow(1, 4.201, boot="b0", replica="r0", anomaly="lost", took=0.001),
    ]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(kill_at(4.2, took=0.01)))
    ) == {1}


def test_detection_ends_with_the_last_error_that_no_replica_answered_for() -> None:
    errors = [
        RequestRow(2, 3.9, replica="r1", boot="b1"),  # its session was the victim's
        RequestRow(2, 4.1, outcome="in_doubt", replica=None, boot=None),
        RequestRow(2, 5.0, outcome="failed", replica=None, boot=None),
    ]
    own = [RequestRow(2, 8.0, outcome="failed")]  # the target's own 4xx has nothing to do with the fault
    fault = fold(observed([*_steady(1, "b0", 0, 10), *errors, *own], kill_at(4.0, healed=6.0))).faults[0]
    assert fault.detect_s == pytest.approx(1.01)


def test_a_dead_store_is_detected_until_the_replicas_stop_refusing() -> None:
    refused = [RequestRow(2, t, outcome="in_doubt", status=503) for t in (3.0, 4.1, 5.0)]
    others = [RequestRow(2, 8.0, outcome="failed", status=409)]
    events = [
        Event(4.0, "fault_commanded", "store", {"kind": "kill_primary"}),
        Event(4.0, "fault_effective", "store", {"kind": "kill_primary"}),
    ]
    fault = fold(observed([*_steady(1, "b0", 0, 10), *refused, *others], events)).faults[0]
    assert fault.detect_s == pytest.approx(1.01)


def test_recovery_is_when_correct_goodput_is_back_for_a_second() -> None:
    rows = [*_steady(1, "b0", 0, 4, 0.01), *_steady(1, "b0", 6, 10, 0.01)]
    fault = fold(observed(rows, kill_at(4.0, healed=6.0))).faults[0]
    assert fault.recover_s == pytest.approx(1.95, abs=0.1)


def test_a_fault_that_is_never_recovered_from_says_so() -> None:
    fault = fold(observed(_steady(1, "b0", 0, 4, 0.01), kill_at(4.0, healed=6.0))).faults[0]
    assert fault.recover_s is None


def test_a_second_loss_to_the_empty_replica_is_a_cause_of_its_own() -> None:
    killed = find_state_removals(pair_faults(kill_at(4.0, boot="b1", healed=6.0)))

    def loss(before: str, after: str) -> Loss:
        return Loss(5 * 10**9, birth_before="x", birth_after="y", boot_before=before, boot_after=after, writes=1)

    assert find_cause(loss("b1", "b0"), killed) == "killed"
    assert find_cause(loss("b0", "b1'"), killed) == "returned_empty"
    assert find_cause(loss("b0", "b2"), killed) == "moved"
    assert find_cause(loss("b0", "b0"), killed) == "unattributed"


def test_a_replica_that_had_served_the_state_did_not_lose_it_by_a_move() -> None:
    loss = Loss(50, birth_before="x", birth_after="y", boot_before="b0", boot_after="b1", writes=1, known_ns=40)
    shared = SessionVerdict(1, lost=True, losses=(loss,), acked_boots=((10, "b0"), (20, "b1"), (30, "b0")))
    assert find_cause(loss, (), boots=shared.find_boots(loss)) == "unattributed"
    own = SessionVerdict(1, lost=True, losses=(loss,), acked_boots=((10, "b0"), (45, "b1")))
    assert find_cause(loss, (), boots=own.find_boots(loss)) == "moved"
    earlier = replace(loss, t_ns=20)
    second = SessionVerdict(1, lost=True, losses=(earlier, loss), acked_boots=((10, "b1"), (20, "b0")))
    assert find_cause(loss, (), boots=second.find_boots(loss)) == "moved"  # b1 had served an earlier state


def test_an_effect_that_took_place_twice_is_a_duplicate() -> None:
    rows = [RequestRow(1, 1, op=7), RequestRow(2, 1, op=8)]
    assert fold(observed(rows, effects=[7, 8, 8])).writes.duplicated == 1


def test_an_acknowledged_effect_that_never_took_place_is_a_lost_write() -> None:
    rows = [RequestRow(1, 1, op=7), RequestRow(2, 1, op=8), RequestRow(3, 1, op=9, outcome="in_doubt")]
    assert fold(observed(rows, effects=[7])).writes.lost == 1


def test_phases_meet_at_the_fault_and_at_recovery() -> None:
    rows = _steady(1, "b0", 0, 10, 0.01)
    phases = fold(observed(rows, kill_at(4.0, healed=6.0))).phases
    assert phases.before is not None and phases.after is not None
    assert phases.before.requests.attempted == 399, "the request from 3.99 on ended when the fault took effect"
    total = sum(phase.requests.attempted for phase in (phases.before, phases.during, phases.after) if phase)
    assert total == len(rows)


def test_an_arm_without_a_request_still_has_figures() -> None:
    arm = fold(observed([RequestRow(1, 99.0)], duration=10))
    assert arm.requests.attempted == 0 and arm.latency_ms.p99 is None and arm.availability.overall is None


def test_spread_counts_replies_per_replica() -> None:
    rows = [RequestRow(1, n / 100, replica=f"r{n % 3}") for n in range(300)]
    spread = fold(observed(rows)).spread
    assert spread.per_replica == {"r0": 100, "r1": 100, "r2": 100}
    assert spread.cv == 0


def test_percentiles_are_values_that_were_observed() -> None:
    import numpy as np  # noqa: PLC0415 - this test alone makes an array

    percentiles = compute_percentiles(np.array([0.001, 0.002, 0.1]))
    assert (percentiles.p50, percentiles.p99, percentiles.max) == (2.0, 100.0, 100.0)


def test_the_interval_of_a_zero_reaches_up_to_the_exact_bound() -> None:
    low, high = exact_interval(0, 100)
    assert low == 0 and high == pytest.approx(1 - 0.005 ** (1 / 100), abs=1e-5)


def _taken(kind: str, t: float, boot: str = "b1", healed: float | None = None, took: float = 0.0) -> list[Event]:
    """The events of a fault that takes state away."""
    detail: dict[str, str] = {"kind": kind} if kind == "kill_store" else {"kind": kind, "boot": boot}
    subject = "store" if kind == "kill_store" else "r1"
    events = [
        Event(t, "fault_commanded", subject, {"kind": kind}),
        Event(t + took, "fault_effective", subject, detail),
    ]
    return [*events, Event(healed, "fault_healed", subject, {"kind": kind})] if healed is not None else events


@pytest.mark.parametrize("kind", ["kill", "terminate", "retire", "pause", "partition"])
def test_each_way_to_take_a_replica_away_puts_its_sessions_at_risk(kind: str) -> None:
    rows = [*_steady(1, "b1", 0, 4), *_steady(2, "b0", 0, 4), RequestRow(3, 1, boot="b1")]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(_taken(kind, 4.2)))
    ) == {1}


def test_a_drained_replica_still_serves_its_own_until_it_is_gone() -> None:
    rows = [*_steady(1, "b1", 4.3, 4.9), *_steady(2, "b1", 0, 4.3), RequestRow(2, 4.5, boot="b0", replica="r0")]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(_taken("terminate", 4.2, took=1.0)))
    ) == {1, 2}


def test_a_session_that_begins_after_the_pause_was_not_at_risk() -> None:
    rows = [*_steady(1, "b1", 0, 4), *_steady(2, "b1", 8, 9)]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(_taken("pause", 4.2, healed=7.0)))
    ) == {1}


def test_the_death_of_the_store_puts_every_session_with_a_write_at_risk() -> None:
    rows = [*_steady(1, "b1", 0, 4), *_steady(2, "b0", 0, 4), RequestRow(3, 1, boot="b1"), *_steady(4, "b0", 5, 6)]
    assert find_sessions_at_risk(
        LoadRequests.select(requests(rows)), find_state_removals(pair_faults(_taken("kill_store", 4.2)))
    ) == {1, 2}


def test_a_rolling_restart_puts_every_session_with_a_write_at_risk_and_causes_its_loss() -> None:
    rows = [*_steady(1, "", 0, 4), RequestRow(3, 1, boot=""), *_steady(4, "", 5, 6)]
    removals = find_state_removals(pair_faults(_taken("rolling_restart", 4.2, healed=6.0)))
    assert find_sessions_at_risk(LoadRequests.select(requests(rows)), removals) == {1}
    assert find_cause(lost(5.9, 5.5, before="", after=""), removals) == "stopped"  # its pod was among the last
    assert find_cause(lost(7.0, 6.5, before="", after=""), removals) == "unattributed"


def test_every_replica_of_a_deploy_is_a_removal_of_its_own() -> None:
    events = [event for number, t in ((0, 1.0), (1, 2.0)) for event in _deployed(number, t)]
    assert [(removal.boot, removal.reborn) for removal in find_state_removals(pair_faults(events))] == [
        ("b0", "b0'"),
        ("b1", "b1'"),
    ]
    rows = [*_steady(1, "b0", 0, 1), *_steady(1, "b1", 1.2, 2), *_steady(2, "b2", 0, 3)]
    assert find_sessions_at_risk(LoadRequests.select(requests(rows)), find_state_removals(pair_faults(events))) == {1}


def _deployed(number: int, t: float) -> list[Event]:
    replica, boot = f"r{number}", f"b{number}"
    return [
        Event(t, "fault_commanded", replica, {"kind": "terminate"}),
        Event(t + 0.1, "fault_effective", replica, {"kind": "terminate", "boot": boot}),
        Event(t + 0.5, "fault_healed", replica, {"kind": "terminate", "boot": boot + "'"}),
    ]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("kill", "killed"), ("terminate", "stopped"), ("retire", "stopped"), ("pause", "away"), ("partition", "away")],
)
def test_a_loss_is_named_after_what_took_the_state_away(kind: str, cause: str) -> None:
    loss = Loss(5 * 10**9, birth_before="x", birth_after="y", boot_before="b1", boot_after="b0", writes=1)
    assert find_cause(loss, find_state_removals(pair_faults(_taken(kind, 4.2)))) == cause


def lost(t: float, known: float, before: str = "b1", after: str = "b0") -> Loss:
    """A loss that was first seen at ``t``, of a state last seen at ``known``, in seconds."""
    return Loss(int(t * 1e9), "x", "y", before, after, writes=1, known_ns=int(known * 1e9))


def _removal(kind: str, healed: float | None = 6.0) -> tuple[StateRemoval, ...]:
    return (StateRemoval("r1", "b1", 4.0, "b1'", kind, effective=4.1, healed=healed),)


@pytest.mark.parametrize(
    ("loss", "kind", "cause"),
    [
        (lost(3.0, 2.0), "kill", "moved"),  # before the kill, on the replica that was killed later
        (lost(4.05, 3.9), "kill", "killed"),
        (lost(3.0, 2.0, after="b1"), "kill", "unattributed"),
        (lost(9.0, 3.9), "kill", "killed"),  # first seen late
        (lost(5.0, 3.9), "pause", "away"),
        (lost(9.0, 3.9), "pause", "away"),
        (lost(9.0, 6.5), "pause", "moved"),  # it had been there after the pause
        (lost(3.9, 3.8), "pause", "moved"),
        (lost(5.0, 4.2, before="b0"), "kill_store", "store_died"),
        (lost(5.0, 4.5, before="b0", after="b2"), "kill_store", "moved"),  # it outlived the store
        (lost(3.0, 2.0, before="b0", after="b2"), "evict", "moved"),
        (lost(5.0, 4.5, before="b0"), "evict", "evicted"),  # while the limit holds, more is evicted
        (lost(7.0, 3.0, before="b0", after="b0"), "evict", "evicted"),
        (lost(7.0, 6.5, before="b0", after="b0"), "evict", "unattributed"),
        (lost(7.0, 3.0, before="b0", after="b1'"), "kill", "returned_empty"),
        (lost(4.05, 3.0, before="b0", after="b1'"), "kill", "moved"),  # that replica was not back then
    ],
)
def test_a_loss_is_attributed_by_when_the_state_was_last_known(loss: Loss, kind: str, cause: str) -> None:
    assert find_cause(loss, _removal(kind)) == cause


def test_a_store_that_still_evicts_may_have_evicted_what_was_seen_last() -> None:
    assert find_cause(lost(9.0, 8.0), _removal("evict", healed=None)) == "evicted"


def test_what_took_a_state_away_for_good_comes_before_a_pause_that_was_over() -> None:
    paused, killed = _removal("pause"), StateRemoval("r1", "b1", 8.0, None, "kill", effective=8.1)
    assert find_cause(lost(9.0, 3.0), (*paused, killed)) == "killed"
    assert find_cause(lost(5.0, 3.0), (*paused, killed)) == "away"


def test_a_loss_before_the_store_died_is_not_its_doing() -> None:
    def loss(t: float) -> Loss:
        return Loss(int(t * 1e9), birth_before="x", birth_after="y", boot_before="b0", boot_after="b2", writes=1)

    taken = find_state_removals(pair_faults(_taken("kill_store", 4.2)))
    assert (find_cause(loss(3.0), taken), find_cause(loss(5.0), taken)) == ("moved", "store_died")


def _states(*states: tuple[float, str]) -> list[Event]:
    return [Event(t, "member_state", "r1", {"state": state}) for t, state in states]


def test_a_gray_failure_lasts_from_the_first_unanswered_request_until_the_balancer_sees_it() -> None:
    rows = [RequestRow(1, 4.5, outcome="in_doubt", replica=None, boot=None, took=0.5), *_steady(2, "b0", 0, 10)]
    events = [*_states((0.0, "up"), (6.0, "down"), (8.5, "up")), *_taken("pause", 4.0, healed=8.0)]
    assert fold(observed(rows, events)).faults[0].gray_s == pytest.approx(1.5)


def test_a_request_that_hangs_until_the_fault_is_healed_counts_as_unanswered() -> None:
    rows = [RequestRow(1, 4.2, replica="r1", boot="b1", took=4.0)]
    events = [*_states((0.0, "up")), *_taken("pause", 4.0, healed=8.0)]
    assert fold(observed(rows, events)).faults[0].gray_s == pytest.approx(3.8)


def test_without_a_failing_request_no_failure_is_gray_and_without_member_states_it_is_not_known() -> None:
    rows = _steady(2, "b0", 0, 10)
    kill = _taken("kill", 4.0, healed=8.0)
    assert fold(observed(rows, [*_states((0.0, "up"), (5.0, "down")), *kill])).faults[0].gray_s == 0.0
    assert fold(observed(rows, kill)).faults[0].gray_s is None


def test_a_surge_is_the_worst_second_of_beginnings_over_the_mean_before() -> None:
    begun = [RequestRow(session, session * 0.5) for session in range(1, 8)]  # two a second
    lost = [
        SessionVerdict(
            session=n, lost=True, losses=(Loss(int(4.5e9), "x", "y", "b0", "b1", 1),), outcome=SessionOutcome.LOST
        )
        for n in range(1, 7)
    ]
    surge = fold(observed(begun, kill_at(4.0, healed=5.0), lost)).faults[0].surge
    assert surge == pytest.approx(6 / (7 / 4), rel=0.01)


def test_a_rush_before_the_fault_is_no_surge_of_it() -> None:
    """Ten sessions begin at once a second before the kill, one after it."""
    begun = [RequestRow(session, 3.0) for session in range(10)] + [RequestRow(10, 4.5)]
    assert fold(observed(begun, kill_at(4.0, healed=5.0))).faults[0].surge == pytest.approx(1 / (10 / 4), rel=0.01)


def test_without_a_session_that_began_before_it_there_is_no_surge() -> None:
    assert fold(observed([RequestRow(1, 4.5)], kill_at(4.0, healed=5.0))).faults[0].surge is None


def test_a_loss_in_the_reply_to_the_first_request_without_a_cookie_has_that_cause() -> None:
    gone = Loss(2 * 10**9, "a", "b", "x", "y", 1)
    missed = IdentityChange(gone.t_ns, Change.MISSED, "cookie sid", "", "expired: Max-Age 3")
    elsewhere = missed._replace(t_ns=gone.t_ns + 1)
    verdicts = [
        SessionVerdict(1, lost=True, losses=(gone,), identity=(missed,)),
        SessionVerdict(2, lost=True, losses=(gone,), identity=(elsewhere,)),
    ]
    figures = fold(observed([RequestRow(n, 1.0, op=n) for n in (1, 2)], judgements=verdicts)).sessions
    assert figures.lost_by_cause == {"cookie_expired": 1, "moved": 1}


def test_of_many_losses_for_want_of_a_cookie_the_last_ones_stand_for_those_that_no_ledger_could_keep() -> None:
    losses = tuple(Loss(t * 10**9, "a", "b", "x", "x", 1) for t in (1, 2))
    missed = IdentityChange(losses[1].t_ns, Change.MISSED, "cookie sid", "", "expired: Max-Age 0")
    verdict = SessionVerdict(1, lost=True, losses=losses, identity=(missed,))
    figures = fold(observed([RequestRow(1, 1.0, op=1)], judgements=[verdict])).sessions
    assert figures.lost_by_cause == {"cookie_expired": 2}


def test_what_is_proven_of_a_session_counts_though_it_was_not_judged_to_its_end() -> None:
    gone = Loss(2 * 10**9, "a", "b", "x", "y", 1)
    verdicts = [
        SessionVerdict(1, unknown=True, lost=True, losses=(gone,)),
        SessionVerdict(2, unknown=True, leaked=True),
        SessionVerdict(3, unknown=True, forced_login=True),
        SessionVerdict(4, unknown=True),
        SessionVerdict(5),
    ]
    figures = fold(observed([RequestRow(n, 1.0, op=n) for n in range(1, 6)], judgements=verdicts)).sessions
    assert (figures.started, figures.judged, figures.unknown, figures.proven) == (5, 1, 4, 3)
    assert (figures.lost, figures.leaked, figures.forced_login) == (1, 1, 1)
    assert figures.loss_rate == 1 / 4, "a session that nothing is known of leaves the denominator"


def test_sessions_that_went_with_a_worker_are_unknown_not_lost() -> None:
    rows = [RequestRow(1, 1, op=1), RequestRow(2, 1, op=2)]
    arm = replace(observed(rows, judgements=[]), driver={"lag_p99_ms": 1.0, "sessions": 7})
    sessions = fold(arm).sessions
    assert (sessions.started, sessions.judged, sessions.unknown, sessions.lost) == (7, 0, 7, 0)


@pytest.mark.parametrize(("cpu", "lag", "saturated"), [(0.5, 1.0, False), (0.95, 1.0, True), (0.5, 150.0, True)])
def test_a_driver_is_saturated_by_its_busiest_process_or_its_lag(cpu: float, lag: float, saturated: bool) -> None:
    own: dict[str, float | int | str | None] = {
        "lag_p99_ms": lag,
        "cpu_median": cpu,
        "core": "core 3 of worker-2 on there",
        "late": 1,
        "dropped": 2,
    }
    samples = tuple(Sample(t, "driver", "load", 0.1, 50.0) for t in (1.0, 2.0))
    driver = fold(replace(observed([RequestRow(1, 1)]), driver=own | {"core": "core 3"}, samples=samples)).driver
    doubtful = ("p50", "p90", "p99") if lag > 100 else ()
    assert driver == DriverFigures(
        saturated, lag, 1, 2, cpu, "core 3", lag, lag, lag, doubts=driver.doubts, doubtful=doubtful
    )
    assert bool(driver.doubts) is saturated


def _dropped(intended: float, given_up: float) -> RequestRow:
    return RequestRow(NO_SESSION, given_up, "failed", None, None, took=0.0, intended=intended, phase=DROPPED)


def test_dropped_arrivals_are_attempted_and_not_served() -> None:
    rows = [*(RequestRow(1, n / 10) for n in range(40)), *(_dropped(4 + n / 10, 10.0) for n in range(60))]
    arm = fold(observed(rows))
    assert arm.requests == RequestCounts(attempted=100, ok=40, failed=60, in_doubt=0, dropped=60)
    assert arm.availability.overall == pytest.approx(0.4)
    assert sum(arm.spread.per_replica.values()) == 40 and arm.names["GET /cart"].requests == 40


def test_with_dropped_arrivals_the_latency_is_a_lower_bound() -> None:
    rows = [*(RequestRow(1, n / 10) for n in range(39)), RequestRow(1, 3.9, took=5.0)]
    dropped = [_dropped(4 + n / 10, 10.0) for n in range(60)]
    bounded, exact = fold(observed([*rows, *dropped])), fold(observed(rows))
    assert bounded.latency_is_lower_bound and not exact.latency_is_lower_bound
    assert (exact.latency_ms.p50, exact.latency_ms.max) == (10.0, 5000.0)
    assert bounded.latency_ms.p50 == bounded.latency_ms.max == 5000.0, "no dropped arrival was faster than any other"
    assert bounded.service_ms.p50 == 10.0


def test_only_what_was_intended_in_the_measured_time_counts_as_dropped() -> None:
    rows = [RequestRow(1, 3.0), _dropped(1.9, 3.0), _dropped(2.0, 3.0), _dropped(9.9, 10.0), _dropped(10.0, 10.0)]
    arm = fold(replace(observed(rows), warmup=2.0))
    assert (arm.requests.attempted, arm.requests.dropped) == (3, 2)
    assert arm.availability.overall == pytest.approx(1 / 3)


def test_a_request_belongs_to_the_phase_in_which_it_ended() -> None:
    rows = [*_steady(1, "b0", 0, 10, 0.01), RequestRow(2, 3.9, "in_doubt", None, None, took=0.5)]
    arm = fold(observed([*rows, _dropped(3.95, 4.3)], kill_at(4.0, healed=6.0)))
    before, during, after = arm.phases.before, arm.phases.during, arm.phases.after
    assert before is not None and during is not None and after is not None
    assert (before.requests.failed, before.requests.in_doubt) == (0, 0)
    assert (during.requests.in_doubt, during.requests.dropped, after.requests.failed) == (1, 1, 0)
    assert during.latency_is_lower_bound and not (before.latency_is_lower_bound or after.latency_is_lower_bound)
    phases = (before, during, after)
    assert sum(phase.requests.attempted for phase in phases) == arm.requests.attempted == 1002
    assert arm.availability.during_fault == pytest.approx(200 / 202)


def test_what_ends_after_the_measured_time_belongs_to_the_last_phase() -> None:
    late = RequestRow(2, 9.9, "in_doubt", None, None, took=8.0)
    recovered = fold(observed([*_steady(1, "b0", 0, 10, 0.01), late], kill_at(4.0, healed=6.0))).phases
    assert recovered.after is not None and recovered.after.requests.in_doubt == 1
    never = fold(observed([*_steady(1, "b0", 0, 4, 0.01), late], kill_at(4.0, healed=6.0))).phases
    assert never.after is None and never.during is not None and never.during.requests.in_doubt == 1


def test_the_rates_of_a_phase_count_its_own_seconds() -> None:
    rows = [*_steady(1, "b0", 0, 4, 0.01), *_steady(1, "b0", 6, 10, 0.02)]
    phases = fold(replace(observed(rows, kill_at(4.0, healed=6.0)), warmup=2.0)).phases
    assert phases.before is not None and phases.before.throughput.mean == pytest.approx(100, rel=0.01)
    assert phases.during is not None and phases.during.throughput.correct == pytest.approx(0.5, abs=0.5)


def _driven(
    own: Mapping[str, float | int | str | None], *rows: RequestRow, events: Sequence[Event] = ()
) -> DriverFigures:
    """The figures of a load process that used half a core and reported these of its own."""
    samples = tuple(Sample(t, "driver", "load", 0.5, 50.0) for t in (1.0, 2.0))
    return fold(replace(observed(rows, events), driver={"lag_p99_ms": 0.1, **own}, samples=samples)).driver


def test_times_are_in_doubt_if_half_of_a_percentile_may_be_the_drivers_own() -> None:
    rows = [RequestRow(1, n / 100, took=0.006 if n % 50 else 0.02) for n in range(900)]  # p50 6 ms, p99 20 ms
    assert _driven({"own_p50_ms": 2.9, "own_p90_ms": 2.9, "own_p99_ms": 9.9}, *rows).doubts == ()
    late = _driven({"own_p50_ms": 2.9, "own_p90_ms": 2.9, "own_p99_ms": 10.1}, *rows)
    assert late.saturated and late.doubts == ("up to 10.1 ms of a p99 of 20 ms may be its own delay",)
    assert late.own_p99_ms == 10.1
    middle = _driven({"own_p50_ms": 3.1, "own_p90_ms": 3.1, "own_p99_ms": 9.9}, *rows)
    assert [doubt.split(" of a ")[1].split(" of ")[0] for doubt in middle.doubts] == ["p50", "p90"]


def test_a_delay_below_a_millisecond_is_no_doubt() -> None:
    rows = [RequestRow(1, n / 100, took=0.0005) for n in range(900)]
    calm = _driven({"own_p50_ms": 1.0, "own_p90_ms": 1.0, "own_p99_ms": 1.0}, *rows)
    assert (calm.doubtful, calm.doubts, calm.saturated) == ((), (), False)
    late = _driven({"own_p50_ms": 0.1, "own_p90_ms": 0.1, "own_p99_ms": 1.1}, *rows)
    assert late.doubtful == ("p99",) and len(late.doubts) == 1


def test_short_delays_put_only_the_p99_in_doubt() -> None:
    rows = [RequestRow(1, n / 100, took=0.0005) for n in range(900)]
    short, long = (_driven({"own_p50_ms": 0.1, "own_p90_ms": 0.1, "own_p99_ms": ms}, *rows) for ms in (5.0, 5.1))
    assert (short.saturated, short.doubtful) == (False, ("p99",))
    assert (long.saturated, long.doubtful) == (True, ("p99",))
    frequent = _driven({"own_p50_ms": 0.1, "own_p90_ms": 1.1, "own_p99_ms": 1.1}, *rows)
    assert (frequent.saturated, frequent.doubtful) == (True, ("p90", "p99"))


def test_the_own_part_is_compared_with_the_fastest_phase_that_is_reported() -> None:
    rows = [RequestRow(1, n / 100, took=0.01 if n < 400 else 0.5) for n in range(900)]
    own = {"own_p50_ms": 0.1, "own_p90_ms": 0.1, "own_p99_ms": 20.0}
    assert _driven(own, *rows).saturated is False
    early = _driven(own, *rows, events=kill_at(4.0))
    assert early.saturated is True
    assert early.doubts == ("up to 20 ms of a p99 of 10 ms before the fault may be its own delay",)


def test_late_starts_are_part_of_a_percentile_if_they_are_frequent_enough() -> None:
    rows = [RequestRow(1, n / 100, took=0.015) for n in range(900)]
    few, some, many = (_driven({"late": late}, *rows) for late in (9, 10, 91))
    assert (few.own_p99_ms, some.own_p99_ms, many.own_p99_ms) == (0.1, 10.0, 10.0)
    assert (some.own_p90_ms, many.own_p90_ms, many.own_p50_ms) == (0.1, 10.0, 0.1)
    assert (few.saturated, some.saturated) == (False, True)


def test_a_busy_second_half_is_needed_for_a_driver_that_used_a_core() -> None:
    def used(*cores: float) -> DriverFigures:
        samples = tuple(Sample(float(t), "driver", "load", cpu, 50.0) for t, cpu in enumerate(cores))
        return fold(replace(observed([RequestRow(1, 1)]), samples=samples)).driver

    assert used(0.9, 0.9, 0.9).saturated is False
    busy = used(0.1, 0.91, 0.91)
    assert busy.saturated is True and busy.doubts == ("it used 0.91 of a core in the median second",)


def _contended(waited: float, others: float, stolen: float = 0.0, parts: int = 3) -> ArmFigures:
    """An arm whose replicas use half a core in all and wait, while others use some cores."""
    samples = [Sample(1.0, "replica", f"r{n}", 0.5 / parts, 10.0, waited) for n in range(parts)]
    machine = Sample(1.0, "machine", "machine", 0.5 + others, 900.0, stolen)
    return fold(replace(observed([RequestRow(1, 1)]), samples=(*samples, machine)))


def test_a_design_that_waits_for_cores_which_others_use_is_starved() -> None:
    assert _contended(waited=0.09, others=0.5).resources.starved is False, "half of 9 %: the rest is its own doing"
    starved = _contended(waited=0.11, others=0.5).resources
    assert starved.starved is True
    assert (starved.waited, starved.other_cpu, starved.stolen_cpu) == pytest.approx((0.11, 0.5, 0.0))
    assert _contended(waited=0.9, others=0.0).resources.starved is False, "it waits for itself alone"


def test_what_the_hypervisor_takes_is_waited_for_by_all() -> None:
    cores = os.cpu_count() or 1
    assert _contended(0.0, 0.0, stolen=0.04 * cores).resources.starved is False
    assert _contended(0.0, 0.0, stolen=0.06 * cores).resources.starved is True


def test_a_request_passes_one_part_of_each_role() -> None:
    samples = [
        *(Sample(1.0, "replica", f"r{n}", 0.1, 10.0, waited) for n, waited in enumerate((0.0, 0.1, 0.2))),
        Sample(1.0, "balancer", "haproxy", 0.1, 10.0, 0.03),
        Sample(1.0, "driver", "load", 0.1, 10.0, 0.9),
        Sample(1.0, "harness", "harness", 0.1, 10.0, 0.9),
        Sample(1.0, "machine", "machine", 1.2, 10.0),
    ]
    resources = fold(replace(observed([RequestRow(1, 1)]), samples=tuple(samples))).resources
    assert resources.waited == pytest.approx(0.13) and resources.other_cpu == pytest.approx(0.6)
    assert (resources.processes, resources.starved) == (4, True)


def test_without_samples_of_the_machine_it_is_not_known_who_waited() -> None:
    resources = fold(observed([RequestRow(1, 1)])).resources
    assert (resources.waited, resources.other_cpu, resources.stolen_cpu, resources.starved) == (None,) * 4


def test_times_are_trusted_if_neither_side_was_short_of_a_core() -> None:
    arm = fold(observed([RequestRow(1, 1)]))
    kept_up = replace(arm, driver=replace(arm.driver, saturated=False))
    assert kept_up.times_trusted and not arm.times_trusted, "a load process that was not sampled is not trusted"
    assert not replace(kept_up, driver=replace(arm.driver, saturated=True)).times_trusted
    assert not replace(kept_up, resources=replace(arm.resources, starved=True)).times_trusted
    delayed = replace(kept_up, driver=replace(kept_up.driver, doubtful=("p99",)))
    assert delayed.times_trusted and delayed.trusts("p50") and not delayed.trusts("p99")
    assert not arm.trusts("p50")
