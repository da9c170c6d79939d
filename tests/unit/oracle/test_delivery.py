"""The judge of messages: it finds what was seeded, and raises no alarm where nothing was."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.oracle.delivery import GRACE_NS, Delivery, judge_deliveries, total

S = 1_000_000_000
ROOM = {1: "a", 2: "a", 3: "a", 4: "b"}


@dataclass(frozen=True)
class Row:
    """One record, in seconds."""

    session: int
    method: str
    t: float
    op: int = 0
    took: float = 0.001
    outcome: str = "ok"
    status: int = 101


@dataclass
class World:
    """Rooms as they ought to be: all are there from the first second on, and hear each other at once."""

    rooms: dict[int, str] = field(default_factory=lambda: dict(ROOM))
    until: float = 20.0
    rows: list[Row] = field(default_factory=list)
    ops: int = 0

    def say(self, session: int, t: float, outcome: str = "ok", delay: float = 0.002) -> int:
        """A message, received by all others in the room; its id."""
        self.ops += 1
        self.rows.append(Row(session, "SEND", t, self.ops, outcome=outcome))
        others = [other for other, room in self.rooms.items() if room == self.rooms[session] and other != session]
        self.rows += [Row(other, "RECEIVE", t + delay, self.ops) for other in others]
        return self.ops

    def judged(self) -> dict[int, Delivery]:
        ends = [Row(session, "OPEN", 0.5) for session in self.rooms] + [
            Row(session, "CLOSE", self.until, status=0) for session in self.rooms
        ]
        return {delivery.session: delivery for delivery in judge_deliveries(frame([*ends, *self.rows]), self.rooms)}

    def drop(self, hearer: int, op: int) -> None:
        self.rows = [row for row in self.rows if (row.session, row.method, row.op) != (hearer, "RECEIVE", op)]

    def hearing(self, hearer: int, op: int) -> Row:
        return next(row for row in self.rows if (row.session, row.method, row.op) == (hearer, "RECEIVE", op))


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    ordered = sorted(rows, key=lambda row: row.t + (row.took if row.method in ("SEND", "OPEN") else 0))
    return pd.DataFrame(
        [
            {
                "session": row.session,
                "op": row.op,
                "method": row.method,
                "status": row.status,
                "outcome": row.outcome,
                "t_sent": int(row.t * S),
                "t_end": int((row.t + (row.took if row.method in ("SEND", "OPEN") else 0)) * S),
                "reconnected": 0,
            }
            for row in ordered
        ]
    ).astype(dict.fromkeys(("method", "outcome"), "category"))


def counts(delivery: Delivery) -> tuple[int, int, int, int, int]:
    return delivery.due, delivery.lost, delivery.missed, delivery.repeated, delivery.disordered


def test_what_all_received_is_due_and_nothing_is_wrong() -> None:
    world = World()
    for n in range(10):
        world.say(1 + n % 3, 1 + n)
    assert {session: counts(delivery) for session, delivery in world.judged().items()} == {
        1: (6, 0, 0, 0, 0),
        2: (7, 0, 0, 0, 0),
        3: (7, 0, 0, 0, 0),
        4: (0, 0, 0, 0, 0),
    }


def test_what_a_session_did_not_hear_is_lost_to_it() -> None:
    world = World()
    ops = [world.say(1, 1 + n) for n in range(5)]
    world.drop(2, ops[2])
    deliveries = world.judged()
    assert counts(deliveries[2]) == (5, 1, 0, 0, 0) and counts(deliveries[3]) == (5, 0, 0, 0, 0)


def test_a_session_that_received_nothing_lost_all() -> None:
    world = World()
    for n in range(5):
        world.drop(2, world.say(1, 1 + n))
    assert counts(world.judged()[2]) == (5, 5, 0, 0, 0)


def test_what_was_received_twice_is_repeated_and_late_is_disordered() -> None:
    world = World()
    ops = [world.say(1, 1 + n) for n in range(5)]
    again = world.hearing(2, ops[1])
    world.rows.append(replace(again, t=8))
    late = world.hearing(3, ops[0])
    world.rows[world.rows.index(late)] = replace(late, t=2.5)
    deliveries = world.judged()
    assert counts(deliveries[2]) == (5, 0, 0, 1, 0) and counts(deliveries[3]) == (5, 0, 0, 0, 1)


def test_messages_of_two_senders_have_no_order_between_them() -> None:
    world = World()
    first, _ = world.say(1, 1), world.say(2, 1.1)
    row = world.hearing(3, first)
    world.rows[world.rows.index(row)] = replace(row, t=5)
    assert counts(world.judged()[3]) == (2, 0, 0, 0, 0)


@pytest.mark.parametrize("outcome", ["in_doubt", "failed"])
@pytest.mark.parametrize("received", [True, False])
def test_what_was_not_acknowledged_may_be_received_or_not(outcome: str, received: bool) -> None:
    world = World()
    op = world.say(1, 1, outcome=outcome)
    if not received:
        world.drop(2, op)
    assert counts(world.judged()[2]) == (0, 0, 0, 0, 0)


def test_what_was_sent_before_a_session_joined_or_just_before_it_left_is_not_due() -> None:
    world = World()
    for t in (0.2, 0.5, world.until - 0.5, world.until - GRACE_NS / S):
        world.drop(2, world.say(1, t))
    assert counts(world.judged()[2]) == (0, 0, 0, 0, 0)


def absent(world: World, session: int, ended: float, back: float) -> None:
    world.rows += [Row(session, "CLOSE", ended, outcome="in_doubt", status=1006), Row(session, "OPEN", back)]


def test_what_was_sent_while_a_session_was_away_is_missed_unless_it_was_sent_again() -> None:
    world = World()
    absent(world, 2, 5.0, 7.0)
    absent(world, 3, 5.0, 7.0)
    before, about, away, after = (world.say(1, t) for t in (2.0, 4.9, 6.0, 9.0))
    for op in (about, away):
        world.drop(2, op)
        row = world.hearing(3, op)
        world.rows[world.rows.index(row)] = replace(row, t=7.5)
    deliveries = world.judged()
    assert counts(deliveries[2]) == (4, 2, 2, 0, 0) and counts(deliveries[3]) == (4, 0, 0, 0, 0)
    world.drop(2, before)
    world.drop(2, after)
    assert counts(world.judged()[2]) == (4, 4, 2, 0, 0), "the others were lost while it was connected"


def test_a_session_that_never_came_back_is_due_nothing_more() -> None:
    world = World(until=6.0)
    world.rooms = {1: "a", 2: "a"}
    world.say(1, 2.0)
    assert counts(world.judged()[2]) == (1, 0, 0, 0, 0)
    world.rows += [Row(1, "OPEN", 7.0), Row(1, "CLOSE", 10.0, status=0)]
    world.drop(2, world.say(1, 8.0))
    assert counts(world.judged()[2]) == (1, 0, 0, 0, 0)


def test_a_session_that_was_refused_or_has_no_room_is_not_judged() -> None:
    rows = [Row(1, "OPEN", 1, status=503, outcome="in_doubt"), Row(2, "OPEN", 1), Row(3, "OPEN", 1)]
    assert [delivery.session for delivery in judge_deliveries(frame(rows), {1: "a", 2: "a"})] == [2]


def lived(seed: int, replay: bool) -> World:
    """A history with absences, doubts and delays as is legal; a session that was away hears the rest later."""
    rng, world = random.Random(seed), World()
    world.rooms = {session: "abc"[session % 3] for session in range(1, 13)}
    gone: dict[int, tuple[float, float]] = {}
    for session in rng.sample(sorted(world.rooms), 4):
        ended = rng.uniform(3, 12)
        gone[session] = ended, ended + rng.uniform(0.05, 2)
        absent(world, session, *gone[session])
    clocks = {session: rng.uniform(0.6, 1.5) for session in world.rooms}

    def replayed(row: Row) -> Row | None:
        """What comes while the hearer is away, and in the first moments after that while it hears the rest."""
        ended, back = gone.get(row.session, (0.0, 0.0))
        if row.method != "RECEIVE" or not ended <= row.t <= back + (0.02 if replay else 0):
            return row
        return replace(row, t=back + 0.019 + row.op * 1e-6) if replay else None

    for _ in range(120):
        session = rng.choice(sorted(world.rooms))
        t = clocks[session] = clocks[session] + rng.uniform(0.01, 2.0)
        if t < world.until:
            before = len(world.rows)
            world.say(session, t, rng.choice(["ok"] * 9 + ["in_doubt"]), delay=rng.uniform(0, 0.005))
            world.rows[before:] = [row for row in map(replayed, world.rows[before:]) if row is not None]
    return world


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_no_legal_history_raises_an_alarm(seed: int) -> None:
    deliveries = lived(seed, replay=True).judged()
    assert all(counts(delivery)[1:] == (0, 0, 0, 0) for delivery in deliveries.values())
    assert sum(delivery.due for delivery in deliveries.values()) > 0


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_without_a_history_only_what_was_sent_while_away_is_lost(seed: int) -> None:
    deliveries = lived(seed, replay=False).judged()
    assert all(
        delivery.lost == delivery.missed and delivery.repeated == delivery.disordered == 0
        for delivery in deliveries.values()
    )


def _lose(world: World, row: Row) -> None:
    world.rows.remove(row)


def _repeat(world: World, row: Row) -> None:
    world.rows.append(replace(row, t=row.t + 0.5))


def _delay(world: World, row: Row) -> None:
    """Behind the next one of the same sender."""
    sender = {r.op: r.session for r in world.rows if r.method == "SEND"}
    later = [
        r
        for r in world.rows
        if r.method == "RECEIVE" and r.session == row.session and sender[r.op] == sender[row.op] and r.op > row.op
    ]
    world.rows[world.rows.index(row)] = replace(row, t=min(later, key=lambda r: r.op).t + 0.001)


@pytest.mark.parametrize(
    ("bug", "what"), [(_lose, "lost"), (_repeat, "repeated"), (_delay, "disordered")], ids=["lost", "repeated", "late"]
)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_every_seeded_bug_is_counted_as_such(bug: Callable[[World, Row], None], what: str, seed: int) -> None:
    world, rng = lived(seed, replay=True), random.Random(seed)
    sent = {row.op: row for row in world.rows if row.method == "SEND"}
    last: dict[tuple[int, int], int] = {}
    for row in world.rows:
        if row.method == "RECEIVE":
            pair = (row.session, sent[row.op].session)
            last[pair] = max(last.get(pair, 0), row.op)
    chosen = [
        row
        for row in world.rows
        if row.method == "RECEIVE"
        and sent[row.op].outcome == "ok"
        and sent[row.op].t > 0.6
        and sent[row.op].t < world.until - 2.5
        and last[row.session, sent[row.op].session] > row.op
    ]
    for row in (picked := rng.sample(chosen, min(3, len(chosen)))):
        bug(world, row)
    deliveries = world.judged()
    counted = sum(getattr(delivery, what) for delivery in deliveries.values())
    others = {"lost", "repeated", "disordered"} - {what}
    assert sum(getattr(delivery, other) for delivery in deliveries.values() for other in others) == 0
    assert counted == len(picked) if what != "disordered" else 0 < counted <= len(picked)


def test_counts_that_exceed_their_whole_are_refused() -> None:
    assert Delivery(1, due=1, lost=1, missed=1, repeated=0, disordered=0)
    for due, lost, missed in ((1, 2, 0), (2, 1, 2), (2, 1, -1)):
        with pytest.raises(ValueError, match="missed of"):
            Delivery(1, due, lost, missed, 0, 0)


def one(*rows: Row, rooms: dict[int, str] | None = None) -> Delivery:
    """What the second of two sessions in a room received; the first is there throughout."""
    there = [Row(1, "OPEN", 0.0, took=0.0), Row(1, "CLOSE", 20.0, status=0)]
    (_, second) = judge_deliveries(frame([*there, *rows]), rooms or {1: "a", 2: "a"})
    return second


@pytest.mark.parametrize(("sent", "due"), [(0.9, 0), (1.0, 1), (1.1, 1)])
def test_a_message_is_due_if_it_was_sent_once_the_hearer_had_joined(sent: float, due: int) -> None:
    rows = [Row(2, "OPEN", 1.0, took=0.0), Row(2, "CLOSE", 15.0, status=0), Row(1, "SEND", sent, 1, took=0.0)]
    assert one(*rows).due == due


@pytest.mark.parametrize(("left", "due"), [(6.9, 0), (7.0, 1), (7.1, 1)])
def test_a_message_is_due_if_the_hearer_was_there_two_seconds_after_its_acknowledgement(left: float, due: int) -> None:
    rows = [Row(2, "OPEN", 1.0, took=0.0), Row(2, "CLOSE", left, status=0), Row(1, "SEND", 4.5, 1, took=0.5)]
    assert one(*rows).due == due


@pytest.mark.parametrize("status", [101, 200])
def test_a_connection_or_an_event_stream_makes_a_session_present(status: int) -> None:
    rows = [Row(2, "OPEN", 1.0, status=status), Row(1, "SEND", 4.0, 1)]
    assert one(*rows).due == 1, "an end that was not recorded comes last"
    assert len(judge_deliveries(frame([Row(2, "OPEN", 1.0, status=503)]), {2: "a"})) == 0


@pytest.mark.parametrize(
    ("ended", "back", "missed"),
    [(3.9, 4.6, 1), (4.0, 4.5, 1), (6.4, 6.6, 1), (6.5, 7.0, 0), (2.0, 4.0, 0), (2.0, 4.1, 1)],
)
def test_a_lost_message_was_missed_unless_one_connection_lasted_until_it_had_to_arrive(
    ended: float, back: float, missed: int
) -> None:
    away = [Row(2, "CLOSE", ended, status=1006), Row(2, "OPEN", back, took=0.0)]
    delivery = one(Row(2, "OPEN", 1.0, took=0.0), *away, Row(1, "SEND", 4.0, 1, took=0.5))
    assert (delivery.lost, delivery.missed) == (1, missed)


def test_a_second_opening_ends_the_connection_before_it_and_a_second_end_changes_nothing() -> None:
    opened = [Row(2, "OPEN", 1.0, took=0.0), Row(2, "OPEN", 5.0, took=0.0)]
    assert one(*opened, Row(1, "SEND", 4.0, 1, took=0.0)).missed == 1
    ended = [Row(2, "CLOSE", 9.0, status=1006), Row(2, "CLOSE", 10.0, status=1006)]
    assert one(*opened, *ended, Row(1, "SEND", 7.5, 1, took=0.0)).due == 0, "it left at nine"


def test_messages_of_other_rooms_and_ones_own_are_not_due() -> None:
    rows = [Row(2, "OPEN", 1.0), Row(3, "OPEN", 1.0), Row(2, "SEND", 4.0, 1), Row(3, "SEND", 4.0, 2)]
    assert one(*rows).due == 0
    without_id = one(Row(2, "OPEN", 1.0), Row(1, "SEND", 4.0, 0), Row(2, "RECEIVE", 4.1, 0))
    assert (without_id.due, without_id.repeated) == (0, 0)


def test_each_repetition_and_each_message_behind_a_later_one_is_counted() -> None:
    sent = [Row(1, "SEND", float(n), n) for n in (2, 3, 4, 5)]
    got = [Row(2, "RECEIVE", 6 + n / 10, op) for n, op in enumerate((3, 5, 2, 4, 3, 3, 99))]
    delivery = one(Row(2, "OPEN", 1.0), *sent, *got)
    assert counts(delivery) == (4, 0, 0, 2, 2)


def test_the_total_is_over_all_sessions() -> None:
    deliveries = [Delivery(1, 5, 2, 1, 3, 0), Delivery(2, 7, 0, 0, 1, 4)]
    assert [total(deliveries, what) for what in ("due", "lost", "missed", "repeated", "disordered")] == [12, 2, 1, 4, 4]
