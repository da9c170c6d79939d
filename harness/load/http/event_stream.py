"""An event stream over a response that does not end: passes on its events as they come, and reports how it ended.

h11 takes the body out of its framing. A protocol violation ends this stream, and nothing else.
"""

from time import monotonic_ns
from typing import Any, Protocol

import h11

from harness.load.http.event_loop import EventLoop
from harness.load.http.open_socket import RECEIVE_BYTES, OpenSocket
from harness.load.http.response import Head
from harness.load.http.server_sent_events import EventDecoder, ServerSentEvent

_ENDED, _BROKEN = 1000, 1006  # as WebSockets have them (RFC 6455, 7.4)


class StreamListener(Protocol):
    """Receives the events of a stream."""

    def on_event(self, event: ServerSentEvent, size: int, t_first: int, now: int) -> None:
        """An event is complete: ``size`` bytes on the wire since the one before, the first of them at ``t_first``."""

    def on_close(self, code: int, now: int) -> None:
        """The server has ended the response (1000), or the connection broke (1006)."""


class EventStream(OpenSocket):
    """The connection of one stream, from behind the head of its response."""

    def __init__(self, loop: EventLoop, sock: Any, head: Head, listener: StreamListener) -> None:
        self._listener: StreamListener | None = listener  # None once this side has left
        self._frames = h11.Connection(h11.CLIENT)
        self._frames.send(h11.Request(method="GET", target="/", headers=[("Host", "any")]))
        self._frames.send(h11.EndOfMessage())
        self._frames.receive_data(head.block)
        self._decoder = EventDecoder()
        super().__init__(loop, sock)

    def receive(self, data: bytes, now: int) -> None:
        """Handle received bytes; none mean that the connection has ended."""
        self._size += len(data)
        self._t_first = self._t_first or now
        try:
            self._frames.receive_data(data)
            while self._listener is not None:
                event = self._frames.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    self._hold(self._decoder.pending)
                    return
                if isinstance(event, h11.Data):
                    self._deliver(bytes(event.data), now)
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    self._end(_ENDED, now)
        except Exception:  # whatever a server sends, it ends no more than this stream
            self._end(_BROKEN, now)

    def start_closing(self) -> None:
        """Leave: a stream has no handshake for that."""
        self._listener = None
        self.close()

    def on_ready(self, event: int) -> None:
        """The socket is readable or closed."""
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._end(_BROKEN, monotonic_ns())
            return
        self.receive(data, monotonic_ns())

    def _deliver(self, data: bytes, now: int) -> None:
        for event in self._decoder.feed(data):
            if self._listener is not None:
                held = event._replace(data=self._loop.reply_memory.hold(event.data))
                self._listener.on_event(held, self._size, self._t_first, now)
            self._size = self._t_first = 0

    def _end(self, code: int, now: int) -> None:
        listener = self._listener
        self.start_closing()
        if listener is not None:
            listener.on_close(code, now)
