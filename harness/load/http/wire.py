"""HTTP/1.1 as bytes: encodes requests and decodes responses. Pure: no sockets, no clock.

Nearly every response arrives in one piece, has a Content-Length, and has a head that is identical to an earlier one.
Such a head is looked up instead of parsed. Other heads are parsed here, unusual ones in ``parser``; bodies that do not
come with their head are read in ``bodies``.
"""

from harness.load.http.bodies import (
    MAX_HEAD_BYTES,
    BodyReader,
    ChunkedBody,
    ProtocolError,
    ReplyMemory,
    SizedBody,
    UnsizedBody,
    decompress,
)
from harness.load.http.client import Connect, Request
from harness.load.http.parser import HeadParser
from harness.load.http.response import Head, IrregularError, Response

__all__ = ["Encoder", "HeadCache", "ProtocolError", "Response", "ResponseReader"]

_BEGINS = b"HTTP/1."
_HEAD_ENDS = b"\r\n\r\n"
_MAX_CACHED_HEADS = 2048
_MAX_CACHED_BYTES = 2048
_MAX_CACHED_LINES = 10_000
_MAX_INTERIM = 100
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
#: The method that a connection uses for a WebSocket upgrade; on the wire it is a GET.
UPGRADE = "UPGRADE"
#: The same for an event stream: its response is there as soon as its head is.
STREAM = "STREAM"


class HeadCache(dict[bytes, Head]):
    """Heads that are likely to come again, by their bytes. Bounded: when it is full, it is cleared.

    All their responses (except to HEAD) have the same form: an unencoded body of the head's length, on a connection
    that is kept alive.
    """

    def add(self, head: Head) -> bool:
        """Remember a head if it has that form and is likely to come again; returns whether it was added."""
        if head.length < 0 or not head.keep_alive or head.cookies or head.all(b"content-encoding"):
            return False
        if len(head.raw) > _MAX_CACHED_BYTES or head.status in (204, 304) or head.opens_stream:
            return False
        if len(self) >= _MAX_CACHED_HEADS:
            self.clear()
        self[head.raw] = head
        return True


#: No response begins like this.
_NO_HEAD = Head(b"\0", 0, [])


class ResponseReader:
    """Reads the responses of one connection, from bytes in any pieces."""

    __slots__ = (
        "_body",
        "_cache",
        "_held",
        "_interim",
        "_latest",
        "_memory",
        "_parser",
        "_pending",
        "_searched",
        "head",
        "trailing_data",
    )

    def __init__(self, cache: HeadCache, memory: ReplyMemory | None = None) -> None:
        self._cache = cache
        self._memory = ReplyMemory() if memory is None else memory
        self._latest = _NO_HEAD  # the head of the previous response; the next one probably has the same
        self._pending = bytearray()  # what came of a head that is not all there
        self._searched = 0  # bytes of ``_pending`` in which no head ends
        self._interim = 0  # 1xx responses that came before the final one
        self._held = 0  # bytes of the pending response that count in ``memory``
        self._parser: HeadParser | None = None  # reads the pending head, if its form is unusual
        self.head: Head | None = None  # of the response that is being read, once it is there
        self._body: BodyReader | None = None
        self.trailing_data = b""  # what followed a 101 response, or the head of an event stream

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
        if self.head is not None and self._body is not None and self._body.end():
            return self._complete(self.head, self._body, False)
        if self.head is not None or self._pending or self._parser is not None:
            raise ProtocolError("the connection ended within a response")
        return None

    def reset(self) -> None:
        """Forget what is pending."""
        self._memory.used -= self._held
        self._pending = bytearray()
        self._searched = self._interim = self._held = 0
        self._parser = self.head = self._body = None

    def _feed_slowly(self, data: bytes, method: str) -> Response | None:
        self._memory.take(len(data))
        self._held += len(data)
        if self._body is None:
            found = self._read_head(data, method)
            if found is None:
                return None
            head, data = found
            if head.status == 101 or (method == STREAM and head.opens_stream):
                return self._switch(head, data, method)
            self.head, self._body = head, _body_of(head, method)
        self._body.feed(data)
        if self._body.content is None or self.head is None:
            return None
        return self._complete(self.head, self._body, not self._body.surplus)

    def _switch(self, head: Head, surplus: bytes, method: str) -> Response:
        if (head.status == 101) != (method == UPGRADE):
            raise ProtocolError("a change of protocol that was not requested")
        self.reset()
        self.trailing_data = surplus
        return Response(head, head.status, b"", False)

    def _read_head(self, data: bytes, method: str) -> tuple[Head, bytes] | None:
        """The head of the final response, once it is there, and the bytes behind it; interim (1xx) ones are skipped."""
        if self._parser is not None:
            return self._parser.feed(data)
        pending = self._pending
        pending += data
        try:
            while (raw := self._raw_head()) is not None:
                head = self._cache.get(raw) or Head.parse(raw)
                del pending[: len(head.block)]
                self._searched = 0
                if head.status >= 200 or head.status == 101:
                    _check_framing(head)
                    rest, self._pending = bytes(pending), bytearray()
                    return head, rest
                self._interim += 1
                if self._interim > _MAX_INTERIM:
                    raise ProtocolError("too many interim responses")
        except IrregularError as irregular:
            self._parser = HeadParser(method)
            raw_head = irregular.args[0] + _HEAD_ENDS if irregular.args else b""
            rest, self._pending = bytes(raw_head + pending), bytearray()
            return self._parser.feed(rest)
        return None

    def _raw_head(self) -> bytes | None:
        """The bytes of the head once it is complete.

        Raises:
            ProtocolError: not HTTP/1, or the head is too long.
            IrregularError: only ``HeadParser`` can read it.
        """
        pending, begin = self._pending, max(0, self._searched - 3)
        end = pending.find(_HEAD_ENDS, begin)
        if not pending.startswith(_BEGINS) and not _BEGINS.startswith(bytes(pending[:7])):
            raise ProtocolError("not an HTTP/1 response")
        if (end if end >= 0 else len(pending)) > MAX_HEAD_BYTES:
            raise ProtocolError("the head is too long")
        if end < 0 and (pending.find(b"\n\n", begin) >= 0 or pending.find(b"\n\r\n", begin) >= 0):
            raise IrregularError  # lines that end without CR
        self._searched = len(pending)
        return bytes(pending[:end]) if end >= 0 else None

    def _complete(self, head: Head, body: BodyReader, reusable: bool) -> Response:
        content = body.content
        assert content is not None  # noqa: S101 - it is complete
        if reusable and isinstance(body, SizedBody) and len(content) == head.length and self._cache.add(head):
            self._latest = head
        self.reset()
        content_codings = [coding for value in head.all(b"content-encoding") if (coding := value.strip().lower())]
        whole = self._memory.hold(decompress(content_codings, content))
        return Response(head, head.status, whole, reusable and head.keep_alive)


def _check_framing(head: Head) -> None:
    """Leave to h11 what neither one length nor plain chunks frame.

    Raises:
        IrregularError: it has to check the head.
    """
    lengths, codings = head.all(b"content-length"), head.all(b"transfer-encoding")
    is_plain = head.length >= 0 or not lengths
    if not is_plain or (codings and (lengths or [coding.lower() for coding in codings] != [b"chunked"])):
        raise IrregularError(head.raw)


def _body_of(head: Head, method: str) -> BodyReader:
    """What reads the body behind a head that was checked.

    Raises:
        ProtocolError: it is too long.
    """
    if method == "HEAD" or head.status in (204, 304):
        return SizedBody(0)
    if head.all(b"transfer-encoding"):
        return ChunkedBody()
    return SizedBody(head.length) if head.length >= 0 else UnsizedBody()


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
