"""A connection that stays open after the head of its response: a WebSocket or an event stream."""

from abc import ABC, abstractmethod
from typing import Any

from harness.load.http.event_loop import EventLoop

#: Read at once: as many empty frames or events as this has room for hold up the other sessions for some milliseconds.
RECEIVE_BYTES = 8192


class OpenSocket(ABC):
    """Its socket, watched by the loop until it is closed, and what has come of the next message."""

    def __init__(self, loop: EventLoop, sock: Any) -> None:
        self._loop = loop
        self._sock = sock  # None once it is closed
        self._size = self._t_first = 0  # bytes on the wire since the last message, and when the first of them came
        self._held = 0  # bytes of the next message that count in the memory of the process
        loop.connections[sock.fileno()] = self

    @abstractmethod
    def on_ready(self, event: int) -> None:
        """The socket is readable, writable or closed; ``event`` is the epoll event mask."""

    def _hold(self, size: int) -> None:
        """Count the bytes that have come of the next message.

        Raises:
            ProtocolError: the replies under way have too many together.
        """
        self._loop.reply_memory.take(size - self._held)
        self._held = size

    def close(self) -> None:
        """Close the connection immediately."""
        if self._sock is not None:
            self._hold(0)
            self._loop.connections.pop(self._sock.fileno(), None)
            self._sock.close()
            self._sock = None
