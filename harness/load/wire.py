"""HTTP/1.1 as bytes: a request to bytes, bytes to a reply. Pure: no sockets, no clock.

Nearly every reply has a Content-Length and comes whole, and is found by scanning the bytes. Whatever is rarer (chunked,
HEAD, 204, 304, informational replies, a body that ends with the connection) is left to h11.
"""

import json
from typing import Any

import h11

from harness.load.client import Request

LONGEST_HEAD = 65536
_BEGINS = b"HTTP/1."
_HEAD_ENDS = b"\r\n\r\n"
_CACHED_LINES = 10_000


class GarbledError(Exception):
    """What came is not an HTTP/1 reply."""


class Reply:
    """A reply, decoded only as far as somebody looks."""

    __slots__ = ("_boot", "_headers", "_json", "_lower", "_replica", "body", "head", "keep", "size", "status")

    def __init__(  # noqa: PLR0917 - made in the hot path
        self, status: int, head: bytes, lower: bytes, body: bytes, keep: bool, size: int
    ) -> None:
        self.status = status
        self.head = head  # status line and headers, without the empty line
        self.body = body
        self.keep = keep  # whether the connection can carry another request
        self.size = size  # bytes on the wire
        self._lower = lower
        self._headers: dict[str, str] | None = None
        self._json: Any = _UNREAD
        self._replica: str | None = None
        self._boot: str | None = None

    def _header(self, line: bytes) -> str:
        """The value of the first header that begins with ``line`` (CR LF, lower-case name, colon)."""
        start = self._lower.find(line)
        if start < 0:
            return ""
        start += len(line)
        end = self._lower.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else None].strip().decode("latin-1")

    def set_cookies(self) -> list[bytes]:
        """Every Set-Cookie, in order."""
        lower, found = self._lower, []
        start = lower.find(b"\r\nset-cookie:")
        while start >= 0:
            end = lower.find(b"\r\n", start + 13)
            found.append(self.head[start + 13 : end if end >= 0 else None])
            start = lower.find(b"\r\nset-cookie:", start + 13)
        return found

    @property
    def ok(self) -> bool:
        """Whether it is a reply of a status below 400."""
        return 0 < self.status < 400

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; where a name repeats, the last. (For cookies: ``set_cookies``.)"""
        if self._headers is None:
            lines = self.head.decode("latin-1").split("\r\n")[1:]
            pairs = (line.partition(":") for line in lines)
            self._headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return self._headers

    @property
    def replica(self) -> str:
        """``X-Replica``, the replica that answered; empty where the balancer did."""
        if self._replica is None:
            self._replica = self._header(b"\r\nx-replica:")
        return self._replica

    @property
    def boot(self) -> str:
        """``X-Boot``, the id of that replica's start."""
        if self._boot is None:
            self._boot = self._header(b"\r\nx-boot:")
        return self._boot

    def json(self) -> Any:
        """The body as JSON, decoded once.

        Raises:
            ValueError: it is none.
        """
        if self._json is _UNREAD:
            self._json = json.loads(self.body.decode())  # as text: no guessing of its encoding
        return self._json


_UNREAD = object()


class Inbox:
    """The replies of one connection, from bytes in any pieces."""

    __slots__ = ("_body_at", "_lower", "_need", "_parser", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._need = 0  # bytes of the whole reply, once its head is read
        self._parser: _Parser | None = None

    def feed(self, data: bytes, method: str) -> Reply | None:
        """Take bytes; returns the reply to a request of ``method`` when it is whole.

        Raises:
            GarbledError: this can become no reply.
        """
        if self._parser is not None:
            return self._done(self._parser.feed(data))
        if self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._need:
                return None
            data = b"".join(self._parts)
        return self._scan(data, method)

    def end(self, method: str) -> Reply | None:
        """The connection has ended; returns the reply that this completes, if any.

        Raises:
            GarbledError: it ended within a reply.
        """
        if self._parser is not None:
            return self._done(self._parser.feed(b""))
        if self._parts:
            raise GarbledError("the connection ended within a reply")
        return None

    def _scan(self, data: bytes, method: str) -> Reply | None:
        end = data.find(_HEAD_ENDS)
        if end < 0:
            if not data.startswith(_BEGINS) and not _BEGINS.startswith(data):
                raise GarbledError("not an HTTP/1 reply")
            if len(data) > LONGEST_HEAD:
                raise GarbledError("a head without end")
            self._wait(data, 0)
            return None
        head = data[:end]
        lower = head.lower()
        length = _plain_length(head, lower, method)
        if length < 0:
            return self._parse(data, method)
        need = end + 4 + length
        if len(data) < need:
            self._wait(data, need)
            return None
        self._parts, self._size, self._need = [], 0, 0
        keep = len(data) == need and head[7] == 0x31 and lower.find(b"\r\nconnection: close") < 0
        return Reply(int(head[9:12]), head, lower, data[end + 4 : need], keep, need)

    def _wait(self, data: bytes, need: int) -> None:
        self._parts, self._size, self._need = [data], len(data), need

    def _parse(self, data: bytes, method: str) -> Reply | None:
        self._parts, self._size, self._need = [], 0, 0
        self._parser = _Parser(method)
        return self._done(self._parser.feed(data))

    def _done(self, reply: Reply | None) -> Reply | None:
        if reply is not None:
            self._parser = None
        return reply


def _plain_length(head: bytes, lower: bytes, method: str) -> int:
    """The body's length where scanning is enough, else -1."""
    status = head[9:12]
    if method == "HEAD" or not head.startswith(_BEGINS) or len(status) != 3 or not status.isdigit():
        return -1
    if status[0] == 0x31 or status in (b"204", b"304") or lower.find(b"\r\ntransfer-encoding:") >= 0:
        return -1
    start = lower.find(b"\r\ncontent-length:")
    if start < 0 or lower.find(b"\r\ncontent-length:", start + 17) >= 0:
        return -1
    end = lower.find(b"\r\n", start + 17)
    digits = lower[start + 17 : end if end >= 0 else None].strip()
    return int(digits) if digits.isdigit() else -1


class _Parser:
    """One reply by h11."""

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
        self._h11.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Reply | None:
        self._size += len(data)
        try:
            self._h11.receive_data(data)
            return self._events()
        except h11.RemoteProtocolError as problem:
            raise GarbledError(str(problem)) from problem

    def _events(self) -> Reply | None:
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return None
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                return self._reply(self._head)

    def _reply(self, response: h11.Response) -> Reply:
        status = b"HTTP/1.1 %d " % response.status_code + response.reason
        lines = [name + b": " + value for name, value in response.headers.raw_items()]
        head = b"\r\n".join([status, *lines])
        keep = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
        return Reply(response.status_code, head, head.lower(), b"".join(self._body), keep, self._size)


class Encoder:
    """Requests to bytes for one host. The lines that depend on method and path alone are built once."""

    def __init__(self, host: str) -> None:
        self._host = b"Host: " + host.encode("ascii") + b"\r\n"
        self._lines: dict[tuple[str, str], bytes] = {}

    def encode(self, request: Request, session_lines: bytes, key: str = "") -> bytes:
        """The bytes of a request. ``session_lines`` are its session's own headers, ``key`` its Idempotency-Key.

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        parts = [self._first(request.method, request.path), session_lines]
        if key:
            parts.append(b"Idempotency-Key: %b\r\n" % key.encode())
        if request.headers:
            parts.extend(_header(name, value) for name, value in request.headers.items())
        if request.body:
            parts.append(
                b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (request.content_type.encode(), len(request.body))
            )
            parts.append(request.body)
        else:
            parts.append(b"\r\n" if request.method in ("GET", "HEAD") else b"Content-Length: 0\r\n\r\n")
        return b"".join(parts)

    def _first(self, method: str, path: str) -> bytes:
        line = self._lines.get((method, path))
        if line is None:
            target = _sendable(path)
            if not target.startswith(b"/") or b" " in target:
                raise ValueError(f"a path begins with / and has no spaces: {path!r}")
            if len(self._lines) >= _CACHED_LINES:
                self._lines.clear()
            line = b"%b %b HTTP/1.1\r\n" % (_sendable(method), target) + self._host + b"Connection: keep-alive\r\n"
            self._lines[method, path] = line
        return line


def _header(name: str, value: str) -> bytes:
    return _sendable(name) + b": " + _sendable(value) + b"\r\n"


def _sendable(text: str) -> bytes:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"only printable ASCII can be sent here: {text!r}")
    return text.encode("ascii")
