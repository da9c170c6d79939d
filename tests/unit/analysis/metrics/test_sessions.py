"""What happened to sessions and writes: counted, compared with theory, and set beside the effect journal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.explain import find_notable_sessions
from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.sessions import group_known_by_session, is_harmed
from harness.observations.events import Effect, Event, EventKind
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.summary import SessionFigures, WriteFigures
from tests.support.clocks_and_topology import RequestRow, kill_at, observed


def _sessions(rows: Sequence[RequestRow], *verdicts: SessionVerdict, events: Sequence[Event] = ()) -> SessionFigures:
    return fold(observed(rows, events, verdicts)).sessions


def _lost(session: int, before: str = "b1", after: str = "b0", writes: int = 1, **more: Any) -> SessionVerdict:
    """A session that lost its state at 5 s, with so many writes."""
    loss = Loss(5 * 10**9, "x", "y", before, after, writes, known_ns=3 * 10**9)
    return SessionVerdict(session, lost=True, losses=(loss,), lost_writes=writes, **more)


WROTE = [RequestRow(n, 3.0, op=n, replica="r1", boot="b1") for n in (1, 2, 3)]
KILL = kill_at(4.0, healed=6.0)


@pytest.mark.parametrize(
    "harm",
    [
        {"lost": True},
        {"rolled_back": True},
        {"stale": True},
        {"leaked": True},
        {"duplicated": True},
        {"forced_login": True},
        {"lost_writes": 1},
    ],
)
def test_each_harm_is_known_whatever_else_is_not(harm: dict[str, Any]) -> None:
    harmed = SessionVerdict(1, unknown=True, **harm)
    assert is_harmed(harmed) and group_known_by_session([harmed]) == {1: [harmed]}
    figures = _sessions(WROTE[:1], harmed)
    assert (figures.judged, figures.unknown, figures.proven, figures.known) == (0, 1, 1, 1)


def test_a_session_of_which_nothing_is_proven_is_not_known_if_one_writer_was_not_judged() -> None:
    assert not is_harmed(SessionVerdict(1, unknown=True))
    shared = [SessionVerdict(1, writer=1), SessionVerdict(1, writer=2, unknown=True)]
    assert group_known_by_session(shared) == {}
    figures = _sessions(WROTE[:1], *shared)
    assert (figures.started, figures.judged, figures.unknown, figures.proven) == (1, 0, 1, 0)
    assert (figures.loss_rate, figures.loss_interval_99) == (None, None)


@pytest.mark.parametrize("flag", ["rolled_back", "stale", "leaked", "forced_login"])
def test_a_session_counts_once_however_many_of_its_writers_say_so(flag: str) -> None:
    harm: dict[str, Any] = {flag: True}
    verdicts = [SessionVerdict(1, writer=n, **harm) for n in (1, 2)]
    figures = _sessions(WROTE, *verdicts, SessionVerdict(2), SessionVerdict(3))
    flags = ("rolled_back", "stale", "leaked", "forced_login", "lost", "unexplained")
    assert {name: getattr(figures, name) for name in flags} == {**dict.fromkeys(flags, 0), flag: 1}


def test_losses_are_counted_by_session_and_their_causes_by_loss() -> None:
    loss = Loss(5 * 10**9, "x", "y", "b0", "b2", 1)
    twice = SessionVerdict(1, writer=1, lost=True, losses=(loss, replace(loss, boot_after="b0")))
    figures = _sessions(WROTE, twice, SessionVerdict(1, writer=2), SessionVerdict(2), SessionVerdict(3))
    assert (figures.lost, figures.judged, figures.lost_by_cause) == (1, 3, {"moved": 1, "unattributed": 1})
    assert figures.loss_rate == 1 / 3


def test_the_loss_rate_has_its_exact_interval_to_six_digits() -> None:
    figures = _sessions(WROTE, _lost(1), SessionVerdict(2), SessionVerdict(3))
    assert figures.loss_interval_99 == (0.001669, 0.9586)


def test_only_a_lost_session_has_causes() -> None:
    returned = SessionVerdict(1, stale=True, losses=_lost(1).losses)
    assert _sessions(WROTE, returned).lost_by_cause == {}


def test_sessions_are_those_of_the_requests_and_of_the_ledgers_together() -> None:
    assert _sessions(WROTE, SessionVerdict(3), SessionVerdict(9)).started == 4
    arm = observed(WROTE, judgements=[SessionVerdict(1)])
    for counted, started in ((2, 3), (3, 3), (8, 8)):
        assert fold(replace(arm, driver={"sessions": counted})).sessions.started == started
    assert fold(replace(arm, driver={})).sessions.started == 3


def test_no_session_at_all_is_none_started() -> None:
    assert fold(replace(observed([]), driver={})).sessions.started == 0


def test_a_session_moved_if_more_than_one_replica_answered_it() -> None:
    rows = [
        *(RequestRow(1, t, replica="r0") for t in (1.0, 2.0)),
        *(RequestRow(2, t, replica=f"r{t:.0f}") for t in (1.0, 2.0)),
        *(RequestRow(3, t, replica=f"r{t:.0f}") for t in (1.0, 2.0, 3.0)),
        RequestRow(4, 1.0),
        RequestRow(4, 2.0, "failed", None, None),
    ]
    assert _sessions(rows).moved == 2


def test_a_session_with_wrong_content_counts_once() -> None:
    rows = [RequestRow(n, t, anomaly="wrong" if n < 3 else "none") for n in (1, 2, 3) for t in (1.0, 2.0)]
    assert _sessions(rows).wrong == 2


def test_what_no_explanation_fits_is_counted_by_session_and_by_write() -> None:
    verdicts = [SessionVerdict(1, unexplained=2), SessionVerdict(2, unexplained=3), SessionVerdict(3)]
    arm = fold(observed(WROTE, judgements=verdicts))
    assert (arm.sessions.unexplained, arm.writes.unexplained) == (2, 5)


def test_without_a_fault_that_takes_state_away_there_is_no_theory_to_compare_with() -> None:
    arm = fold(observed(WROTE, judgements=[_lost(1)]))
    assert (arm.sessions.at_risk, arm.sessions.lost_not_at_risk, arm.sessions.at_risk_not_lost) == (0, None, None)
    assert arm.writes.lost_not_at_risk is None


def test_the_lost_are_compared_with_those_at_risk_one_by_one() -> None:
    safe = [RequestRow(n, 3.0, op=n) for n in (4, 5)]
    verdicts = [_lost(1), SessionVerdict(2), SessionVerdict(3), _lost(4, "b0", "b2"), SessionVerdict(5)]
    figures = _sessions([*WROTE, *safe], *verdicts, events=KILL)
    assert (figures.at_risk, figures.lost) == (3, 2)
    assert (figures.lost_not_at_risk, figures.at_risk_not_lost) == (1, 2)


def test_a_session_at_risk_of_which_nothing_is_known_is_left_out() -> None:
    verdicts = [_lost(1), SessionVerdict(2, unknown=True), SessionVerdict(3)]
    figures = _sessions(WROTE, *verdicts, events=KILL)
    assert (figures.at_risk, figures.at_risk_not_lost) == (2, 1)


@pytest.mark.parametrize("boot", [None, "of its own"])
def test_without_a_known_replica_in_any_reply_nobody_knows_who_was_at_risk(boot: str | None) -> None:
    rows = [replace(row, boot=boot) for row in WROTE]
    lost = _lost(1, outcome=SessionOutcome.LOST)
    seen = observed(rows, KILL, [lost, SessionVerdict(2), SessionVerdict(3)])
    arm = fold(seen)
    assert (arm.sessions.lost, arm.sessions.at_risk) == (1, None)
    assert [session.at_risk for session in find_notable_sessions([seen])] == [None]
    assert arm.sessions.lost_not_at_risk is arm.sessions.at_risk_not_lost is arm.writes.lost_not_at_risk is None


def test_a_victim_that_nobody_was_on_put_nobody_at_risk() -> None:
    ready = Event(0.0, EventKind.REPLICA_READY, "r0", {"boot": "b0"})
    figures = _sessions([RequestRow(1, 3.0, op=1)], SessionVerdict(1), events=[ready, *KILL])
    assert (figures.at_risk, figures.lost_not_at_risk, figures.at_risk_not_lost) == (0, 0, 0)


def _returned_empty(session: int) -> SessionVerdict:
    """Lost at 7 s to the empty replica that had come back at 6 s."""
    loss = Loss(7 * 10**9, "x", "y", "b0", "b1'", 2, known_ns=3 * 10**9)
    return SessionVerdict(session, lost=True, losses=(loss,), lost_writes=2)


def test_a_loss_to_a_replica_that_came_back_empty_need_not_have_been_at_risk() -> None:
    rows = [*WROTE, RequestRow(4, 3.0, op=4), RequestRow(5, 3.0, op=5)]
    verdicts = [_lost(1), _lost(2), _lost(3), _returned_empty(4), SessionVerdict(5)]
    arm = fold(observed(rows, KILL, verdicts))
    assert arm.sessions.lost_by_cause == {"killed": 3, "returned_empty": 1}
    assert (arm.sessions.lost, arm.sessions.lost_not_at_risk, arm.writes.lost_not_at_risk) == (4, 0, 0)


def test_writes_lost_by_sessions_that_were_not_at_risk_are_counted() -> None:
    rows = [*WROTE, RequestRow(4, 3.0, op=4), RequestRow(5, 3.0, op=5)]
    moved = _lost(4, "b0", "b2", writes=3)
    verdicts = [_lost(1, writes=5), moved, replace(moved, writer=2, lost_writes=4), SessionVerdict(5, lost_writes=1)]
    assert fold(observed(rows, KILL, verdicts)).writes.lost_not_at_risk == 8
    assert fold(observed([], KILL, verdicts)).writes.lost_not_at_risk is None, "without records nobody knows"


def test_writes_are_summed_over_all_writers() -> None:
    one = SessionVerdict(1, acknowledged=10, lost_writes=2, duplicates=3, in_doubt=4, recovered=1, unexplained=5)
    figures = fold(observed(WROTE, judgements=[one, replace(one, writer=2), replace(one, session=2)])).writes
    assert figures == WriteFigures(30, 6, 9, 12, 3, 15, None)


def _writes(rows: Sequence[RequestRow], effects: Sequence[Effect], *verdicts: SessionVerdict) -> WriteFigures:
    return fold(observed(rows, judgements=verdicts, effects=effects)).writes


def test_an_effect_is_repeated_if_the_same_thing_was_done_twice_for_one_operation() -> None:
    effects = [Effect(1, "order"), Effect(1, "mail"), Effect(2, "order"), Effect(2, "order"), Effect(2, "order")]
    assert _writes(WROTE, effects).duplicated == 1


def test_a_repeated_effect_that_the_state_shows_already_is_not_counted_again() -> None:
    effects = [Effect(n, "order") for n in (1, 1, 2, 2)]
    assert _writes(WROTE, effects, SessionVerdict(1, duplicates=1), SessionVerdict(2)).duplicated == 2
    assert _writes(WROTE, [*effects, Effect(77, "order"), Effect(77, "order")]).duplicated == 3, "of no known session"


def test_an_acknowledged_write_is_missing_if_others_of_its_name_are_in_the_journal() -> None:
    rows = [*WROTE, RequestRow(4, 3.0, op=4, outcome="in_doubt"), RequestRow(5, 3.0)]
    assert _writes(rows, [Effect(1, "order")]).lost == 2
    assert _writes(rows, [Effect(9, "order")]).lost == 0, "nothing shows which kinds are recorded"
    assert _writes(rows, []).lost == 0
