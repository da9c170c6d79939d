"""Counts, rates, phases, spread and availability of the requests of an arm."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.fold import fold
from harness.observations.events import Event
from harness.observations.requests import DROPPED, NO_SESSION
from harness.results.summary import ArmFigures, Bytes, Phase, Spread, Throughput
from tests.support.clocks_and_topology import RequestRow, kill_at, observed


def _fold(rows: Sequence[RequestRow], events: Sequence[Event] = (), warmup: float = 0.0, **more: Any) -> ArmFigures:
    return fold(replace(observed(rows, events, **more), warmup=warmup))


def _steady(begin: float, end: float, **more: Any) -> list[RequestRow]:
    """A hundred requests per second that take no time."""
    return [RequestRow(1, begin + n / 100, took=0.0, **more) for n in range(round(100 * (end - begin)))]


def _dropped(intended: float, given_up: float) -> RequestRow:
    return RequestRow(NO_SESSION, given_up, "failed", None, None, took=0.0, intended=intended, phase=DROPPED)


def test_the_measured_time_begins_after_the_warm_up_and_ends_before_the_end() -> None:
    rows = [RequestRow(1, 1.9), RequestRow(1, 2.0), RequestRow(1, 9.99), RequestRow(1, 10.0)]
    arm = _fold(rows, warmup=2.0)
    assert arm.requests.attempted == 2
    assert arm.throughput.mean == 0.25, "per second of the eight measured"


def test_an_arm_that_was_cut_off_ends_with_its_last_request() -> None:
    rows = [RequestRow(1, 1.0, took=0.0), RequestRow(1, 4.0, took=1.0)]
    assert _fold(rows, complete=False).throughput.mean == 0.4
    assert _fold(rows, complete=False, duration=3.0).throughput.mean == pytest.approx(1 / 3), "not beyond its plan"
    assert _fold(rows).throughput.mean == 0.2
    assert _fold([], complete=False).throughput.mean == 0.0


def test_without_any_measured_time_there_is_no_rate() -> None:
    assert _fold([RequestRow(1, 1.0)], warmup=10.0).throughput == Throughput(None, None)
    assert _fold([RequestRow(1, 1.0)], duration=0.5).throughput == Throughput(0.0, 0.0)


def test_phases_have_their_own_requests_rates_and_times() -> None:
    slow = _steady(4.0, 6.0, outcome="failed", status=503)
    phases = _fold([*_steady(0, 4), *slow, *_steady(6, 10)], kill_at(4.0, healed=6.0), warmup=2.0).phases
    before, during, after = phases.before, phases.during, phases.after
    assert before is not None and during is not None and after is not None
    assert [phase.requests.attempted for phase in (before, during, after)] == [200, 200, 400]
    assert [phase.throughput.mean for phase in (before, during, after)] == pytest.approx([100.0, 0.0, 100.0], abs=0.6)
    assert (during.requests.failed, during.requests.ok) == (200, 0)


def test_a_dropped_arrival_belongs_to_the_phase_in_which_it_was_given_up() -> None:
    dropped = [_dropped(1.0, 4.5), _dropped(3.9, 4.0), _dropped(4.1, 5.9), _dropped(5.0, 6.5), _dropped(9.9, 12.0)]
    phases = _fold([*_steady(0, 10), *dropped], kill_at(4.0, healed=6.0), warmup=2.0).phases
    counted: list[Phase | None] = [phases.before, phases.during, phases.after]
    assert [phase.requests.dropped for phase in counted if phase] == [0, 2, 2]


def test_a_fault_as_the_measured_time_begins_leaves_no_time_before_it() -> None:
    phases = _fold(_steady(0, 10), kill_at(2.0, healed=3.0), warmup=2.0).phases
    assert phases.before is None and phases.during is not None and phases.after is not None


def test_a_recovery_at_once_leaves_no_time_of_the_fault() -> None:
    phases = _fold(_steady(0, 10), kill_at(4.0)).phases
    assert phases.during is None
    assert phases.before is not None and phases.before.requests.attempted == 400
    assert phases.after is not None and phases.after.requests.attempted == 600


def test_the_phases_of_several_faults_begin_with_the_first_effect() -> None:
    events = [*kill_at(3.0, healed=3.5), *kill_at(6.0, replica="r2", boot="b2", healed=7.0)]
    phases = _fold(_steady(0, 10), events).phases
    counted = [phase and phase.requests.attempted for phase in (phases.before, phases.during, phases.after)]
    assert counted == [300, 400, 300]


def test_without_a_fault_that_took_effect_there_are_no_phases() -> None:
    arm = _fold(_steady(0, 10), kill_at(4.0)[:1])
    assert (arm.phases.before, arm.phases.during, arm.phases.after) == (None, None, None)
    assert arm.availability.during_fault is None


def test_availability_during_faults_lasts_from_the_first_effect_until_the_last_undo() -> None:
    bad = {"outcome": "failed", "status": 503}
    events = [*kill_at(3.0, healed=3.5), *kill_at(6.0, replica="r2", boot="b2", healed=7.0)]
    rows = [*_steady(0, 3), *_steady(3, 5, **bad), *_steady(5, 10)]
    assert _fold(rows, events).availability.during_fault == pytest.approx(0.5)
    assert _fold(rows, events).availability.overall == pytest.approx(0.8)
    never_undone = [*kill_at(3.0), *kill_at(6.0, replica="r2", boot="b2", healed=7.0)]
    assert _fold(rows, never_undone).availability.during_fault == pytest.approx(5 / 7)


def test_a_dropped_arrival_was_not_available() -> None:
    arm = _fold([*_steady(0, 10), *(_dropped(5.0, 5.0) for _ in range(200))], kill_at(4.0, healed=6.0), warmup=2.0)
    assert arm.availability.overall == pytest.approx(0.8)
    assert arm.availability.during_fault == pytest.approx(0.5)


def test_a_wrong_answer_was_not_available() -> None:
    arm = _fold([*_steady(0, 5), *_steady(5, 10, anomaly="stale")], kill_at(4.0, healed=6.0))
    assert (arm.availability.overall, arm.availability.during_fault) == (0.5, 0.5)


def test_only_measured_replies_of_a_replica_make_the_spread() -> None:
    rows = [
        *(RequestRow(1, 3.0, replica="r1") for _ in range(3)),
        RequestRow(1, 3.0, replica="r0"),
        RequestRow(1, 3.0, "failed", None, None),
        RequestRow(1, 1.0, replica="r0"),
    ]
    assert _fold(rows, warmup=2.0).spread == Spread({"r0": 1, "r1": 3}, 1.5, 0.5)
    assert list(_fold(rows, warmup=2.0).spread.per_replica) == ["r0", "r1"]


def test_bytes_are_the_mean_of_the_measured_requests_that_were_answered_well() -> None:
    arm = observed(
        [*(RequestRow(1, t) for t in (3.0, 4.0, 5.0)), RequestRow(1, 6.0, outcome="failed"), RequestRow(1, 1)]
    )
    sized = arm.requests.assign(bytes_sent=[100, 100, 101, 999, 999], bytes_received=[400, 401, 401, 999, 999])
    assert fold(replace(arm, requests=sized, warmup=2.0)).bytes == Bytes(100.3, 400.7)
    assert _fold([RequestRow(1, 3.0, outcome="failed")]).bytes == Bytes(None, None)
