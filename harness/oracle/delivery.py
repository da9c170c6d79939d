"""The messages of a room: for each session in it, how many were due, and how many of them it received.

A message is due to a session if another session of the same room sent it after this one had joined, if it was
acknowledged, and if this session was still there ``GRACE_NS`` later (connected, or between two connections). Due
messages must be received once, and those of one sender in the order in which they were sent. A message that was not
acknowledged may or may not be received.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

#: The longest time that an acknowledged message may take to arrive.
GRACE_NS = 2_000_000_000
_NEVER = 2**62

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Delivery:
    """What one session received of its room."""

    session: int
    due: int
    lost: int  # due, but never received
    missed: int  # the lost ones sent while it had no connection, or had one that was about to break
    repeated: int  # received again
    disordered: int  # received for the first time after a later message of the same sender

    def __post_init__(self) -> None:
        """Check that the parts do not exceed the whole."""
        if not 0 <= self.missed <= self.lost <= self.due:
            raise ValueError(f"{self.missed} missed of {self.lost} lost of {self.due} due")


@dataclass(frozen=True)
class Sent:
    """The n messages of one room, in the order in which they were sent; each array is of shape (n,)."""

    op: npt.NDArray[np.uint64]
    sender: Ints
    sent: Ints  # ns from T0
    acknowledged: Ints  # ns from T0; ``_NEVER`` if it was not acknowledged

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "Sent":
        """Gather them from the records of their sending."""
        ordered = rows.sort_values("t_sent", kind="stable")
        ended, ok = ordered["t_end"].to_numpy(), np.asarray(ordered["outcome"] == "ok")
        return cls(
            ordered["op"].to_numpy(np.uint64),
            ordered["session"].to_numpy(np.int64),
            ordered["t_sent"].to_numpy(),
            np.where(ok, ended, _NEVER),
        )


@dataclass(frozen=True)
class Presence:
    """When a session was connected, in ns from T0: the i-th connection from ``since[i]`` until ``until[i]``."""

    since: tuple[int, ...]
    until: tuple[int, ...]

    def was_connected(self, begin: Ints, end: Ints) -> npt.NDArray[np.bool_]:
        """Whether one connection lasted from each start to its end; all arrays have shape (n,), in ns from T0."""
        is_connected = np.zeros(len(begin), dtype=bool)
        for since, until in zip(self.since, self.until, strict=True):
            is_connected |= (begin >= since) & (end <= until)
        return is_connected


def judge_deliveries(requests: pd.DataFrame, rooms: Mapping[int, str]) -> tuple[Delivery, ...]:
    """Judge every session of a room from the records of an arm (``ArmObservations.requests``)."""
    method = requests["method"].astype(object).to_numpy()
    written = requests["op"].to_numpy() != 0
    sends, receipts = requests[(method == "SEND") & written], requests[(method == "RECEIVE") & written]
    present = find_presences(requests[(method == "OPEN") | (method == "CLOSE")])
    received = {int(session): rows["op"].to_numpy(np.uint64) for session, rows in receipts.groupby("session")}
    return tuple(_judge_rooms(sends, received, present, rooms))


def _judge_rooms(
    sends: pd.DataFrame,
    received: Mapping[int, npt.NDArray[np.uint64]],
    present: Mapping[int, Presence],
    rooms: Mapping[int, str],
) -> Iterator[Delivery]:
    members: dict[str, list[int]] = defaultdict(list)
    for session, room in rooms.items():
        members[room].append(session)
    by_room = sends.groupby(sends["session"].map(rooms))
    sent = {str(room): Sent.from_rows(rows) for room, rows in by_room}
    nothing = Sent.from_rows(sends.iloc[:0])
    for room, sessions in members.items():
        for session in sorted(sessions):
            if session in present:
                got = received.get(session, nothing.op)
                yield judge_delivery(session, sent.get(room, nothing), got, present[session])


def find_presences(rows: pd.DataFrame) -> dict[int, Presence]:
    """The connections of each session, from the records of their start and their end."""
    by_session: dict[int, Presence] = {}
    columns = ("session", "method", "status", "t_end")
    for session, group in rows[list(columns)].sort_values("t_end", kind="stable").groupby("session"):
        since: list[int] = []
        until: list[int] = []
        for method, status, t_end in zip(group["method"], group["status"], group["t_end"], strict=True):
            if method == "OPEN" and status in (101, 200):
                until += [t_end] * (len(since) - len(until))  # an unrecorded end was here at the latest
                since.append(int(t_end))
            elif method == "CLOSE" and len(until) < len(since):
                until.append(int(t_end))
        if since:
            until += [_NEVER] * (len(since) - len(until))
            by_session[int(cast("int", session))] = Presence(tuple(since), tuple(until))
    return by_session


def judge_delivery(session: int, sent: Sent, received: npt.NDArray[np.uint64], present: Presence) -> Delivery:
    """Compare what one session received (operation ids in order, shape (n,)) with what others sent in its room."""
    joined, left = present.since[0], max(present.until)
    others = sent.sender != session
    due = others & (sent.sent >= joined) & (sent.acknowledged <= left - GRACE_NS)
    lost = due & ~np.isin(sent.op, received)
    begin, end = sent.sent[lost], sent.acknowledged[lost] + GRACE_NS
    missed = int((~present.was_connected(begin, end)).sum())
    repeated, disordered = _count_disorder(sent, received, others)
    return Delivery(session, int(due.sum()), int(lost.sum()), missed, repeated, disordered)


def _count_disorder(sent: Sent, received: npt.NDArray[np.uint64], others: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """How many messages of others were received again, and how many were first received after a later one."""
    place = {op: index for index, op in enumerate(sent.op.tolist()) if others[index]}
    latest: dict[int, int] = {}
    known: set[int] = set()
    repeated = disordered = 0
    for op in received.tolist():
        index = place.get(op)
        if index is None:
            continue
        if index in known:
            repeated += 1
            continue
        known.add(index)
        sender = int(sent.sender[index])
        disordered += index < latest.get(sender, -1)
        latest[sender] = max(index, latest.get(sender, -1))
    return repeated, disordered


def total(deliveries: Sequence[Delivery], what: str) -> int:
    """The sum of one count over all sessions."""
    return sum(getattr(delivery, what) for delivery in deliveries)
