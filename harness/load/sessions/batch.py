"""Requests that a session sends at once, as a page does: each on a connection of its own, six at most.

All share the session's cookies, as those are when each is sent. Requests that are open together happen in any order, so
a reply shows nothing that the ledger could compare if the batch writes: the next read shows what became of it.
"""

from collections.abc import Sequence
from typing import Protocol

from harness.common.errors import UsageError
from harness.load.http.client import Request, observe_nothing
from harness.load.http.event_loop import Connection, Failure
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.sessions.behaviour import Behaviour
from harness.load.sessions.connections import SessionConnections
from harness.load.sessions.context import LoadContext
from harness.load.sessions.request import PreparedRequest
from harness.load.sessions.stand_in import StandIn
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.ledger import Ledger

#: Models whose state depends on the order of the writes, which nobody knows of writes that are open together.
_ORDERED_MODELS = ("register", "log")


class BatchOwner(Protocol):
    """The session that a batch belongs to, as far as the batch knows it."""

    context: LoadContext
    user: Behaviour
    ledger: Ledger
    connections: SessionConnections
    retired: bool
    requests: int

    def prepare(self, request: Request, now: int) -> PreparedRequest:
        """A request as the session sends it now."""

    def transmit(self, connection: Connection, prepared: PreparedRequest, op: int, now: int) -> None:
        """Send a request on a connection."""

    def understand(
        self, prepared: PreparedRequest, op: int, reply: Response, t_end: int
    ) -> tuple[Outcome, Anomaly, PreparedRequest | None]:
        """Classify a reply; also returns the request that follows, if any."""

    def understand_failure(self, op: int, sent: int, t_end: int) -> tuple[Outcome, Anomaly]:
        """What it means that no reply came."""

    def record(  # noqa: PLR0917 - as the session's
        self,
        connection: Connection,
        prepared: PreparedRequest,
        op: int,
        reply: Response,
        outcome: Outcome,
        anomaly: Anomaly,
        t_intended: int,
        t_end: int,
        *,
        failure: str = "",
    ) -> None:
        """Record one request that is over."""

    def resume_after(self, batch: "Batch", now: int) -> None:
        """Go on after the last of the batch's requests."""


class Batch(StandIn[BatchOwner]):
    """Several requests as one step of a session. It acts in place of the session, so a workload treats it as one."""

    def __init__(self, session: BatchOwner, requests: Sequence[Request]) -> None:
        """Take the requests.

        Raises:
            UsageError: there is none, something else is among them, or writes whose order matters.
        """
        if not requests or any(type(request) is not Request for request in requests):
            raise UsageError("a session yields one step, or a list of requests to send at once")
        writes = sum(request.writes is not None for request in requests)
        if writes > 1 and session.ledger.model_name in _ORDERED_MODELS:
            raise UsageError(
                f"the order of writes sent at once is unknown, and the model {session.ledger.model_name} depends on it",
                "yield them one after another, or use models.items or models.counter",
            )
        self.session = session
        self.t_intended = 0
        self.replies: list[Response] = [NO_RESPONSE] * len(requests)
        self._hidden = writes > 0 or session.ledger.has_doubts
        self._requests = list(requests)
        self._begun = self._ended = 0

    def wake(self, now: int) -> None:
        """Send after a pause."""
        self.send(now)

    def send(self, now: int) -> None:
        """Send as many of the requests as there are connections; the others follow as these are answered."""
        session = self.session
        while self._begun < len(self._requests) and not (session.context.stopping or session.retired):
            member = _Member(self, self._begun)
            connection = session.connections.take(member)
            if connection is None:
                return
            self._begun += 1
            connection.probe()
            member.begin(connection, self._requests[self._begun - 1], now)

    def begin_write(self, request: Request) -> int:
        """The id of the write that a request makes, 0 for none; it stays open beside the others."""
        if request.writes is None:
            return 0
        op = self.session.ledger.write(request.writes)
        self.session.ledger.set_aside()
        return op

    def shown(self, request: Request) -> Request:
        """The request as its reply is to be understood."""
        return request._replace(reads=observe_nothing) if self._hidden else request

    def finish(self, index: int, reply: Response, now: int) -> None:
        """Take the reply to one of the requests; the session goes on after the last."""
        self.replies[index] = reply
        self._ended += 1
        self.send(now)
        if self._ended == self._begun:  # no further one may be sent
            self.session.resume_after(self, now)


class _Member:
    """One request of a batch, with its redirects."""

    __slots__ = ("_batch", "_connection", "_index", "_op", "_prepared", "_t_intended")

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index
        self._op = self._t_intended = 0
        self._prepared: PreparedRequest | None = None
        self._connection: Connection | None = None

    def begin(self, connection: Connection, request: Request, now: int) -> None:
        """Send the request; one that cannot be sent is answered by no response."""
        batch, session = self._batch, self._batch.session
        self._connection, self._t_intended = connection, batch.t_intended
        try:
            self._prepared = session.prepare(batch.shown(request), now)
        except ValueError as problem:
            session.context.log_once("a request cannot be sent", problem)
            session.context.event_loop.call_at(0, lambda later: batch.finish(self._index, NO_RESPONSE, later))
            return
        self._op = batch.begin_write(request)
        session.transmit(connection, self._prepared, self._op, now)

    def on_response(self, reply: Response, t_end: int) -> None:
        """Classify and record the reply, and follow it where it leads."""
        session, connection, prepared = self._batch.session, self._connection, self._prepared
        assert connection is not None and prepared is not None  # noqa: S101 - a reply answers a request
        try:
            outcome, anomaly, hop = session.understand(prepared, self._op, reply, t_end)
        except Exception as problem:  # whatever a service sends, it ends no more than this request
            session.context.log_once("a reply cannot be understood", problem)
            self.on_failure(Failure.PROTOCOL_ERROR, t_end)
            return
        moves = hop is not None and hop.request.writes is not None
        op = 0 if moves else self._op
        session.record(connection, prepared, op, reply, outcome, anomaly, self._t_intended, t_end)
        if hop is None:
            self._batch.finish(self._index, reply, t_end)
        else:
            self._prepared, self._t_intended = hop, t_end
            self._op = self._op if moves else 0
            session.transmit(connection, hop, self._op, t_end)

    def on_head(self, reply: Response, now: int) -> None:
        """Wait for the whole redirect: a batch may need every connection."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Record that no reply came."""
        session, connection, prepared = self._batch.session, self._connection, self._prepared
        assert connection is not None and prepared is not None  # noqa: S101 - it was sent
        outcome, anomaly = session.understand_failure(self._op, connection.sent, t_end)
        times = self._t_intended, t_end
        session.record(connection, prepared, self._op, NO_RESPONSE, outcome, anomaly, *times, failure=failure.value)
        self._batch.finish(self._index, NO_RESPONSE, t_end)
