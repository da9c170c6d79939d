"""HTTP/1.1 as bytes: a request to bytes, bytes to a reply. Pure: no sockets, no clock.

Nearly every reply comes whole, has a Content-Length, and a head that is byte for byte one that came before. Such a
head is not read again: it is looked up. The others are read once; what is rarer (chunked, a body that ends with the
connection, an unusual head) is left to ``parser``.
"""

from harness.load.http.client import Connect, Request
from harness.load.http.parser import MAX_BODY_BYTES, MAX_HEAD_BYTES, Parser, ProtocolError, decompress
from harness.load.http.response import Head, IrregularError, Response

__all__ = ["Encoder", "HeadCache", "ProtocolError", "Response", "ResponseReader"]

_BEGINS = b"HTTP/1."
_HEAD_ENDS = b"\r\n\r\n"
_MAX_CACHED_HEADS = 2048
_MAX_CACHED_BYTES = 2048
_CACHED_LINES = 10_000
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
#: What a lane calls the method of a request for a WebSocket; on the wire that is a GET.
UPGRADE = "UPGRADE"


class HeadCache(dict[bytes, Head]):
    """Heads that may come again, by their bytes. Whatever is answered so, but to HEAD, is alike: a body of the length
    that the head tells, as it is, and a connection that goes on. Bounded: where there are too many, it begins anew.
    """

    def add(self, head: Head) -> bool:
        """Remember a head, where it is of that kind and likely to come again; whether it is."""
        if head.length < 0 or not head.keep_alive or head.cookies or head.all(b"content-encoding"):
            return False
        if len(head.raw) > _MAX_CACHED_BYTES or head.status in (204, 304):
            return False
        if len(self) >= _MAX_CACHED_HEADS:
            self.clear()
        self[head.raw] = head
        return True


#: No reply begins so.
_NEVER = Head(b"\0", 0, [])


class ResponseReader:
    """The replies of one connection, from bytes in any pieces."""

    __slots__ = ("_head", "_heads", "_latest", "_need", "_parser", "_pending", "_searched", "trailing_data")

    def __init__(self, heads: HeadCache) -> None:
        self._heads = heads
        self._latest = _NEVER  # the head of the reply before, where the next may well have the same
        self._pending = bytearray()
        self._searched = 0  # bytes of it in which no head ends
        self._head: Head | None = None  # of the reply that is pending, once it is read
        self._need = 0  # bytes of that reply
        self._parser: Parser | None = None
        self.trailing_data = b""  # what came after a 101: no HTTP any more

    def feed(self, data: bytes, method: str) -> Response | None:
        """Take bytes; returns the reply to a request of ``method`` when it is whole.

        Raises:
            ProtocolError: this can become no reply.
        """
        head = self._latest
        if data.startswith(head.block) and len(data) == head.response_bytes and method != "HEAD":
            return Response(head, head.status, data[len(head.block) :])
        if head is _NEVER or method == "HEAD":
            return self._take(data, method)
        known = self._heads.get(data[: data.find(_HEAD_ENDS)])
        if known is None or len(data) != known.response_bytes:
            self._latest = _NEVER
            return self._take(data, method)
        self._latest = known
        return Response(known, known.status, data[len(known.block) :])

    def end(self, method: str) -> Response | None:
        """The connection has ended; returns the reply that this completes, if any.

        Raises:
            ProtocolError: it ended within a reply.
        """
        if self._parser is not None:
            return self._parser.feed(b"")
        if self._pending:
            raise ProtocolError("the connection ended within a reply")
        return None

    def _take(self, data: bytes, method: str) -> Response | None:
        if self._parser is not None:
            return self._parsed(data)
        self._pending += data
        while self._head is None:
            raw = self._raw_head()
            if raw is None:
                bare = b"\n\n" in self._pending or b"\n\r\n" in self._pending  # lines that end without CR
                return self._parsed(self._drained(), method) if bare else None
            try:
                head = self._heads.get(raw) or Head.parse(raw)
            except IrregularError:
                return self._parsed(self._drained(), method)
            if 100 <= head.status < 200 and head.status != 101:
                del self._pending[: len(raw) + 4]
                self._searched = 0
                continue
            if head.status == 101 and method == UPGRADE:
                self.trailing_data = self._drained()[len(raw) + 4 :]
                return Response(head, 101, b"", False)
            length = _length(head, method)
            if length < 0:
                return self._parsed(self._drained(), method)
            self._head, self._need = head, len(raw) + 4 + length
        return self._whole(self._head) if len(self._pending) >= self._need else None

    def _raw_head(self) -> bytes | None:
        """The head's bytes once it is there as a whole."""
        pending = self._pending
        end = pending.find(_HEAD_ENDS, max(0, self._searched - 3))
        if not pending.startswith(_BEGINS) and not _BEGINS.startswith(bytes(pending[:7])):
            raise ProtocolError("not an HTTP/1 reply")
        if (end if end >= 0 else len(pending)) > MAX_HEAD_BYTES:
            raise ProtocolError("a head without end")
        self._searched = len(pending)
        return bytes(pending[:end]) if end >= 0 else None

    def _whole(self, head: Head) -> Response:
        begin, need = len(head.raw) + 4, self._need
        body = decompress(head, bytes(self._pending[begin:need]))
        beyond = len(self._pending) > need
        self._drained()
        if need == head.response_bytes and not beyond and self._heads.add(head):
            self._latest = head
        return Response(head, head.status, body, head.keep_alive and not beyond)

    def _parsed(self, data: bytes, method: str = "") -> Response | None:
        if self._parser is None:
            self._parser = Parser(method)
        reply = self._parser.feed(data)
        if reply is not None:
            self._parser = None
        return reply

    def _drained(self) -> bytes:
        """What was pending; from here on nothing is."""
        data = bytes(self._pending)
        self._pending.clear()
        self._searched, self._head, self._need = 0, None, 0
        return data


def _length(head: Head, method: str) -> int:
    """The body's length where it is known beforehand, else -1.

    Raises:
        ProtocolError: nobody means to send so much.
    """
    if method == "HEAD" or head.status in (204, 304):
        return 0
    if head.length > MAX_BODY_BYTES:
        raise ProtocolError("a body without end")
    return head.length


class Encoder:
    """Requests to bytes for one host. The lines that depend on method and path alone are built once."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._host = b"Host: " + host.encode("ascii") + b"\r\n"
        self._lines: dict[tuple[str, str], bytes] = {}

    def encode_around_key(self, request: Request, session_lines: bytes) -> tuple[bytes, bytes]:
        """The bytes of a request, around the place for its Idempotency-Key; ``session_lines`` are its session's own.

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        first = self._first(request.method, request.path) + session_lines
        rest = b"".join([_header(name, value) for name, value in request.headers.items()]) if request.headers else b""
        if request.body:
            kind = b"Content-Type: " + request.content_type.encode() + b"\r\n"
            return first, b"%b%bContent-Length: %d\r\n\r\n%b" % (rest, kind, len(request.body), request.body)
        return first, rest + (b"\r\n" if request.method in ("GET", "HEAD") else b"Content-Length: 0\r\n\r\n")

    def encode(self, request: Request, session_lines: bytes, key: bytes = b"") -> bytes:
        """The bytes of a request with ``key``, the line that holds its Idempotency-Key.

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        first, rest = self.encode_around_key(request, session_lines)
        return first + key + rest

    def encode_upgrade(self, asked: Connect, session_lines: bytes, key: str) -> bytes:
        """The bytes that ask for a WebSocket (RFC 6455, section 4.1).

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        first = self._first("GET", asked.path).replace(_KEEP_ALIVE, b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        headers = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **(asked.headers or {})}
        return first + session_lines + b"".join([_header(*header) for header in headers.items()]) + b"\r\n"

    def _first(self, method: str, path: str) -> bytes:
        line = self._lines.get((method, path))
        if line is None:
            target = _sendable(path)
            if not target.startswith(b"/") or b" " in target:
                raise ValueError(f"a path begins with / and has no spaces: {path!r}")
            if len(self._lines) >= _CACHED_LINES:
                self._lines.clear()
            line = b"%b %b HTTP/1.1\r\n" % (_sendable(method), target) + self._host + _KEEP_ALIVE
            self._lines[method, path] = line
        return line


def key_line(op: int) -> bytes:
    """The header that names a write."""
    return b"Idempotency-Key: %016x\r\n" % op


def _header(name: str, value: str) -> bytes:
    return _sendable(name) + b": " + _sendable(value) + b"\r\n"


def _sendable(text: str) -> bytes:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"only printable ASCII can be sent here: {text!r}")
    return text.encode("ascii")
