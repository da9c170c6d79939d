"""A WebSocket (RFC 6455) over an upgraded socket: sends and receives messages, and reports how it ended.

wsproto handles the frames. A protocol violation ends this connection, and nothing else.
"""

from collections import deque
from time import monotonic_ns
from typing import Any, Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from harness.load.http.event_loop import MS, READABLE, WRITABLE, EventLoop
from harness.load.http.open_socket import RECEIVE_BYTES, OpenSocket

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
#: Messages and pongs that wait to be sent; a server that sends pings and reads nothing is left.
MAX_UNSENT = 10_000
#: How long the server has for its part of the closing handshake.
CLOSE_TIMEOUT_NS = 1_000 * MS
_NORMAL, _ABNORMAL, _TOO_BIG = 1000, 1006, 1009


class Listener(Protocol):
    """Receives the events of a WebSocket."""

    def on_message(self, data: bytes, size: int, t_first: int, now: int) -> None:
        """A complete message has arrived: ``size`` bytes on the wire, the first of them at ``t_first``."""

    def on_close(self, code: int, now: int) -> None:
        """The server has closed the connection; ``code`` is 1006 without a closing handshake (RFC 6455, 7.4)."""


class WebSocket(OpenSocket):
    """An upgraded connection."""

    def __init__(self, loop: EventLoop, sock: Any, listener: Listener) -> None:
        self._listener: Listener | None = listener  # None once this side has begun to close
        self._frames = Connection(ConnectionType.CLIENT)
        self._unsent: deque[bytes] = deque()  # sent one at a time: TLS must be called again with the same bytes
        self._message = bytearray()
        super().__init__(loop, sock)

    def receive(self, data: bytes, now: int) -> None:
        """Handle received bytes."""
        self._size += len(data)
        self._t_first = self._t_first or now
        try:
            self._frames.receive_data(data)
            for event in self._frames.events():
                if self._sock is None:
                    return
                self._handle(event, now)
            if self._sock is not None and (self._message or self._held):
                self._hold(len(self._message))
        except Exception:  # whatever a server sends, it ends no more than this connection
            self._end(_ABNORMAL, now)

    def send(self, data: bytes, text: bool) -> int:
        """Send a message; returns its size on the wire. If the connection has ended, ``on_close`` reports it later."""
        message: Event = TextMessage(data=data.decode()) if text else BytesMessage(data=data)
        return self._write(self._frames.send(message))

    def start_closing(self) -> None:
        """Begin the closing handshake; messages that still arrive are dropped."""
        if self._listener is None or self._sock is None:
            return
        self._listener = None
        self._write(self._frames.send(CloseConnection(code=_NORMAL)))
        self._loop.call_at(monotonic_ns() + CLOSE_TIMEOUT_NS, lambda _: self.close())

    def on_ready(self, event: int) -> None:
        """The socket is readable, writable or closed."""
        if event & WRITABLE and self._unsent:
            self._flush()
        if event & ~WRITABLE and self._sock is not None:
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = monotonic_ns()
        if data:
            self.receive(data, now)
        else:
            self._end(_ABNORMAL, now)

    def _handle(self, event: Event, now: int) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            self._message += event.data.encode() if isinstance(event, TextMessage) else event.data
            if len(self._message) > MAX_MESSAGE_BYTES:
                self._write(self._frames.send(CloseConnection(code=_TOO_BIG)))
                self._end(_TOO_BIG, now)
            elif event.message_finished:
                self._deliver_message(now)
        elif isinstance(event, Ping):
            self._respond(event)
        elif isinstance(event, CloseConnection):
            self._respond(event)
            self._end(int(event.code), now)

    def _deliver_message(self, now: int) -> None:
        data, size, t_first = self._loop.reply_memory.hold(self._message), self._size, self._t_first
        self._message.clear()
        self._size = self._t_first = 0
        if self._listener is not None:
            self._listener.on_message(data, size, t_first, now)

    def _respond(self, event: Ping | CloseConnection) -> None:
        try:
            self._write(self._frames.send(event.response()))
        except (LocalProtocolError, ValueError):  # this side is closing, or the event is malformed
            return

    def _write(self, data: bytes) -> int:
        if data and self._sock is not None:
            if len(self._unsent) == MAX_UNSENT:
                self._loop.call_at(0, lambda now: self._end(_ABNORMAL, now))
            self._unsent.append(data)
            if len(self._unsent) == 1:
                self._flush()
        return len(data)

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent, first = self._sock.send(self._unsent[0]), self._unsent[0]
                if sent == len(first):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = first[sent:]
        except BlockingIOError:
            self._loop.epoll.modify(self._sock.fileno(), READABLE | WRITABLE)
        except OSError:  # the next read reports it
            self._unsent.clear()
        else:
            self._loop.epoll.modify(self._sock.fileno(), READABLE)

    def _end(self, code: int, now: int) -> None:
        listener, self._listener = self._listener, None
        self.close()
        if listener is not None:
            listener.on_close(code, now)
