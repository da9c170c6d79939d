"""What scenarios with faults expect: each check can pass, fail, and say that it does not know."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.fold import fold
from harness.common.errors import UsageError
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, Controls, DesignSummary, FaultFigures, Sagas, Summary
from harness.results.verdicts import Result
from harness.scenario.expectations import (
    Expect,
    errors_below,
    leaves_half_done,
    loses_at_most,
    loses_only_the_at_risk,
    moves_a_share,
    recovers,
    settles,
    stays_down,
    surges,
    throughput_above,
)
from tests.support.clocks_and_topology import RequestRow, SessionVerdict, kill_at, observed

BASE = fold(observed([RequestRow(1, 1)]))


def _arm(faults: tuple[FaultFigures, ...] = (), **sessions: Any) -> ArmFigures:
    return replace(BASE, faults=faults, sessions=replace(BASE.sessions, **sessions))


def _fault(effective: float | None = 4.0, healed: float | None = 6.0, **more: Any) -> FaultFigures:
    return FaultFigures("pause", "r1", 4.0, effective, healed, {}, 0.0, **{"recover_s": None, **more})


def _judged(expect: Expect, arm: ArmFigures) -> Result:
    summary = Summary("s", "r", {"d": DesignSummary({}, {"fault": arm}, SessionOutcome.KEPT)}, Controls(None, None))
    (verdict,) = expect.judge(summary)
    return verdict.result


@pytest.mark.parametrize("odd", ["2s", None, True, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "expect",
    [
        lambda odd: loses_at_most("d", seconds=odd),
        lambda odd: loses_at_most("d", seconds=1, give=odd),
        lambda odd: moves_a_share("d", share=odd),
        lambda odd: moves_a_share("d", share=0.3, within=odd),
        lambda odd: surges("d", least=odd),
        lambda odd: loses_only_the_at_risk("d", judged=odd),
        lambda odd: errors_below(odd, "d"),
        lambda odd: throughput_above(odd, "d"),
        lambda odd: recovers("d", within=odd or float("nan")),  # None sets no limit
    ],
)
def test_a_limit_that_is_no_number_is_refused_with_its_name(expect: Callable[[Any], Expect], odd: Any) -> None:
    with pytest.raises(UsageError, match=r"^\w+: \w+ must be (float|int)"):
        expect(odd)


@pytest.mark.parametrize(
    ("sessions", "result"),
    [
        ({"lost": 20, "lost_not_at_risk": 0, "at_risk_not_lost": 10}, Result.PASS),
        ({"lost": 0, "lost_not_at_risk": 0, "at_risk_not_lost": 30}, Result.PASS),
        ({"lost": 20, "lost_not_at_risk": 1, "at_risk_not_lost": 11}, Result.FAIL),
        ({"judged": 99, "lost_not_at_risk": 0}, Result.UNKNOWN),
        ({"lost_not_at_risk": None}, Result.UNKNOWN),
    ],
)
def test_loses_only_the_at_risk(sessions: dict[str, Any], result: Result) -> None:
    arm = _arm(**{"started": 150, "unknown": 0, "judged": 150, "at_risk": 30, **sessions})
    assert _judged(loses_only_the_at_risk("d", judged=100), arm) is result


@pytest.mark.parametrize(
    ("moved", "started", "result"),
    [
        (50, 200, Result.PASS),
        (70, 200, Result.PASS),
        (71, 200, Result.FAIL),
        (0, 200, Result.FAIL),
        (0, 0, Result.UNKNOWN),
    ],
)
def test_moves_a_share(moved: int, started: int, result: Result) -> None:
    assert _judged(moves_a_share("d", share=0.25, within=0.1), _arm(moved=moved, started=started)) is result


@pytest.mark.parametrize(
    ("faults", "back", "down"),
    [
        ((_fault(recover_s=3.0),), Result.PASS, Result.FAIL),
        ((_fault(recover_s=None),), Result.FAIL, Result.PASS),
        ((_fault(recover_s=3.0), _fault(recover_s=None)), Result.FAIL, Result.PASS),
        ((_fault(effective=None),), Result.UNKNOWN, Result.UNKNOWN),
        ((), Result.UNKNOWN, Result.UNKNOWN),
    ],
)
def test_recovers_and_stays_down_are_each_others_opposite(
    faults: tuple[FaultFigures, ...], back: Result, down: Result
) -> None:
    assert _judged(recovers("d"), _arm(faults)) is back
    assert _judged(stays_down("d"), _arm(faults)) is down


@pytest.mark.parametrize(("recover_s", "result"), [(1.0, Result.PASS), (2.9, Result.PASS), (3.1, Result.FAIL)])
def test_recovery_within_a_time_counts_from_the_undo(recover_s: float, result: Result) -> None:
    assert _judged(recovers("d", within=1.0), _arm((_fault(recover_s=recover_s),))) is result


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ((5.0,), Result.PASS),
        ((1.0, 3.0), Result.PASS),
        ((2.9,), Result.FAIL),
        ((None,), Result.UNKNOWN),
        ((), Result.UNKNOWN),
    ],
)
def test_surges(values: tuple[float | None, ...], result: Result) -> None:
    assert _judged(surges("d", least=3.0), _arm(tuple(_fault(surge=value) for value in values))) is result


@pytest.mark.parametrize(
    ("lost_writes", "lost_sessions", "result"),
    [(0, 0, Result.PASS), (12, 0, Result.PASS), (14, 0, Result.FAIL), (1, 1, Result.FAIL)],
)
def test_loses_at_most_so_many_seconds_of_writes(lost_writes: int, lost_sessions: int, result: Result) -> None:
    rows = [RequestRow(1, 0.05 * n, op=n + 1 if n % 2 else 0) for n in range(100)]  # ten writes and ten reads a second
    arm = fold(observed(rows, kill_at(4.0, healed=5.0), [SessionVerdict(1)]))
    arm = replace(arm, writes=replace(arm.writes, lost=lost_writes), sessions=replace(arm.sessions, lost=lost_sessions))
    assert _judged(loses_at_most("d", seconds=1.0), arm) is result


def test_without_a_fault_or_a_write_it_is_not_known_what_was_lost_at_most() -> None:
    reads = [RequestRow(1, 0.05 * n) for n in range(100)]
    for rows, events in ((reads, kill_at(4.0, healed=5.0)), ([RequestRow(1, 1.0, op=1)], [])):
        assert (
            _judged(loses_at_most("d", seconds=1.0), fold(observed(rows, events, [SessionVerdict(1)])))
            is Result.UNKNOWN
        )


@pytest.mark.parametrize(
    ("half_done", "repeated", "result"), [(0, 0, Result.PASS), (1, 0, Result.FAIL), (0, 1, Result.FAIL)]
)
def test_settles_and_leaves_half_done_are_each_others_opposite(half_done: int, repeated: int, result: Result) -> None:
    arm = replace(_arm(), sagas=Sagas(9, 8 - half_done, 1, half_done, repeated, 0))
    opposite = {Result.PASS: Result.FAIL, Result.FAIL: Result.PASS}[result]
    assert (_judged(settles("d"), arm), _judged(leaves_half_done("d"), arm)) == (result, opposite)
    assert _judged(settles("d"), _arm()) is _judged(leaves_half_done("d"), _arm()) is Result.UNKNOWN
