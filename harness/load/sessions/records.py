"""How an exchange becomes a record."""

from typing import NamedTuple

from harness.load.http.event_loop import Connection
from harness.load.http.response import Response
from harness.load.sessions.context import LoadContext
from harness.load.sessions.request import PreparedRequest
from harness.observations.requests import NO_TIME, Anomaly, Outcome


class RecordKey(NamedTuple):
    """What a record is counted under, by numbers."""

    name: int
    method: int


class MessageTiming:
    """What is recorded of one message, under the names that a ``Connection`` has for it."""

    __slots__ = ("attempts", "received", "reconnected", "sent", "t_first", "t_sent")

    def __init__(self, now: int, sent: int = 0, received: int = 0, t_first: int = NO_TIME) -> None:
        self.attempts, self.reconnected = 1, 0
        self.t_sent, self.t_first = now, t_first
        self.sent, self.received = sent, received


def record(  # noqa: PLR0917 - made for every request
    context: LoadContext,
    number: int,
    timing: Connection | MessageTiming,
    key: PreparedRequest | RecordKey,
    op: int,
    reply: Response,
    outcome: Outcome,
    anomaly: Anomaly,
    phase: int,
    t_intended: int,
    t_end: int,
) -> None:
    """Pack one exchange of the session with this number, in the order of ``RECORD``."""
    recorder = context.recorder
    replica, boot = reply.head.record_ids or context.numbers_of(reply.head)
    recorder.pack(
        recorder.buffer,
        recorder.reserve(),
        number,
        number,  # the column ``writer``, which always equals ``session``
        op,
        key.name,
        key.method,
        outcome,
        anomaly,
        timing.attempts,
        timing.reconnected,
        phase,
        reply.status,
        replica,
        boot,
        t_intended,
        timing.t_sent,
        timing.t_first,
        t_end,
        timing.sent,
        timing.received,
    )
