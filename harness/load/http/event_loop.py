"""The event loop: many connections and timers over one epoll, in one greenlet.

gevent removes ``epoll`` and patches sockets, so this module fetches the originals. While there is work, the loop's
greenlet keeps the process and lets the other greenlets run every few milliseconds. When nothing is ready, it waits as
they do: for the epoll's *own* descriptor, which can be polled. No request switches greenlets. Every callback runs in
the loop's greenlet. Times are ``time.monotonic_ns``.
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
from harness.load.http.bodies import ReplyMemory
from harness.load.http.response import Response
from harness.load.http.scheduling import request_short_turns
from harness.load.http.target import IP_BIND_ADDRESS_NO_PORT, Target
from harness.load.http.tls import TlsSocket
from harness.load.http.wire import STREAM, HeadCache, ResponseReader

MS = 1_000_000
RECEIVE_BYTES = 16384  # a reply in chunks of one byte is slow to read: so many take a part of a turn
#: gevent's timers have millisecond ticks: the last stretch before a timer is spent in select, which is finer.
FINE_WAIT_NS = 2 * MS
#: About how long it takes to wake a thread: the clock is polled for this long before a timer is due.
BUSY_WAIT_NS = 60_000
#: How long the loop may keep the other greenlets waiting.
MAX_TURN_NS = 5 * MS
#: Bytes received at once, after which the timers are checked before the next connection.
_MUCH = 4096
#: Connections handled before the timers are checked again.
_BATCH = 64
READABLE, WRITABLE = 0x001, 0x004  # EPOLLIN, EPOLLOUT

_socket: Any = monkey.get_original("socket", "socket")
_select: Any = monkey.get_original("select", "select")


class Failure(enum.Enum):
    """How an exchange ended without a response."""

    REFUSED = "connection refused"
    UNSENT = "not sent"
    TIMED_OUT = "timed out"
    RESET = "connection lost"
    PROTOCOL_ERROR = "malformed response"
    NOT_TRUSTED = "no trusted TLS connection"


class ExchangeHandler(Protocol):
    """What sends requests on a ``Connection`` and receives the result."""

    def on_response(self, response: Response, t_end: int) -> None:
        """The response is complete."""

    def on_head(self, response: Response, now: int) -> None:
        """The head of a redirect is there, if the request asked for it; its body, still empty, is on its way."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """No response will come; ``Connection.sent`` is the number of bytes of the request that left."""


class Pollable(Protocol):
    """A socket that the loop watches: a ``Connection``, or the WebSocket that replaced one."""

    def on_ready(self, event: int) -> None:
        """The socket is readable, writable or closed; ``event`` is the epoll event mask."""

    def close(self) -> None:
        """Close it immediately."""


class EventLoop:
    """Connections to one target, and timers."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.in_flight = 0
        self.connections: dict[int, Pollable] = {}
        self.head_cache = HeadCache()
        self.reply_memory = ReplyMemory()
        self.received_much = False
        self.outbox: list[Connection] = []
        self.epoll = _epoll()
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        self.closed = False
        self._last_yield_ns = 0

    def call_at(self, t_ns: int, call: Callable[[int], None]) -> None:
        """Call ``call(now)`` at this time, or in the next turn if it has passed; never during ``call_at`` itself."""
        heapq.heappush(self._timers, (t_ns, next(self._order), call))

    def run(self) -> None:
        """Handle ready connections and due timers until ``close``."""
        try:
            while not self.closed:
                self.run_once()
                if monotonic_ns() - self._last_yield_ns > MAX_TURN_NS:
                    gevent.sleep(0)
                    self._last_yield_ns = monotonic_ns()
        finally:
            self.epoll.close()

    def run_once(self) -> None:
        """Handle a batch of ready connections, then due timers, then send; wait if there was nothing to do.

        All requests of a turn go out in one burst: a server that wakes up once handles them without sleeping between.
        """
        ready, connections, timers = self.epoll.poll(0, _BATCH), self.connections, self._timers
        for fd, event in ready:
            connection = connections.get(fd)
            if connection is not None:  # closed earlier in this batch
                connection.on_ready(event)
                if self.received_much:  # which may have taken long: the epoll reports the others again
                    self.received_much = False
                    break
        now = monotonic_ns()
        if timers and timers[0][0] <= now:
            self._run_due_timers(now)
        elif not ready and not self.outbox:
            self._wait(now)
        if self.outbox:
            outbox, self.outbox = self.outbox, []
            for sender in outbox:
                sender.flush()

    def _run_due_timers(self, now: int) -> None:
        due, timers = [], self._timers
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers))
        for _, _, call in due:
            call(now)

    def _wait(self, now: int) -> None:
        """Wait until a connection is ready or the next timer is nearly due."""
        length = self._timers[0][0] - now - BUSY_WAIT_NS if self._timers else 1000 * MS
        epoll = self.epoll.fileno()
        if length < FINE_WAIT_NS:
            if length > 0:
                _select([epoll], [], [], length / 1e9)
        elif not _select([epoll], [], [], 0.001)[0]:
            self._wait_as_greenlet(length - FINE_WAIT_NS)

    def _wait_as_greenlet(self, length: int) -> None:
        """Let other greenlets run while waiting: nothing was ready for a millisecond."""
        with contextlib.suppress(TimeoutError):
            wait_read(self.epoll.fileno(), timeout=max(0, length) / 1e9)
        self._last_yield_ns = monotonic_ns()

    def close(self) -> None:
        """Close every connection; ``run`` returns after its turn."""
        self.closed = True
        for connection in list(self.connections.values()):
            connection.close()


def tune_process() -> None:
    """Reduce pauses of this process, before the load starts.

    Objects that exist now live as long as the process, so the garbage collector need not scan them. Timer slack is set
    to 1 ns, so that the thread wakes up on time; the default of Linux is 50 us. Short turns let it go before programs
    that compute on the same core.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):
        Path("/proc/thread-self/timerslack_ns").write_text("1")
    request_short_turns()


def _epoll() -> Any:
    try:
        return monkey.get_original("select", "epoll")()
    except AttributeError as problem:
        raise EnvironmentLacksError("this system has no epoll", "run the load on Linux") from problem


# States of a connection: plain numbers, since the hot path compares with them.
CLOSED, CONNECTING, HANDSHAKING, IDLE, SENDING, AWAITING = range(6)


class Connection:
    """A connection of one handler, with at most one exchange in progress. It reconnects when needed.

    Attributes describe the latest exchange: ``t_sent`` (the first send call, ns), ``t_first`` (the first byte of the
    response, ns; -1 if none came), ``attempts``, ``reconnected`` (1 if an earlier connection had ended), ``sent`` and
    ``received`` (bytes).
    """

    __slots__ = (
        "_busy",
        "_data",
        "_deadline",
        "_deadline_armed",
        "_exchanges",
        "_had_connection",
        "_loop",
        "_method",
        "_reader",
        "_repeatable",
        "_sock",
        "_state",
        "_timeout",
        "_wants_head",
        "attempts",
        "handler",
        "received",
        "reconnected",
        "sent",
        "t_first",
        "t_sent",
    )

    def __init__(self, loop: EventLoop, handler: ExchangeHandler, timeout_ns: int) -> None:
        self._loop = loop
        self.handler = handler
        self._timeout = timeout_ns
        self._sock: Any = None
        self._state = CLOSED
        self._reader = ResponseReader(self._loop.head_cache, self._loop.reply_memory)
        self._deadline_armed = self._busy = self._had_connection = self._repeatable = self._wants_head = False
        self._data = b""
        self._method = ""
        self._deadline = self._exchanges = 0
        self.attempts = self.reconnected = self.sent = self.received = self.t_sent = 0
        self.t_first = -1

    @property
    def busy(self) -> bool:
        """Whether an exchange is in progress."""
        return self._busy

    def send(self, data: bytes, method: str, repeatable: bool, now: int, wants_head: bool = False) -> None:
        """Begin an exchange.

        A ``repeatable`` request is sent once more if the kept-alive connection turns out to be closed. With
        ``wants_head``, the handler hears of a redirect as soon as its head is there.
        """
        loop = self._loop
        loop.in_flight += 1
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
        if not self._deadline_armed:
            self._deadline_armed = True
            loop.call_at(self._deadline, self._on_deadline)
        self.t_sent = now
        self._wants_head = wants_head
        if self._state == IDLE:
            loop.outbox.append(self)
        else:
            self._connect()

    def flush(self) -> None:
        """Send the request that ``send`` prepared, unless its exchange has ended since."""
        if self._state == IDLE and self._busy:
            self._write()

    def probe(self) -> None:
        """Check whether the idle connection is still open, before sending on it after a pause."""
        if self._state == IDLE:
            self._check_idle()

    def close(self) -> None:
        """Close the connection; the exchange does not end."""
        if self._sock is not None:
            self._loop.connections.pop(self._sock.fileno(), None)
            self._sock.close()  # which also removes it from the epoll
            self._sock = None
            self._reader.reset()
        self._state = CLOSED

    def _on_event(self) -> None:
        """Handle an epoll event while no response is expected."""
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
        target = self._loop.target
        if target is None:
            raise UsageError("no target URL", "give one with --host http://127.0.0.1:8080")
        self.reconnected |= self._had_connection
        self._exchanges = 0
        self._reader = ResponseReader(self._loop.head_cache, self._loop.reply_memory)
        try:
            sock = self._sock = _socket(target.family, constants.SOCK_STREAM)
        except OSError as problem:
            raise EnvironmentLacksError(f"cannot open another connection: {problem}", "ulimit -n 65536") from problem
        sock.setblocking(False)
        sock.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, 1)
        source = target.source_address(len(self._loop.connections))
        if source is not None:
            sock.setsockopt(constants.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(source)
        error = sock.connect_ex(target.address)
        if error not in (0, errno.EINPROGRESS):
            self._on_connect_error(error)
            return
        self._state = CONNECTING
        self._loop.connections[sock.fileno()] = self
        self._loop.epoll.register(sock.fileno(), WRITABLE)

    def _on_connected(self) -> None:
        error = self._sock.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR)
        if error:
            self._on_connect_error(error)
            return
        self._had_connection = True
        self._loop.epoll.modify(self._sock.fileno(), READABLE)
        target = self._loop.target
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
        # Deferred: the handler may send again immediately, and be refused again immediately.
        self._loop.call_at(0, lambda now: self._fail(failure, now))

    def _write(self) -> None:
        data, sent = self._data, self.sent
        if not sent and self.attempts == 1:
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
                self._loop.epoll.modify(self._sock.fileno(), READABLE)
            self._state = AWAITING
        elif self._state != SENDING:
            self._state = SENDING
            self._loop.epoll.modify(self._sock.fileno(), READABLE | WRITABLE)

    def on_ready(self, event: int) -> None:
        """Handle an epoll event. A server may respond before it has read the whole request."""
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
            response = self._reader.feed(data, self._method) if data else self._reader.end(self._method)
        except Exception:  # whatever a server sends, it ends no more than this exchange
            self.close()
            self._fail(Failure.PROTOCOL_ERROR, now)
            return
        if data:
            size = len(data)
            self.received += size
            if size > _MUCH:
                self._loop.received_much = True
            if self.t_first < 0:
                self.t_first = now
        if response is not None:
            self._exchanges += 1
            self._state = IDLE
            if not (response.keep_alive and data and self.sent == len(self._data)):
                self._end_use(response)
            self._loop.in_flight -= 1
            self._busy = False
            self.handler.on_response(response, now)
        elif not data:
            self._on_connection_lost()
        elif self._wants_head:
            self._look_at_head(now)

    def _look_at_head(self, now: int) -> None:
        """Pass a redirect to the handler as soon as its head is there."""
        head = self._reader.head
        if head is not None:
            self._wants_head = False
            if 300 <= head.status < 400:
                self.handler.on_head(Response(head, head.status, b""), now)

    def _end_use(self, response: Response) -> None:
        """Stop using the connection: close it, unless it became a WebSocket or event stream and will be detached."""
        if response.status == 101 or (self._method == STREAM and response.head.opens_stream):
            self._loop.connections.pop(self._sock.fileno(), None)
        else:
            self.close()

    def detach(self) -> tuple[Any, bytes]:
        """Give up the socket; returns it with the bytes that followed the upgrade or the head of the stream."""
        sock, self._sock, self._state = self._sock, None, CLOSED
        return sock, self._reader.trailing_data

    def _check_idle(self) -> None:
        try:
            self._sock.recv(1)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()  # closed by the server, or it sent data without a request

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
            self._deadline_armed = False
        elif now < self._deadline:
            self._loop.call_at(self._deadline, self._on_deadline)
        else:
            self._deadline_armed = False
            failure = Failure.UNSENT if self._state in (CLOSED, CONNECTING, HANDSHAKING) else Failure.TIMED_OUT
            self.close()
            self._fail(failure, now)

    def abandon(self, now: int) -> None:
        """End the exchange in progress as if it had timed out."""
        if self._busy:
            self._deadline = now
            self._on_deadline(now)

    def _fail(self, failure: Failure, now: int) -> None:
        if self._busy:
            self._loop.in_flight -= 1
            self._busy = False
            self.handler.on_failure(failure, now)
