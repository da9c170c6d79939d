"""What happened on WebSockets, folded to figures."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from harness.analysis.findings import summarize_finding
from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.messages import compute_message_figures
from harness.observations.faults import pair_faults
from harness.oracle.verdict import SessionVerdict
from harness.report.table import describe_messages
from harness.results.summary import ArmFigures, DesignSummary, MessageFigures
from harness.results.verdicts import Result
from harness.scenario.expectations import delivers, loses_messages
from tests.support.clocks_and_topology import RequestRow, kill_at, observed
from tests.unit.oracle.test_delivery import Row, frame

ROOM = [SessionVerdict(session, room="a") for session in (1, 2)]


def message_figures(
    rows: list[Row], *, judgements: list[SessionVerdict] = ROOM, fault: float | None = None
) -> MessageFigures:
    table = frame(rows)
    first = {1: True, 2: True}
    marks = []
    for session, method in zip(table["session"], table["method"], strict=True):
        marks.append(int(method == "OPEN" and not first.get(session, False)))
        if method == "OPEN":
            first[session] = False
    table["reconnected"] = marks
    figures = compute_message_figures(
        table, judgements, pair_faults(kill_at(fault)) if fault is not None else [], 0.0, 20.0
    )
    assert figures is not None
    return figures


def both(until: float = 15.0) -> list[Row]:
    ends = [Row(session, "CLOSE", until, status=0) for session in (1, 2)]
    return [Row(1, "OPEN", 0.5), Row(2, "OPEN", 0.5), *ends]


def test_an_arm_without_websockets_has_no_messages() -> None:
    assert fold(observed([RequestRow(1, 1)])).messages is None
    assert compute_message_figures(frame([Row(1, "SEND", 1, 5)]), [], [], 0, 10) is None


def test_messages_are_counted_per_receiver() -> None:
    rows = [*both(), Row(1, "SEND", 1, 1), Row(2, "RECEIVE", 1.1, 1), Row(1, "SEND", 2, 2), Row(1, "SEND", 3, 3)]
    rows += [Row(2, "RECEIVE", 3.1, 3), Row(2, "RECEIVE", 3.2, 3), Row(2, "RECEIVE", 4)]
    figures = message_figures(rows)
    assert (figures.acknowledged, figures.received, figures.due, figures.lost, figures.repeated) == (3, 4, 3, 1, 1)
    assert figures.delivery_ms.p50 == pytest.approx(100, abs=0.1)
    assert describe_messages(figures) == "1 of 3 messages lost, 1 repeated"


def test_without_rooms_nothing_is_due() -> None:
    figures = message_figures([*both(), Row(1, "SEND", 1, 1)], judgements=[SessionVerdict(1), SessionVerdict(2)])
    assert (figures.due, figures.lost) == (0, 0) and describe_messages(figures) == ""


def test_a_connection_that_the_peer_ends_is_measured_by_the_time_to_rejoin() -> None:
    rows = [*both(), Row(2, "RECEIVE", 4.9), Row(2, "CLOSE", 5.0, status=1006, outcome="in_doubt")]
    rows += [Row(2, "OPEN", 5.5, status=503, outcome="in_doubt"), Row(2, "OPEN", 6.0), Row(2, "RECEIVE", 6.5)]
    figures = message_figures(rows)
    assert (figures.connections, figures.refused, figures.ended, figures.reconnects) == (3, 1, 1, 1 + 0)
    assert figures.rejoin_ms.max == pytest.approx(1001) and figures.silence_ms.max == pytest.approx(1600)
    assert describe_messages(figures) == "1 connection ended, 1 reconnected"


def test_a_second_end_before_any_message_lengthens_the_silence() -> None:
    rows = [*both(), Row(2, "RECEIVE", 4.0)]
    for ended in (5.0, 6.0):
        rows += [Row(2, "CLOSE", ended, status=1006), Row(2, "OPEN", ended + 0.5)]
    figures = message_figures([*rows, Row(2, "RECEIVE", 7.0)])
    assert figures.silence_ms.max == pytest.approx(3000) and figures.rejoin_ms.max == pytest.approx(501)


def test_a_connection_that_the_user_closes_is_not_counted_as_ended() -> None:
    figures = message_figures([*both(), Row(2, "CLOSE", 5.0, status=0), Row(2, "OPEN", 6.0)])
    assert figures.ended == 0 and figures.rejoin_ms.max is None and figures.reconnects == 1


def test_the_storm_is_the_worst_second_after_the_fault() -> None:
    rows = [Row(n, "OPEN", 1.0 + n) for n in range(10)]  # one a second
    rows += [Row(n, "OPEN", 12.0 + 0.01 * n, status=503) for n in range(30)] + [Row(n, "OPEN", 14.0) for n in range(4)]
    figures = message_figures(rows, fault=11.5)
    assert figures.opened_per_s_before == pytest.approx(10 / 11.5, abs=0.001) and figures.opened_per_s_worst == 30
    calm = message_figures(rows)
    assert calm.opened_per_s_before is None and calm.opened_per_s_worst is None


def arm(**more: int) -> ArmFigures:
    base = fold(observed([RequestRow(1, 1, op=1)], judgements=[SessionVerdict(1, acknowledged=1)]))
    counts: dict[str, Any] = {"due": 5, "lost": 0, "missed": 0, **more}
    return replace(base, messages=replace(message_figures(both()), **counts))


@pytest.mark.parametrize(
    ("counts", "result", "word"),
    [
        ({}, Result.PASS, "kept"),
        ({"lost": 1}, Result.FAIL, "lost_messages"),
        ({"repeated": 1}, Result.FAIL, "repeated_messages"),
        ({"disordered": 1}, Result.FAIL, "disordered"),
        ({"due": 0}, Result.UNKNOWN, "kept"),
    ],
)
def test_a_design_delivers_where_nothing_is_lost_repeated_or_disordered(
    counts: dict[str, int], result: Result, word: str
) -> None:
    arms = {"fault": arm(**counts)}
    design = DesignSummary({}, arms, summarize_finding(arms))
    assert delivers("d").check(design)[0] is result and design.finding == word
    lost = {True: Result.PASS, False: Result.FAIL}[bool(counts.get("lost"))]
    assert loses_messages("d").check(design)[0] is (lost if counts.get("due", 5) else Result.UNKNOWN)


def test_the_reconnected_mark_is_what_counts() -> None:
    table = frame([Row(1, "OPEN", 1), Row(1, "OPEN", 2)])
    assert isinstance(table, pd.DataFrame)
    figures = compute_message_figures(table.assign(reconnected=[0, 1]), [], [], 0, 10)
    assert figures is not None and figures.reconnects == 1
