"""What happened on WebSockets and event streams, to the bounds of the measured time."""

from collections.abc import Sequence

import pytest

from harness.analysis.metrics.messages import compute_message_figures
from harness.observations.faults import FaultRecord
from harness.oracle.verdict import SessionVerdict
from harness.results.summary import MessageFigures
from tests.unit.oracle.test_delivery import Row, frame

ROOM = [SessionVerdict(session, room="a") for session in (1, 2)]


def _figures(*rows: Row, faults: Sequence[float] = (), start: float = 0.0, end: float = 20.0) -> MessageFigures:
    records = [FaultRecord(n, "kill", "r1", t, t) for n, t in enumerate(faults, 1)]
    figures = compute_message_figures(frame(rows), ROOM, records, start, end)
    assert figures is not None
    return figures


OPENED = (Row(1, "OPEN", 0.0, took=0.0), Row(2, "OPEN", 0.0, took=0.0))


def test_a_connection_is_established_by_101_and_an_event_stream_by_200() -> None:
    figures = _figures(*(Row(n, "OPEN", 1.0, status=status) for n, status in enumerate((101, 200, 0, 100, 201, 503))))
    assert (figures.connections, figures.refused) == (2, 4)


def test_acknowledged_are_the_messages_that_were_answered_well() -> None:
    outcomes = ("ok", "failed", "in_doubt", "ok", "ok")
    sends = [Row(1, "SEND", 1.0 + n, n + 1, outcome=outcome) for n, outcome in enumerate(outcomes)]
    figures = _figures(*OPENED, *sends)
    assert (figures.acknowledged, figures.received) == (3, 0)


def test_requests_of_other_methods_are_none_of_its_business() -> None:
    plain = [Row(1, "POST", 1.0, 1), Row(1, "GET", 1.0)]
    assert _figures(*OPENED, *plain).acknowledged == 0


def test_messages_are_counted_over_all_receivers() -> None:
    rows = [*OPENED, *(Row(1, "SEND", float(n), n) for n in range(1, 6))]
    rows += [Row(2, "RECEIVE", 6.0 + n / 10, op) for n, op in enumerate((1, 3, 2, 2))]
    rows += [Row(1, "CLOSE", 15.0, status=0), Row(2, "CLOSE", 15.0, status=0)]
    figures = _figures(*rows)
    assert (figures.due, figures.lost, figures.missed, figures.repeated, figures.disordered) == (5, 2, 0, 1, 1)


def test_an_end_counts_if_the_other_side_made_it() -> None:
    figures = _figures(*OPENED, Row(1, "CLOSE", 3.0, status=0), Row(2, "CLOSE", 3.0, status=1000))
    assert figures.ended == 1


def _silenced(*rows: Row) -> tuple[float | None, float | None]:
    figures = _figures(*OPENED, *rows)
    return figures.rejoin_ms.max, figures.silence_ms.max


def test_absences_last_until_a_connection_is_established_again() -> None:
    end, message = Row(1, "CLOSE", 4.0, status=1006), Row(1, "RECEIVE", 3.0)
    refused, event_stream = Row(1, "OPEN", 5.0, status=503, took=0.0), Row(1, "OPEN", 6.0, status=200, took=0.0)
    assert _silenced(message, end, refused) == (None, None)
    assert _silenced(message, end, refused, event_stream) == (2000.0, None)
    assert _silenced(message, end, refused, event_stream, Row(1, "RECEIVE", 6.5)) == (2000.0, 3500.0)
    assert _silenced(end, event_stream, Row(1, "RECEIVE", 6.5)) == (2000.0, None), "nothing had been heard before"


def test_each_absence_is_timed_once() -> None:
    rows = []
    for begin in (1.0, 5.0):
        rows += [Row(1, "RECEIVE", begin), Row(1, "CLOSE", begin + 0.5, status=1006)]
        rows += [Row(1, "OPEN", begin + 1.0, took=0.0), Row(1, "RECEIVE", begin + 2.0), Row(1, "RECEIVE", begin + 3.0)]
    figures = _figures(*OPENED, *rows)
    assert (figures.rejoin_ms.p50, figures.rejoin_ms.max) == (500.0, 500.0)
    assert (figures.silence_ms.p50, figures.silence_ms.max) == (2000.0, 2000.0)


def test_a_new_connection_of_a_session_that_lost_none_is_no_return() -> None:
    assert _silenced(Row(1, "RECEIVE", 1.0), Row(1, "OPEN", 2.0, took=0.0), Row(1, "RECEIVE", 3.0)) == (None, None)


def test_what_arrives_after_the_end_and_before_the_next_connection_does_not_end_the_silence() -> None:
    late = Row(1, "RECEIVE", 4.2)
    rows = (Row(1, "RECEIVE", 3.0), Row(1, "CLOSE", 4.0, status=1006), late, Row(1, "OPEN", 5.0, took=0.0))
    assert _silenced(*rows) == (1000.0, None)
    assert _silenced(*rows, Row(1, "RECEIVE", 6.0)) == (1000.0, 3000.0)


def test_deliveries_of_the_measured_time_are_timed() -> None:
    def delay(sent: float) -> float | None:
        rows = [Row(1, "SEND", sent, 5), Row(2, "RECEIVE", sent + 0.25, 5), Row(2, "RECEIVE", sent + 9, 0)]
        return _figures(*OPENED, *rows, start=2.0, end=10.0).delivery_ms.p50

    assert [delay(sent) for sent in (1.9, 2.0, 9.75, 10.0, 11.0)] == [None, 250.0, 250.0, None, None]
    assert delay(9.999999999) is not None


def test_long_times_are_exact_to_a_tenth_of_a_microsecond() -> None:
    sent = [Row(1, "SEND", 1000.0, 5), Row(2, "RECEIVE", 1000.25, 5)]
    assert _figures(*OPENED, *sent, end=2000.0).delivery_ms.p50 == 250.0
    message, end = Row(1, "RECEIVE", 0.5), Row(1, "CLOSE", 1.0, status=1006)
    back = [Row(1, "OPEN", 1001.0, took=0.0), Row(1, "RECEIVE", 1001.5)]
    figures = _figures(*OPENED, message, end, *back)
    assert (figures.rejoin_ms.max, figures.silence_ms.max) == (1_000_000.0, 1_001_000.0)


def test_what_was_sent_before_the_receiver_joined_is_not_timed() -> None:
    def delay(sent: float) -> float | None:
        joins = [Row(1, "OPEN", 0.0), Row(2, "OPEN", 4.0, took=0.0), Row(2, "OPEN", 8.0, took=0.0)]
        return _figures(*joins, Row(1, "SEND", sent, 5), Row(2, "RECEIVE", 9.0, 5)).delivery_ms.p50

    assert [delay(sent) for sent in (3.999999999, 4.0, 5.0)] == [None, 5000.0, 4000.0]
    refused = [Row(1, "OPEN", 0.0), Row(2, "OPEN", 1.0, status=503), Row(2, "OPEN", 4.0, took=0.0)]
    figures = _figures(*refused, Row(1, "SEND", 2.0, 5), Row(2, "RECEIVE", 9.0, 5))
    assert figures.delivery_ms.p50 is None


def _storm(
    opened: Sequence[float], faults: Sequence[float] = (4.0,), start: float = 2.0
) -> tuple[float | None, float | None]:
    figures = _figures(*(Row(n, "OPEN", t) for n, t in enumerate(opened)), faults=faults, start=start, end=10.0)
    return figures.opened_per_s_before, figures.opened_per_s_worst


@pytest.mark.parametrize(
    ("opened", "before", "worst"),
    [
        ((1.9, 2.0, 3.0, 3.999999999), 1.5, 0.0),
        ((2.0, 4.0, 4.99, 5.0), 0.5, 2.0),
        ((2.0, 5.0, 4.0, 5.9, 5.5), 0.5, 3.0),
        ((2.0, 2.1, 2.2, 9.9, 10.0, 10.1), 1.5, 1.0),
    ],
)
def test_a_storm_is_the_worst_second_after_the_fault(opened: tuple[float, ...], before: float, worst: float) -> None:
    assert _storm(opened) == (before, worst)


def test_a_storm_is_compared_with_the_time_before_the_first_fault() -> None:
    assert _storm((2.0, 3.0, 5.0), faults=(6.0, 4.0)) == (1.0, 1.0)
    assert _storm((2.0, 3.0, 5.0, 6.0), faults=(5.5,)) == (0.857, 1.0)
    for fault in (1.0, 2.0):
        assert _storm((2.0, 3.0, 5.0), faults=(fault,)) == (None, None), "no time before it was measured"
