"""How long a fault was noticed, whom it concerned, when its gray failure ended, and the surge that it set off."""

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.faults import find_recovery_end
from harness.analysis.metrics.fold import fold
from harness.observations.events import Event
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.summary import FaultFigures
from tests.support.clocks_and_topology import RequestRow, kill_at, observed


def _figures(rows: list[RequestRow], events: list[Event], warmup: float = 0.0, **more: Any) -> FaultFigures:
    """Of the first fault, of an arm of ten seconds."""
    return fold(replace(observed(rows, events, **more), warmup=warmup)).faults[0]


def _reads(session: int, boot: str, *times: float, **more: Any) -> list[RequestRow]:
    """Requests at these times, answered by the replica of this boot (r1 for b1)."""
    return [RequestRow(session, t, replica=boot.replace("b", "r"), boot=boot, **more) for t in times]


def _unanswered(session: int, t: float, took: float = 0.01) -> RequestRow:
    return RequestRow(session, t, "failed", None, None, took=took)


CALM = [RequestRow(1, n / 10) for n in range(100)]


def test_a_fault_that_never_took_effect_has_no_figures_of_its_effect() -> None:
    commanded = [Event(4.0, "fault_commanded", "r1", {"kind": "kill"})]
    fault = _figures([*CALM, _unanswered(1, 4.5)], [*commanded, Event(0.0, "member_state", "r1", {"state": "up"})])
    assert (fault.effective, fault.detect_s, fault.recover_s, fault.gray_s) == (None, None, None, None)
    assert fault.surge == 0.0, "one session began before it, none after"


def _fault(effective: float | None, recover_s: float | None, detect_s: float | None, healed: float | None) -> Any:
    return FaultFigures("kill", "r1", 0.0, effective, healed, {}, detect_s, recover_s)


@pytest.mark.parametrize(
    ("faults", "ended"),
    [
        ([_fault(4.0, 2.0, 1.0, 5.0)], 6.0),
        ([_fault(4.0, 1.0, 2.5, 5.0)], 6.5),
        ([_fault(4.0, 1.0, 0.5, 7.0)], 7.0),
        ([_fault(0.0, 0.25, None, None)], 0.25),
        ([_fault(4.0, 9.0, 0.5, 7.0)], 10.0),
        ([_fault(4.0, None, 0.5, 7.0)], 10.0),
        ([_fault(None, 1.0, 0.5, 7.0)], 10.0),
        ([_fault(1.0, 1.0, 0.0, 3.0), _fault(4.0, 1.0, 0.0, 4.5)], 5.0),
        ([_fault(1.0, 5.0, 0.0, 3.0), _fault(4.0, 1.0, 0.0, 4.5)], 6.0),
    ],
)
def test_recovery_ends_once_all_faults_are_undone_their_errors_over_and_goodput_back(
    faults: list[FaultFigures], ended: float
) -> None:
    assert find_recovery_end(faults, 10.0) == ended


def test_an_error_from_before_the_evidence_was_noticed_at_once() -> None:
    early = RequestRow(2, 3.9, "failed", None, None, took=0.2)
    assert _figures([*CALM, early], kill_at(4.0, took=0.5)).detect_s == 0.0


def test_a_fault_at_the_very_start_is_timed_from_there() -> None:
    assert _figures([*CALM, _unanswered(2, 0.0, 0.75)], kill_at(0.0)).detect_s == 0.75


def test_the_errors_of_the_next_fault_are_not_those_of_the_first() -> None:
    events = [*kill_at(4.0, healed=5.0), *kill_at(6.0, replica="r2", boot="b2")]
    rows = [*CALM, _unanswered(2, 3.9, 0.35), _unanswered(3, 5.9, 0.5), _unanswered(4, 6.0, 0.75)]
    first, second = fold(observed(rows, events)).faults
    assert first.detect_s == 0.25, "what was sent after its undo is not its doing"
    assert second.detect_s == 0.75


def test_many_errors_until_the_next_fault_are_the_doing_of_this_one() -> None:
    events = [*kill_at(4.0), *kill_at(6.0, replica="r2", boot="b2")]
    burst = [_unanswered(9, t / 100) for t in range(500, 520)]
    first, second = fold(observed([*CALM, *burst], events)).faults
    assert first.detect_s == pytest.approx(1.2)
    assert second.detect_s == 0.0


def test_a_failed_reply_of_another_start_of_the_replica_is_not_the_victims_error() -> None:
    refused = {"outcome": "failed", "status": 503, "took": 0.25}
    own = [*CALM, *_reads(2, "b1", 3.9, **refused)]
    assert _figures(own, kill_at(4.0)).detect_s == pytest.approx(0.15)
    other = [*CALM, *_reads(2, "b1'", 3.9, **refused)]
    assert _figures(other, kill_at(4.0)).detect_s == 0.0
    not_refused = [*CALM, *_reads(2, "b1", 3.9, outcome="failed", status=404, took=0.25)]
    assert _figures(not_refused, kill_at(4.0)).detect_s == 0.0


def _stalled(healed: float | None = None) -> list[Event]:
    """A replica that is out of reach, without evidence of its start."""
    undo = [] if healed is None else [Event(healed, "fault_healed", "r1", {"kind": "stall"})]
    detail = {"kind": "stall"}
    return [Event(4.0, "fault_commanded", "r1", detail), Event(4.0, "fault_effective", "r1", detail), *undo]


def test_a_replica_whose_start_is_not_known_answered_no_request() -> None:
    rows = [*CALM, *_reads(2, "b1", 3.9, outcome="failed", status=503, took=0.25)]
    assert _figures(rows, _stalled()).detect_s == 0.0


def _store_died(healed: float | None = None) -> list[Event]:
    detail = {"kind": "kill_store"}
    undo = [] if healed is None else [Event(healed, "fault_healed", "store", detail)]
    return [Event(4.0, "fault_commanded", "store", detail), Event(4.5, "fault_effective", "store", detail), *undo]


def test_until_a_store_is_back_every_error_of_a_replica_is_its_doing() -> None:
    def at(*times: float) -> list[RequestRow]:
        return [*CALM, *_reads(2, "b1", *times, outcome="in_doubt", status=500, took=0.25)]

    assert _figures(at(5.0), _store_died()).detect_s == pytest.approx(0.75)
    assert _figures(at(5.0, 8.0), _store_died(healed=6.0)).detect_s == pytest.approx(0.75)
    for back in (6.0, 7.0):
        assert _figures(at(back), _store_died(healed=6.0)).detect_s == 0.0, "sent when it was back"


def _sticky(sessions: int, moving: int) -> list[RequestRow]:
    """Three requests of each session, all answered by one replica, or of the moving ones by two."""
    rows = []
    for session in range(100, 100 + sessions):
        second = "b2" if session < 100 + moving else "b0"
        rows += [*_reads(session, "b0", 1.0, 2.0), *_reads(session, second, 3.0)]
    return rows


@pytest.mark.parametrize(("moving", "detect_s"), [(0, 1.01), (1, 1.01), (2, 0.0)])
def test_sessions_stay_with_a_replica_if_nine_tenths_of_them_do(moving: int, detect_s: float) -> None:
    rows = [*_sticky(10, moving), *_reads(2, "b1", 3.5), _unanswered(2, 5.0)]
    single = [row for n in range(20, 60) for row in _reads(n, "b2", 2.0)]
    for more in ([], single):  # one reply shows nothing
        assert _figures([*CALM[:40], *rows, *more], kill_at(4.0)).detect_s == pytest.approx(detect_s)


def test_a_session_is_the_victims_by_its_last_reply_before_the_error() -> None:
    stays = _sticky(40, 0)
    left = [*_reads(2, "b1", 2.0), *_reads(2, "b0", 3.5), _unanswered(2, 5.0)]
    assert _figures([*CALM[:40], *stays, *left], kill_at(4.0)).detect_s == 0.0
    came = [*_reads(2, "b0", 2.0), *_reads(2, "b1", 3.5), _unanswered(2, 4.5), _unanswered(2, 5.0)]
    assert _figures([*CALM[:40], *stays, *came], kill_at(4.0)).detect_s == pytest.approx(1.01)
    assert _figures([*CALM[:40], *stays, *came], kill_at(4.0, healed=5.0)).detect_s == pytest.approx(0.51)


def test_how_sessions_stay_is_seen_in_the_last_calm_time_before_the_fault() -> None:
    events = [*kill_at(1.0, replica="r2", boot="b2", healed=1.5), *kill_at(4.0)]
    moved_by_the_first = [row for n in range(30, 60) for row in (*_reads(n, "b2", 0.5), *_reads(n, "b0", 2.5, 3.5))]
    rows = [*CALM[:40], *moved_by_the_first, *_reads(2, "b1", 3.5), _unanswered(2, 5.0)]
    assert fold(observed(rows, events)).faults[1].detect_s == pytest.approx(1.01)


@pytest.mark.parametrize(
    ("ended", "detect_s"),
    [
        ((1.0, 3.0), 0.0),  # both within: a fifth of the sessions moved
        ((0.75, 3.0), 1.01),  # the first one before it
        ((3.0, 4.0), 1.01),  # the second one after it
    ],
)
def test_a_calm_time_is_from_its_begin_until_before_the_fault(ended: tuple[float, float], detect_s: float) -> None:
    def moved(session: int) -> list[RequestRow]:
        first, second = (t - 0.25 for t in ended)
        return [*_reads(session, "b0", first, took=0.25), *_reads(session, "b2", second, took=0.25)]

    rows = [*CALM[:40], *_sticky(8, 0), *moved(50), *moved(51), *_reads(2, "b1", 3.5), _unanswered(2, 5.0)]
    assert _figures(rows, kill_at(4.0), warmup=1.0).detect_s == pytest.approx(detect_s)


def _starting(*times: float) -> list[RequestRow]:
    """Sessions that began at these times, each with one more request later."""
    return [RequestRow(n, t + more) for n, t in enumerate(times, 1) for more in (0.0, 0.5)]


@pytest.mark.parametrize(
    ("after", "surge"),
    [
        ((4.0, 4.5, 4.99), 3.0),
        ((4.0, 5.0, 6.0), 1.0),  # a second ends before the next begins
        ((4.0, 4.99, 5.01, 5.5), 3.0),
        ((10.0,), 0.0),  # not in the measured time
        ((), 0.0),
    ],
)
def test_a_surge_is_the_most_births_in_a_second_from_the_fault_on(after: tuple[float, ...], surge: float) -> None:
    before = (0.5, 1.9, 2.0, 3.0)  # one per second, once the warm-up is over
    assert _figures(_starting(*before, *after), kill_at(4.0), warmup=2.0).surge == surge


def test_a_surge_is_rounded_to_thousandths() -> None:
    assert _figures(_starting(1.0, 2.0, 3.0, 4.5), kill_at(4.0)).surge == 1.333


def test_a_lost_state_is_born_again_when_the_loss_was_seen() -> None:
    def surge(*seen_ns: int) -> float | None:
        losses = tuple(Loss(t_ns, "x", "y", "b1", "b0", 1) for t_ns in seen_ns)
        verdict = SessionVerdict(1, lost=True, losses=losses)
        return _figures(_starting(1.0, 4.0), kill_at(4.0), judgements=[verdict]).surge

    assert surge(3_500_000_000, 5_000_000_000) == 2.0, "one a half seconds before, and one in each second after"
    assert surge(4_000_000_000, 4_999_999_999) == 12.0, "three in the second after it"


def _pause(
    *states: tuple[float, str], subject: str = "r1", evidence: dict[str, Any] | None = None, healed: float | None = 8.0
) -> list[Event]:
    """A pause from 4 to 8 s, and what the balancer believed of r1."""
    detail = {"kind": "pause", **(evidence or {})}
    events = [*(Event(t, "member_state", "r1", {"state": state}) for t, state in ((0.0, "up"), *states))]
    events += [
        Event(3.9, "fault_commanded", subject, {"kind": "pause"}),
        Event(4.0, "fault_effective", subject, detail),
    ]
    return [*events, *([] if healed is None else [Event(healed, "fault_healed", subject, {"kind": "pause"})])]


def _gray_s(rows: list[RequestRow], events: list[Event]) -> float | None:
    return _figures([*CALM, *rows], events).gray_s


def test_a_gray_failure_begins_with_the_first_unanswered_request_that_ends_after_the_effect() -> None:
    assert _gray_s([_unanswered(2, 5.0), _unanswered(2, 5.5)], _pause((6.0, "down"))) == pytest.approx(1.0)
    assert _gray_s([_unanswered(2, 3.0, 2.0)], _pause((6.0, "down"))) == pytest.approx(2.0), "counted from the effect"
    assert _gray_s([_unanswered(2, 3.0, 0.5)], _pause((6.0, "down"))) == 0.0, "it ended before the fault"
    assert _gray_s([_unanswered(2, 3.0, 1.0)], _pause((6.0, "down"))) == pytest.approx(2.0), "it ended with the effect"
    for t in (6.0, 6.5):
        assert _gray_s([_unanswered(2, t)], _pause((6.0, "down"))) == 0.0, "the balancer knew by then"


def test_a_server_error_of_the_target_is_no_answer_and_one_of_another_replica_is() -> None:
    failed = {"outcome": "in_doubt", "status": 500}
    assert _gray_s(_reads(2, "b1", 5.0, **failed), _pause((6.0, "down"))) == pytest.approx(1.0)
    assert _gray_s(_reads(2, "b0", 5.0, **failed), _pause((6.0, "down"))) == 0.0
    assert _gray_s(_reads(2, "b1", 5.0, outcome="failed", status=404), _pause((6.0, "down"))) == 0.0


def test_a_gray_failure_ends_when_the_balancer_marks_the_target_or_with_its_undo() -> None:
    rows = [_unanswered(2, 5.0)]
    assert _gray_s(rows, _pause((3.0, "down"), (3.5, "up"), (7.0, "drain"), (7.5, "up"))) == pytest.approx(2.0)
    assert _gray_s(rows, _pause((9.0, "down"))) == pytest.approx(3.0), "by the undo at the latest"
    assert _gray_s(rows, _pause(healed=None)) == pytest.approx(5.0), "without an undo by the end"
    assert _gray_s([_unanswered(2, 3.9, 0.2)], _pause((4.0, "down"))) == 0.0, "marked at once"


def test_a_reply_once_the_target_was_healed_is_none_in_time() -> None:
    assert _gray_s(_reads(2, "b1", 5.0, took=3.0), _pause()) == pytest.approx(3.0)
    assert _gray_s(_reads(2, "b1", 5.0, took=2.9), _pause()) == 0.0
    assert _gray_s(_reads(2, "b0", 5.0, took=3.0), _pause()) == 0.0


def test_the_replica_behind_a_cut_link_is_the_one_that_the_evidence_names() -> None:
    events = _pause((6.0, "down"), subject="balancer-r1", evidence={"replica": "r1"})
    assert _gray_s([_unanswered(2, 5.0)], events) == pytest.approx(1.0)
    assert _gray_s([_unanswered(2, 5.0)], _pause((6.0, "down"), subject="balancer-r1")) is None


def test_times_are_rounded_to_a_tenth_of_a_millisecond() -> None:
    rows = [*CALM, RequestRow(2, 3.9, "failed", None, None, took=0.32344)]
    events = [Event(0.0, "member_state", "r1", {"state": "up"}), *kill_at(4.0, healed=5.12344)]
    fault = _figures(rows, events)
    assert (fault.detect_s, fault.gray_s) == (0.2234, 1.1234)


def test_what_takes_effect_after_the_measured_time_has_no_gray_failure_in_it() -> None:
    late = Event(10.5, "fault_effective", "r1", {"kind": "pause"})
    events = [event for event in _pause(healed=None) if event.kind != "fault_effective"]
    assert _gray_s([_unanswered(2, 9.9, 1.0)], [*events, late]) == 0.0
