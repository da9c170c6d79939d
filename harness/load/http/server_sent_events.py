"""Server-sent events (HTML standard, section 9.2): bytes to events. Pure: no sockets, no clock."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness.load.http.bodies import ProtocolError
from harness.load.http.response import Response

EVENT_STREAM_TYPE = "text/event-stream"
#: A longer event ends the stream.
MAX_EVENT_BYTES = 16 * 1024 * 1024
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event. ``id`` is the last one given, by this event or an earlier one."""

    data: bytes
    event: str
    id: str


class EventDecoder:
    """Decodes one stream, from bytes in any pieces."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._event = self._id = ""
        self._after_cr = False
        self._begins = True

    @property
    def pending(self) -> int:
        """The bytes of the next event that it keeps."""
        return self._size + len(self._line)

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        """The events that these bytes complete.

        Raises:
            ProtocolError: an event is too long.
        """
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r") if data else False
        first, *others = _LINE_ENDS.split(data)
        self._line += first
        for rest in others:
            line = bytes(self._line)
            self._line[:] = rest
            event = self._take_line(line)
            if event is not None:
                yield event
        if self.pending > MAX_EVENT_BYTES:
            raise ProtocolError("an event is too long")

    def _take_line(self, line: bytes) -> ServerSentEvent | None:
        if self._begins:
            self._begins, line = False, line.removeprefix(_BOM)
        if not line:
            data, event = self._data, self._event
            self._data, self._event, self._size = [], "", 0
            return ServerSentEvent(b"\n".join(data), event or "message", self._id) if data else None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._event = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        return None


def events_of(reply: Response) -> tuple[ServerSentEvent, ...]:
    """The events of a reply whose whole body is an event stream; none if it is not one."""
    if not reply.headers.get("content-type", "").lower().startswith(EVENT_STREAM_TYPE):
        return ()
    return tuple(EventDecoder().feed(reply.body))
