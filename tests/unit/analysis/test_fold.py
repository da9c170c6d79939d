from dataclasses import replace

import pytest

from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.analysis.metrics.state_removal import find_cause, find_sessions_at_risk, find_state_removals
from harness.common.intervals import exact_interval
from harness.observations.events import Event
from harness.observations.faults import pair_faults
from harness.observations.load_requests import LoadRequests
from harness.observations.samples import Sample
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.summary import DriverFigures
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
        return Loss(t_ns=0, birth_before="x", birth_after="y", boot_before=before, boot_after=after, writes=1)

    assert find_cause(loss("b1", "b0"), killed) == "killed"
    assert find_cause(loss("b0", "b1'"), killed) == "returned_empty"
    assert find_cause(loss("b0", "b2"), killed) == "moved"
    assert find_cause(loss("b0", "b0"), killed) == "unattributed"


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
    assert phases.before.requests.attempted == 400
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
    loss = Loss(t_ns=0, birth_before="x", birth_after="y", boot_before="b1", boot_after="b0", writes=1)
    assert find_cause(loss, find_state_removals(pair_faults(_taken(kind, 4.2)))) == cause


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


def test_without_a_session_that_began_before_it_there_is_no_surge() -> None:
    assert fold(observed([RequestRow(1, 4.5)], kill_at(4.0, healed=5.0))).faults[0].surge is None


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
    assert driver == DriverFigures(saturated, lag, 1, 2, cpu, "core 3")
