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
_CACHED_HEADS = 2_000


class GarbledError(Exception):
    """What came is not an HTTP/1 reply."""


class Head:
    """A reply's status line and headers. Replies of one replica in one second often have the very same one."""

    __slots__ = ("boot", "cookies", "keep", "lower", "raw", "replica", "status")

    def __init__(self, raw: bytes, lower: bytes, status: int, keep: bool) -> None:
        self.raw = raw  # without the empty line
        self.lower = lower
        self.status = status
        self.keep = keep  # whether the connection can carry another request
        self.replica = self._value(b"\r\nx-replica:")
        self.boot = self._value(b"\r\nx-boot:")
        self.cookies = self._cookies() if b"\r\nset-cookie:" in lower else ()

    def _value(self, line: bytes) -> str:
        """The value of the first header that begins with ``line`` (CR LF, lower-case name, colon)."""
        start = self.lower.find(line)
        return self.raw[start + len(line) : self._end(start)].strip().decode("latin-1") if start >= 0 else ""

    def _cookies(self) -> tuple[bytes, ...]:
        found, start = [], self.lower.find(b"\r\nset-cookie:")
        while start >= 0:
            found.append(self.raw[start + 13 : self._end(start)])
            start = self.lower.find(b"\r\nset-cookie:", start + 13)
        return tuple(found)

    def _end(self, start: int) -> int | None:
        end = self.lower.find(b"\r\n", start + 2)
        return end if end >= 0 else None


class Reply:
    """A reply, decoded only as far as somebody looks."""

    __slots__ = ("_head", "_json", "body", "keep", "size", "status")

    def __init__(self, head: Head, body: bytes, keep: bool, size: int) -> None:
        self.status = head.status
        self.body = body
        self.keep = keep  # whether the connection can carry another request
        self.size = size  # bytes on the wire
        self._head = head
        self._json: Any = _UNREAD

    @property
    def cookies(self) -> tuple[bytes, ...]:
        """The value of every Set-Cookie, in order."""
        return self._head.cookies

    @property
    def ok(self) -> bool:
        """Whether it is a reply of a status below 400."""
        return 0 < self.status < 400

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; where a name repeats, the last. (For cookies: ``cookies``.)"""
        lines = self._head.raw.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def replica(self) -> str:
        """``X-Replica``, the replica that answered; empty where the balancer did."""
        return self._head.replica

    @property
    def boot(self) -> str:
        """``X-Boot``, the id of that replica's start."""
        return self._head.boot

    def json(self) -> Any:
        """The body as JSON, decoded once.

        Raises:
            ValueError: it is none.
        """
        if self._json is _UNREAD:
            self._json = json.loads(self.body.decode())  # as text: no guessing of its encoding
        return self._json


_UNREAD = object()
#: What stands for a reply where none came: status 0, nothing in it.
NO_REPLY = Reply(Head(b"", b"", 0, False), b"", False, 0)


#: Heads that were read before, with the length of their bodies.
Heads = dict[bytes, tuple[Head, int]]


class Inbox:
    """The replies of one connection, from bytes in any pieces. Connections may share the heads that they know."""

    __slots__ = ("_heads", "_need", "_parser", "_parts", "_size")

    def __init__(self, heads: Heads | None = None) -> None:
        self._heads: Heads = {} if heads is None else heads
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
        raw = data[:end]
        found = self._heads.get(raw)
        if found is None:
            found = self._read_head(raw)
        head, length = found
        if length < 0 or method == "HEAD":
            return self._parse(data, method)
        need = end + 4 + length
        if len(data) < need:
            self._wait(data, need)
            return None
        self._parts, self._size, self._need = [], 0, 0
        return Reply(head, data[end + 4 : need], head.keep and len(data) == need, need)

    def _read_head(self, raw: bytes) -> tuple[Head, int]:
        """A head with the length of its body (-1: for the parser); remembered."""
        lower = raw.lower()
        length = _plain_length(raw, lower)
        keep = raw[7:8] == b"1" and b"\r\nconnection: close" not in lower
        found = (Head(raw, lower, int(raw[9:12]) if length >= 0 else 0, keep), length)
        if len(self._heads) >= _CACHED_HEADS:
            self._heads.clear()
        self._heads[raw] = found
        return found

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


def _plain_length(raw: bytes, lower: bytes) -> int:
    """The body's length where scanning is enough, else -1."""
    status = raw[9:12]
    if not raw.startswith(_BEGINS) or len(status) != 3 or not status.isdigit():
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
        raw = b"\r\n".join([status, *lines])
        keep = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
        return Reply(Head(raw, raw.lower(), response.status_code, keep), b"".join(self._body), keep, self._size)


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
