"""HTTP/1.1 as bytes: encodes requests and decodes responses. Pure: no sockets, no clock.

Nearly every response arrives in one piece, has a Content-Length, and has a head that is identical to an earlier one.
Such a head is looked up instead of parsed. Other heads are parsed here; rarer forms (chunked, a body that ends with
the connection, an unusual head) are left to ``parser``.
"""

from harness.load.http.client import Connect, Request
from harness.load.http.parser import MAX_BODY_BYTES, MAX_HEAD_BYTES, Parser, ProtocolError, decompress
from harness.load.http.response import Head, IrregularError, Response

__all__ = ["Encoder", "HeadCache", "ProtocolError", "Response", "ResponseReader"]

_BEGINS = b"HTTP/1."
_HEAD_ENDS = b"\r\n\r\n"
_MAX_CACHED_HEADS = 2048
_MAX_CACHED_BYTES = 2048
_MAX_CACHED_LINES = 10_000
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
#: The method that a connection uses for a WebSocket upgrade; on the wire it is a GET.
UPGRADE = "UPGRADE"


class HeadCache(dict[bytes, Head]):
    """Heads that are likely to come again, by their bytes. Bounded: when it is full, it is cleared.

    All their responses (except to HEAD) have the same form: an unencoded body of the head's length, on a connection
    that is kept alive.
    """

    def add(self, head: Head) -> bool:
        """Remember a head if it has that form and is likely to come again; returns whether it was added."""
        if head.length < 0 or not head.keep_alive or head.cookies or head.all(b"content-encoding"):
            return False
        if len(head.raw) > _MAX_CACHED_BYTES or head.status in (204, 304):
            return False
        if len(self) >= _MAX_CACHED_HEADS:
            self.clear()
        self[head.raw] = head
        return True


#: No response begins like this.
_NO_HEAD = Head(b"\0", 0, [])


class ResponseReader:
    """Reads the responses of one connection, from bytes in any pieces."""

    __slots__ = ("_cache", "_head", "_latest", "_need", "_parser", "_pending", "_searched", "trailing_data")

    def __init__(self, cache: HeadCache) -> None:
        self._cache = cache
        self._latest = _NO_HEAD  # the head of the previous response; the next one probably has the same
        self._pending = bytearray()
        self._searched = 0  # bytes of ``_pending`` in which no head ends
        self._head: Head | None = None  # of the pending response, once it is complete
        self._need = 0  # bytes of the pending response, with its head
        self._parser: Parser | None = None
        self.trailing_data = b""  # what followed a 101 response: not HTTP

    def feed(self, data: bytes, method: str) -> Response | None:
        """Take bytes; returns the response to a request with ``method`` when it is complete.

        Raises:
            ProtocolError: the bytes cannot be an HTTP response.
        """
        head = self._latest
        if data.startswith(head.block) and len(data) == head.response_bytes and method != "HEAD":
            return Response(head, head.status, data[len(head.block) :])
        if head is _NO_HEAD or method == "HEAD":
            return self._feed_slowly(data, method)
        known = self._cache.get(data[: data.find(_HEAD_ENDS)])
        if known is None or len(data) != known.response_bytes:
            self._latest = _NO_HEAD
            return self._feed_slowly(data, method)
        self._latest = known
        return Response(known, known.status, data[len(known.block) :])

    def end(self, method: str) -> Response | None:
        """Handle the end of the connection; returns the response that it completes, if any.

        Raises:
            ProtocolError: the connection ended within a response.
        """
        if self._parser is not None:
            return self._parser.feed(b"")
        if self._pending:
            raise ProtocolError("the connection ended within a response")
        return None

    def _feed_slowly(self, data: bytes, method: str) -> Response | None:
        if self._parser is not None:
            return self._parse(data)
        self._pending += data
        if self._head is None:
            try:
                head = self._read_head()
                if head is None:
                    return None
                if head.status == 101 and method == UPGRADE:
                    self.trailing_data = self._drain()[len(head.block) :]
                    return Response(head, 101, b"", False)
                self._head, self._need = head, len(head.block) + _body_length(head, method)
            except IrregularError:
                return self._parse(self._drain(), method)
        return self._complete(self._head) if len(self._pending) >= self._need else None

    def _read_head(self) -> Head | None:
        """The head of the final response once it is complete; interim (1xx) responses are skipped.

        Raises:
            IrregularError: only ``Parser`` can read this response.
        """
        while (raw := self._raw_head()) is not None:
            head = self._cache.get(raw) or Head.parse(raw)
            if head.status >= 200 or head.status == 101:
                return head
            del self._pending[: len(head.block)]
            self._searched = 0
        if b"\n\n" in self._pending or b"\n\r\n" in self._pending:  # lines that end without CR
            raise IrregularError
        return None

    def _raw_head(self) -> bytes | None:
        """The bytes of the head once it is complete.

        Raises:
            ProtocolError: not HTTP/1, or the head is too long.
        """
        pending = self._pending
        end = pending.find(_HEAD_ENDS, max(0, self._searched - 3))
        if not pending.startswith(_BEGINS) and not _BEGINS.startswith(bytes(pending[:7])):
            raise ProtocolError("not an HTTP/1 response")
        if (end if end >= 0 else len(pending)) > MAX_HEAD_BYTES:
            raise ProtocolError("the head is too long")
        self._searched = len(pending)
        return bytes(pending[:end]) if end >= 0 else None

    def _complete(self, head: Head) -> Response:
        begin, need = len(head.raw) + 4, self._need
        body = decompress(head, bytes(self._pending[begin:need]))
        beyond = len(self._pending) > need
        self._drain()
        if need == head.response_bytes and not beyond and self._cache.add(head):
            self._latest = head
        return Response(head, head.status, body, head.keep_alive and not beyond)

    def _parse(self, data: bytes, method: str = "") -> Response | None:
        if self._parser is None:
            self._parser = Parser(method)
        response = self._parser.feed(data)
        if response is not None:
            self._parser = None
        return response

    def _drain(self) -> bytes:
        """Return what was pending, and reset."""
        data = bytes(self._pending)
        self._pending.clear()
        self._searched, self._head, self._need = 0, None, 0
        return data


def _body_length(head: Head, method: str) -> int:
    """The length of the body, in bytes.

    Raises:
        IrregularError: the head does not determine it.
        ProtocolError: it is too long.
    """
    if method == "HEAD" or head.status in (204, 304):
        return 0
    if head.length < 0:
        raise IrregularError
    if head.length > MAX_BODY_BYTES:
        raise ProtocolError("the body is too long")
    return head.length


class Encoder:
    """Encodes requests to one host. The lines that depend on method and path only are built once."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._host = b"Host: " + host.encode("ascii") + b"\r\n"
        self._lines: dict[tuple[str, str], bytes] = {}

    def encode_around_key(self, request: Request, session_lines: bytes) -> tuple[bytes, bytes]:
        """The bytes of a request before and after its Idempotency-Key; ``session_lines`` are its session's headers.

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        first = self._request_lines(request.method, request.path) + session_lines
        rest = (
            b"".join([_encode_header(name, value) for name, value in request.headers.items()])
            if request.headers
            else b""
        )
        if request.body:
            content_type = b"Content-Type: " + request.content_type.encode() + b"\r\n"
            return first, b"%b%bContent-Length: %d\r\n\r\n%b" % (rest, content_type, len(request.body), request.body)
        return first, rest + (b"\r\n" if request.method in ("GET", "HEAD") else b"Content-Length: 0\r\n\r\n")

    def encode(self, request: Request, session_lines: bytes, key: bytes = b"") -> bytes:
        """The bytes of a request; ``key`` is its Idempotency-Key line.

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        before, after = self.encode_around_key(request, session_lines)
        return before + key + after

    def encode_upgrade(self, connect: Connect, session_lines: bytes, key: str) -> bytes:
        """The bytes of a WebSocket upgrade request (RFC 6455, section 4.1).

        Raises:
            ValueError: a path or a header that cannot be sent.
        """
        first = self._request_lines("GET", connect.path).replace(
            _KEEP_ALIVE, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        )
        headers = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **(connect.headers or {})}
        return first + session_lines + b"".join([_encode_header(*header) for header in headers.items()]) + b"\r\n"

    def _request_lines(self, method: str, path: str) -> bytes:
        line = self._lines.get((method, path))
        if line is None:
            target = _encode_ascii(path)
            if not target.startswith(b"/") or b" " in target:
                raise ValueError(f"a path must begin with / and contain no spaces: {path!r}")
            if len(self._lines) >= _MAX_CACHED_LINES:
                self._lines.clear()
            line = b"%b %b HTTP/1.1\r\n" % (_encode_ascii(method), target) + self._host + _KEEP_ALIVE
            self._lines[method, path] = line
        return line


def key_line(op: int) -> bytes:
    """The header line that identifies a write."""
    return b"Idempotency-Key: %016x\r\n" % op


def _encode_header(name: str, value: str) -> bytes:
    return _encode_ascii(name) + b": " + _encode_ascii(value) + b"\r\n"


def _encode_ascii(text: str) -> bytes:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"only printable ASCII can be sent in a request line or header: {text!r}")
    return text.encode("ascii")
