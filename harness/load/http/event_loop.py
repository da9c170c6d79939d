"""The engine: many connections and timers over one epoll, for one greenlet.

gevent takes ``epoll`` away and patches sockets, so both are fetched back as they were. While there is something to do
the engine's greenlet keeps the process, but for a turn of the others every few milliseconds; when nothing is ready it
waits as they do, for the epoll's *own* descriptor, which is pollable. No greenlet is switched for a request. Every
callback runs in that greenlet. Times are ``time.monotonic_ns``.
"""

import contextlib
import enum
import errno
import gc
import heapq
import itertools
import socket as constants
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol

import gevent
from gevent import monkey
from gevent.socket import wait_read

from harness.common.errors import EnvironmentLacksError, UsageError
from harness.load.http.response import Response
from harness.load.http.target import IP_BIND_ADDRESS_NO_PORT, Target
from harness.load.http.tls import TlsSocket
from harness.load.http.wire import HeadCache, ProtocolError, ResponseReader

MS = 1_000_000
RECEIVE_BYTES = 65536
#: gevent's timers tick in milliseconds: the last stretch before a timer is waited for in select, which is finer.
FINE_WAIT_NS = 2 * MS
#: To be woken takes a thread about so long.
BUSY_WAIT_NS = 60_000
#: How long the engine may keep the other greenlets waiting.
MAX_TURN_NS = 5 * MS
#: Connections handled between two looks at the timers.
_BATCH = 64
READABLE, WRITABLE = 0x001, 0x004  # EPOLLIN, EPOLLOUT

_socket: Any = monkey.get_original("socket", "socket")
_select: Any = monkey.get_original("select", "select")


class Failure(enum.Enum):
    """How an exchange ended without a reply."""

    REFUSED = "connection refused"
    UNSENT = "not sent"
    TIMED_OUT = "timed out"
    RESET = "connection lost"
    PROTOCOL_ERROR = "garbled reply"
    NOT_TRUSTED = "no TLS connection that can be trusted"


class ExchangeHandler(Protocol):
    """Whoever sends by a lane."""

    def on_response(self, reply: Response, t_end: int) -> None:
        """The reply has come."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """No reply will come; ``lane.sent`` tells whether any byte of the request left."""


class Pollable(Protocol):
    """A connection that the engine watches: a lane, or what a lane has become."""

    def on_ready(self, event: int) -> None:
        """It can be read, or written, or has ended."""

    def close(self) -> None:
        """End it, at once."""


class EventLoop:
    """Lanes and timers, all to one target."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.in_flight = 0
        self.connections: dict[int, Pollable] = {}
        self.head_cache = HeadCache()
        self.outbox: list[Connection] = []
        self.epoll = _epoll()
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        self.closed = False
        self._yielded = 0

    def call_at(self, t_ns: int, call: Callable[[int], None]) -> None:
        """Call ``call(now)`` at this time, or in the next turn if it has passed; never from within this call."""
        heapq.heappush(self._timers, (t_ns, next(self._order), call))

    def run(self) -> None:
        """Handle what is ready and what is due, until ``close``."""
        try:
            while not self.closed:
                self.run_once()
                if monotonic_ns() - self._yielded > MAX_TURN_NS:
                    gevent.sleep(0)
                    self._yielded = monotonic_ns()
        finally:
            self.epoll.close()

    def run_once(self) -> None:
        """A batch of what is ready, then the timers that are due, then what they sent; where there is none, a rest.

        What is sent goes out in one burst: a server that is woken once works through it without sleeping in between.
        """
        ready, lanes, timers = self.epoll.poll(0, _BATCH), self.connections, self._timers
        for fd, event in ready:
            lane = lanes.get(fd)
            if lane is not None:  # closed earlier in this batch
                lane.on_ready(event)
        now = monotonic_ns()
        if timers and timers[0][0] <= now:
            self._fire(now)
        elif not ready and not self.outbox:
            self._rest(now)
        if self.outbox:
            sending, self.outbox = self.outbox, []
            for outgoing in sending:
                outgoing.flush()

    def _fire(self, now: int) -> None:
        due, timers = [], self._timers
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers))
        for _, _, call in due:
            call(now)

    def _rest(self, now: int) -> None:
        """Wait for something to be ready, or for the next timer; before that the clock is watched for a moment."""
        length = self._timers[0][0] - now - BUSY_WAIT_NS if self._timers else 1000 * MS
        epoll = self.epoll.fileno()
        if length < FINE_WAIT_NS:
            if length > 0:
                _select([epoll], [], [], length / 1e9)
        elif not _select([epoll], [], [], 0.001)[0]:
            self._wait(length - FINE_WAIT_NS)

    def _wait(self, length: int) -> None:
        """Wait as one greenlet among others: nothing was ready for a millisecond."""
        with contextlib.suppress(TimeoutError):
            wait_read(self.epoll.fileno(), timeout=max(0, length) / 1e9)
        self._yielded = monotonic_ns()

    def close(self) -> None:
        """Close every connection; ``run`` returns after its turn."""
        self.closed = True
        for lane in list(self.connections.values()):
            lane.close()


def tune_process() -> None:
    """What lives now lives as long as the process: spare the load the milliseconds of looking for garbage among it.

    And have this thread woken to the microsecond; by default Linux allows itself 50 of them.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):
        Path("/proc/thread-self/timerslack_ns").write_text("1")


def _epoll() -> Any:
    try:
        return monkey.get_original("select", "epoll")()
    except AttributeError as problem:
        raise EnvironmentLacksError("this system has no epoll", "sessions are driven on Linux") from problem


# States of a lane: plain numbers, since the hot path compares with them.
CLOSED, CONNECTING, HANDSHAKING, IDLE, SENDING, AWAITING = range(6)


class Connection:
    """One connection of one owner, and the one exchange that may be under way on it.

    What an exchange leaves to read: ``t_sent`` (the first send call), ``t_first`` (-1 where no byte came),
    ``attempts``, ``reconnected`` (1 where an earlier connection had ended), ``sent`` and ``received`` (bytes).
    """

    __slots__ = (
        "_armed",
        "_busy",
        "_data",
        "_deadline",
        "_engine",
        "_exchanges",
        "_goes_on",
        "_had_connection",
        "_inbox",
        "_method",
        "_owner",
        "_repeatable",
        "_sock",
        "_state",
        "_timeout",
        "attempts",
        "received",
        "reconnected",
        "sent",
        "t_first",
        "t_sent",
    )

    def __init__(self, engine: EventLoop, owner: ExchangeHandler, timeout_ns: int) -> None:
        self._engine = engine
        self._owner = owner
        self._timeout = timeout_ns
        self._sock: Any = None
        self._state = CLOSED
        self._inbox = ResponseReader(self._engine.head_cache)
        self._armed = self._busy = self._had_connection = self._repeatable = self._goes_on = False
        self._data = b""
        self._method = ""
        self._deadline = self._exchanges = 0
        self.attempts = self.reconnected = self.sent = self.received = self.t_sent = 0
        self.t_first = -1

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._busy

    def send(self, data: bytes, method: str, repeatable: bool, now: int, t_sent: int = 0) -> None:
        """Begin an exchange; ``repeatable`` ones are sent once more where a kept connection turns out to have ended.

        Where it goes on with one that was sent before, ``t_sent`` is when that was.
        """
        engine = self._engine
        engine.in_flight += 1
        self._busy = True
        self._data = data
        self._method = method
        self._repeatable = repeatable
        self.attempts = 1
        self.reconnected = 0
        self.sent = 0
        self.received = 0
        self.t_first = -1
        self._deadline = now + self._timeout
        if not self._armed:
            self._armed = True
            engine.call_at(self._deadline, self._on_deadline)
        self.t_sent = t_sent or now
        self._goes_on = t_sent > 0
        if self._state == IDLE:
            engine.outbox.append(self)
        else:
            self._connect()

    def flush(self) -> None:
        """Send what ``send`` began, unless that has ended since."""
        if self._state == IDLE and self._busy:
            self._write()

    def probe(self) -> None:
        """Look whether the kept connection has ended, before something is sent on it after a rest."""
        if self._state == IDLE:
            self._check_idle()

    def close(self) -> None:
        """End the connection, not the exchange."""
        if self._sock is not None:
            self._engine.connections.pop(self._sock.fileno(), None)
            self._sock.close()  # which also takes it out of the epoll
            self._sock = None
        self._state = CLOSED

    def _on_event(self) -> None:
        """The connection can be read, or written, or has ended, and no reply is awaited on it."""
        state = self._state
        if state == CONNECTING:
            self._on_connected()
        elif state == HANDSHAKING:
            self._handshake()
        elif state == SENDING:
            self._write()
        elif state == IDLE:
            self._check_idle()

    def _connect(self) -> None:
        target = self._engine.target
        if target is None:
            raise UsageError("no URL to load", "give one with --host http://127.0.0.1:8080")
        self.reconnected |= self._had_connection
        self._exchanges = 0
        self._inbox = ResponseReader(self._engine.head_cache)
        try:
            sock = self._sock = _socket(target.family, constants.SOCK_STREAM)
        except OSError as problem:
            raise EnvironmentLacksError(f"no further connection: {problem}", "ulimit -n 65536") from problem
        sock.setblocking(False)
        sock.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, 1)
        source = target.source_address(len(self._engine.connections))
        if source is not None:
            sock.setsockopt(constants.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(source)
        error = sock.connect_ex(target.address)
        if error not in (0, errno.EINPROGRESS):
            self._on_connect_error(error)
            return
        self._state = CONNECTING
        self._engine.connections[sock.fileno()] = self
        self._engine.epoll.register(sock.fileno(), WRITABLE)

    def _on_connected(self) -> None:
        error = self._sock.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR)
        if error:
            self._on_connect_error(error)
            return
        self._had_connection = True
        self._engine.epoll.modify(self._sock.fileno(), READABLE)
        target = self._engine.target
        if target is not None and target.tls is not None:
            self._sock = TlsSocket(self._sock, target.tls, target.name)
            self._state = HANDSHAKING
            self._handshake()
        else:
            self._write()

    def _handshake(self) -> None:
        try:
            if self._sock.do_handshake():
                self._write()
        except OSError:
            self.close()
            self._fail(Failure.NOT_TRUSTED, monotonic_ns())

    def _on_connect_error(self, error: int) -> None:
        self.close()
        failure = Failure.REFUSED if error == errno.ECONNREFUSED else Failure.UNSENT
        # Later, since the owner may send again at once and be refused at once.
        self._engine.call_at(0, lambda now: self._fail(failure, now))

    def _write(self) -> None:
        data, sent = self._data, self.sent
        if not sent and self.attempts == 1 and not self._goes_on:
            self.t_sent = monotonic_ns()
        try:
            sent += self._sock.send(memoryview(data)[sent:] if sent else data)
        except BlockingIOError:
            pass
        except OSError:
            self._on_connection_lost()
            return
        self.sent = sent
        if sent == len(data):
            if self._state == SENDING:
                self._engine.epoll.modify(self._sock.fileno(), READABLE)
            self._state = AWAITING
        elif self._state != SENDING:
            self._state = SENDING
            self._engine.epoll.modify(self._sock.fileno(), READABLE | WRITABLE)

    def on_ready(self, event: int) -> None:
        """The connection can be read, or written, or has ended. (An answer may come to half a request.)"""
        if self._state != AWAITING and not (self._state == SENDING and event & READABLE):
            self._on_event()
            return
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._on_connection_lost()
            return
        now = monotonic_ns()
        try:
            reply = self._inbox.feed(data, self._method) if data else self._inbox.end(self._method)
        except ProtocolError:
            self.close()
            self._fail(Failure.PROTOCOL_ERROR, now)
            return
        if data:
            self.received += len(data)
            if self.t_first < 0:
                self.t_first = now
        if reply is not None:
            self._exchanges += 1
            self._state = IDLE
            if not (reply.keep_alive and data and self.sent == len(self._data)):
                self._end_use(reply)
            self._engine.in_flight -= 1
            self._busy = False
            self._owner.on_response(reply, now)
        elif not data:
            self._on_connection_lost()

    def _end_use(self, reply: Response) -> None:
        """Carry no further exchange: close, unless it has become a WebSocket, which is to be released."""
        if reply.status == 101:
            self._engine.connections.pop(self._sock.fileno(), None)
        else:
            self.close()

    def detach(self) -> tuple[Any, bytes]:
        """The socket that has been upgraded, and what came on it beyond the upgrade; the lane has none any more."""
        sock, self._sock, self._state = self._sock, None, CLOSED
        return sock, self._inbox.trailing_data

    def _check_idle(self) -> None:
        try:
            self._sock.recv(1)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()  # it has ended, or says what nobody asked for

    def _on_connection_lost(self) -> None:
        stale = self._exchanges > 0 and self.t_first < 0
        self.close()
        if stale and not self.sent:
            self._connect()
        elif stale and self._repeatable:
            self.attempts += 1
            self.sent = 0
            self._connect()
        else:
            self._fail(Failure.RESET if self.sent else Failure.UNSENT, monotonic_ns())

    def _on_deadline(self, now: int) -> None:
        if not self._busy:
            self._armed = False
        elif now < self._deadline:
            self._engine.call_at(self._deadline, self._on_deadline)
        else:
            self._armed = False
            failure = Failure.UNSENT if self._state in (CLOSED, CONNECTING, HANDSHAKING) else Failure.TIMED_OUT
            self.close()
            self._fail(failure, now)

    def abandon(self, now: int) -> None:
        """End the exchange under way as if its time were up."""
        if self._busy:
            self._deadline = now
            self._on_deadline(now)

    def _fail(self, failure: Failure, now: int) -> None:
        if self._busy:
            self._engine.in_flight -= 1
            self._busy = False
            self._owner.on_failure(failure, now)
