"""A response, decoded only on demand; its head is separate, since many responses share the same one."""

import json
import re
from typing import Any, Self

import msgspec

_decode = msgspec.json.Decoder().decode
_NOT_DECODED: Any = object()
#: Characters of the name of a replica or boot; digits of a length.
_MAX_NAME, _MAX_LENGTH_DIGITS = 200, 18
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REGULAR = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [^\r\n\0]*)?(?:\r\n" + _TOKEN + rb":[^\r\n\0]*)*")


class IrregularError(Exception):
    """The bytes do not have the strict form of a head: they may be an unusual head, or no head at all."""


class Head:
    """The status line and the headers of a response, without the empty line."""

    __slots__ = (
        "_lines",
        "block",
        "boot",
        "cookies",
        "keep_alive",
        "length",
        "raw",
        "record_ids",
        "replica",
        "response_bytes",
        "status",
    )

    def __init__(self, raw: bytes, status: int, lines: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw
        self.status = status
        self._lines = lines
        self.cookies = self.all(b"set-cookie")  # every Set-Cookie, in order
        self.replica = self._first(b"x-replica")[:_MAX_NAME]  # the replica that answered; empty if the balancer did
        self.boot = self._first(b"x-boot")[:_MAX_NAME]  # the id of that replica's start
        self.keep_alive = raw.startswith(b"HTTP/1.1") and b"close" not in self.tokens(b"connection")
        self.length = self._content_length()  # of the body, in bytes; -1 unless one Content-Length declares it
        self.block = raw + b"\r\n\r\n"
        self.response_bytes = len(self.block) + self.length  # bytes of the whole response, if ``length`` is known
        #: The ids of replica and boot in the records, set once for all responses with this head.
        self.record_ids: tuple[int, int] | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Parse the bytes of a head.

        Raises:
            IrregularError: they do not have the strict form of RFC 9112.
        """
        if _REGULAR.fullmatch(raw) is None:
            raise IrregularError
        lines = (line.partition(b":") for line in raw.split(b"\r\n")[1:])
        return cls(raw, int(raw[9:12]), [(name.lower(), value.strip(b" \t")) for name, _, value in lines])

    def all(self, name: bytes) -> list[bytes]:
        """The values of a header (by its lower-case name), in order."""
        return [value for key, value in self._lines if key == name]

    def tokens(self, name: bytes) -> set[bytes]:
        """The lower-case members of a header that holds a list."""
        return {token.strip() for value in self.all(name) for token in value.lower().split(b",")}

    @property
    def opens_stream(self) -> bool:
        """Whether an event stream follows it."""
        kinds = self.all(b"content-type")
        return self.status == 200 and bool(kinds) and kinds[0].lower().startswith(b"text/event-stream")

    def _content_length(self) -> int:
        lengths = self.all(b"content-length")
        if len(lengths) != 1 or not lengths[0].isdigit() or self.all(b"transfer-encoding"):
            return -1
        digits = lengths[0].lstrip(b"0") or b"0"
        return int(digits[:_MAX_LENGTH_DIGITS])  # of more, the first are too many already

    def _first(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self._lines if key == name), "")

    @property
    def date(self) -> bytes:
        """The time of the server when it replied; empty if it does not say."""
        return next(iter(self.all(b"date")), b"")

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; if a name repeats, the last value."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._lines}


class Response(msgspec.Struct, gc=False, eq=False):
    """One complete response; ``status`` 0 means none came. A Struct is cheap: one is created for every request."""

    head: Head
    status: int
    body: bytes
    keep_alive: bool = True  # whether the connection can carry another request
    _json: Any = _NOT_DECODED

    @property
    def ok(self) -> bool:
        """Whether there is a response, with a status below 400."""
        return 0 < self.status < 400

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; if a name repeats, the last value. (For cookies: ``head.cookies``.)"""
        return self.head.headers

    @property
    def replica(self) -> str:
        """``X-Replica``, the replica that answered; empty if the balancer did."""
        return self.head.replica

    @property
    def boot(self) -> str:
        """``X-Boot``, the id of the start of that replica."""
        return self.head.boot

    def json(self) -> Any:
        """The body as JSON, decoded once.

        Raises:
            ValueError: it is not JSON.
        """
        if self._json is _NOT_DECODED:
            self._json = decode_json(self.body)
        return self._json


def decode_json(data: bytes) -> Any:
    """JSON as browsers read it: with or without a byte order mark, and with U+FFFD for what is no UTF-8.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        try:
            return _decode(data)
        except ValueError:  # the standard library accepts more (NaN), and that is what is promised
            return json.loads(data.decode("utf-8-sig", "replace"))
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem


#: Stands for a response when none came.
NO_RESPONSE = Response(Head(b"", 0, []), 0, b"")
