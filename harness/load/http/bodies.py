"""The bodies of responses off the fast path: by length, in chunks, or until the connection ends.

Each takes a time linear in its bytes, however they are cut, and all bodies of a process together are bounded by its
``ReplyMemory``.
"""

import re
import zlib
from typing import Protocol

MIB = 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 4 * MIB  # to keep a larger one takes over 50 ms where fresh memory is slow
#: A decompressed body: more would hold up all sessions while it is decompressed.
MAX_INFLATED_BYTES = 1 * MIB
#: What replies under way, and large ones that sessions still hold, may take in one process.
MAX_PROCESS_BYTES = 96 * MIB
_LARGE = 64 * 1024
_MAX_MEMBERS = 1000
_MEMBER_WINDOW = 16 * 1024
_MAX_SIZE_LINE = 4096
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # detected by the header
_RAW_DEFLATE = -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class ProtocolError(Exception):
    """The bytes are not an HTTP/1 response, or it exceeds the size limits."""


class ReplyMemory:
    """How many bytes of replies one process holds: those under way, and large bodies as long as somebody has them."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = MAX_PROCESS_BYTES) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Count further bytes.

        Raises:
            ProtocolError: there would be too many.
        """
        if self.used + size > self.limit:
            raise ProtocolError(f"the replies under way have more than {self.limit // MIB} MB together")
        self.used += size

    def hold(self, body: bytes | bytearray) -> bytes:
        """A body as immutable bytes, which count until they are freed if they are many.

        Raises:
            ProtocolError: there would be too many.
        """
        if len(body) < _LARGE:
            return bytes(body)
        self.take(len(body))
        held = HeldBytes(body)
        held.memory = self
        return held


class HeldBytes(bytes):
    """A large body, which counts in its process's ``ReplyMemory`` until it is freed."""

    memory: ReplyMemory

    def __del__(self) -> None:
        """Give its bytes back."""
        self.memory.used -= len(self)


class BodyReader(Protocol):
    """Reads one body."""

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            ProtocolError: they cannot belong to a body, or it is too long.
        """

    @property
    def content(self) -> bytearray | None:
        """The body once it is complete."""

    @property
    def surplus(self) -> bool:
        """Whether bytes came that do not belong to it."""

    def end(self) -> bool:
        """Take note that the connection has ended; returns whether that completes the body."""


class SizedBody:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        if length > MAX_BODY_BYTES:
            raise ProtocolError("the body is too long")
        self._length = length
        self._received = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._received += data

    @property
    def content(self) -> bytearray | None:
        """The body once all of it is there."""
        if len(self._received) < self._length:
            return None
        return self._received[: self._length] if self.surplus else self._received

    @property
    def surplus(self) -> bool:
        """Whether more bytes came."""
        return len(self._received) > self._length

    def end(self) -> bool:
        """The body is cut off."""
        return False


class UnsizedBody:
    """A body that ends with the connection."""

    surplus = False

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._received += data
        if len(self._received) > MAX_BODY_BYTES:
            raise ProtocolError("the body is too long")

    @property
    def content(self) -> bytearray | None:
        """The body once the connection has ended."""
        return self._received if self._ended else None

    def end(self) -> bool:
        """The body is complete."""
        self._ended = True
        return True


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1); its trailers are dropped."""

    def __init__(self) -> None:
        self._pending = bytearray()  # from the size line of a chunk that is not all there
        self._content = bytearray()
        self._in_trailers = self._complete = False

    @property
    def content(self) -> bytearray | None:
        """The body once its last chunk and the trailers are there."""
        return self._content if self._complete else None

    @property
    def surplus(self) -> bool:
        """Whether bytes came behind it."""
        return self._complete and bool(self._pending)

    def end(self) -> bool:
        """The body is cut off."""
        return False

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        pending = self._pending
        pending += data
        if not self._in_trailers:
            self._take_chunks()
        if self._in_trailers and not self._complete:
            self._take_trailers()

    def _take_chunks(self) -> None:
        pending, content, place = self._pending, self._content, 0
        while line := _SIZE_LINE.match(pending, place):
            size, begin = int(line[1], 16), line.end()
            if size == 0:
                self._in_trailers, place = True, begin
                break
            end = begin + size
            if len(content) + size > MAX_BODY_BYTES:
                raise ProtocolError("the body is too long")
            if len(pending) < end + 2:
                break
            if pending[end : end + 2] != b"\r\n":
                raise ProtocolError("a chunk is longer than its size")
            content += pending[begin:end]
            place = end + 2
        else:
            if len(pending) - place > _MAX_SIZE_LINE or pending.find(b"\n", place) >= 0:
                raise ProtocolError("a chunk without a size")
        del pending[:place]

    def _take_trailers(self) -> None:
        pending = self._pending
        if pending.startswith(b"\r\n"):
            end = 0
        else:
            end = pending.find(b"\r\n\r\n") + 2
            if end < 2:
                if len(pending) > MAX_HEAD_BYTES:
                    raise ProtocolError("the trailers are too long")
                return
            if not all(map(_TRAILER.fullmatch, pending[: end - 2].split(b"\r\n"))):
                raise ProtocolError("malformed trailers")
        del pending[: end + 2]
        self._complete = True


def decompress(codings: list[bytes], body: bytes | bytearray) -> bytes | bytearray:
    """Undo gzip or deflate if that is the only coding; a body in other codings is returned unchanged.

    Raises:
        ProtocolError: the body is not in the declared coding, or exceeds the size limit when decompressed.
    """
    if not body or codings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        return body
    try:
        return _inflate(body, _GZIP_OR_ZLIB)
    except zlib.error as problem:
        if codings != [b"deflate"]:
            raise ProtocolError(f"the body is not {codings[0].decode()}: {problem}") from problem
    try:
        return _inflate(body, _RAW_DEFLATE)  # some servers send raw deflate
    except zlib.error as problem:
        raise ProtocolError(f"the body is not deflate: {problem}") from problem


def _inflate(body: bytes | bytearray, wbits: int) -> bytearray:
    """Decompress in windows: what follows a member is copied once per window, not once per member of the rest."""
    output, view, place = bytearray(), memoryview(body), 0
    for _ in range(_MAX_MEMBERS):
        stream = zlib.decompressobj(wbits)
        while not stream.eof and place < len(view):
            output += stream.decompress(view[place : place + _MEMBER_WINDOW], MAX_INFLATED_BYTES + 1 - len(output))
            if len(output) > MAX_INFLATED_BYTES:
                raise ProtocolError("the decompressed body is too long")
            place += _MEMBER_WINDOW
        if not stream.eof:
            raise zlib.error("it ends early")
        place = min(place, len(view)) - len(stream.unused_data)
        if bytes(view[place : place + 2]) != _GZIP_MAGIC:
            return output  # as browsers do, whatever follows
    raise ProtocolError("the body is compressed in too many pieces")
