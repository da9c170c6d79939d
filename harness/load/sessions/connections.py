"""The connections of one session: as many as a browser opens to one host."""

from harness.load.http.event_loop import Connection, EventLoop, ExchangeHandler, Failure
from harness.load.http.response import Response

#: Browsers open six connections to a host over HTTP/1.1.
MAX_CONNECTIONS = 6


class _Ignoring:
    """Takes the rest of a response that has served its purpose: a redirect that is followed at its head."""

    def on_response(self, response: Response, t_end: int) -> None:
        """Nothing is left to do."""

    def on_head(self, response: Response, now: int) -> None:
        """Nothing is left to do."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Nobody waits for it."""


_IGNORING = _Ignoring()


class SessionConnections:
    """The connections of one session. The first is there from the beginning, others when they are needed."""

    __slots__ = ("_all", "_loop", "_timeout_ns", "first")

    def __init__(self, loop: EventLoop, handler: ExchangeHandler, timeout_ns: int) -> None:
        self._loop = loop
        self._timeout_ns = timeout_ns
        self.first = Connection(loop, handler, timeout_ns)
        self._all = [self.first]

    @property
    def busy(self) -> bool:
        """Whether an exchange is in progress on any of them."""
        return any(connection.busy for connection in self._all)

    def take(self, handler: ExchangeHandler) -> Connection | None:
        """An idle connection for ``handler``, or a new one; None if all are busy and no more may be opened."""
        connection = next((connection for connection in self._all if not connection.busy), None)
        if connection is None:
            if len(self._all) >= MAX_CONNECTIONS:
                return None
            connection = Connection(self._loop, handler, self._timeout_ns)
            self._all.append(connection)
        connection.handler = handler
        return connection

    def make_first(self, connection: Connection) -> None:
        """Let another connection be the first; what is still under way on the previous one concerns nobody."""
        if self.first.busy:
            self.first.handler = _IGNORING
        self.first = connection

    def close(self) -> None:
        """Close all of them."""
        for connection in self._all:
            connection.close()

    def abandon(self, now: int) -> None:
        """End what is in progress on them as if it had timed out."""
        for connection in self._all:
            connection.abandon(now)
