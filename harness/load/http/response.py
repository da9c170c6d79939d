"""A reply, decoded only as far as somebody looks; its head apart, since many replies share the very same one."""

import json
import re
from typing import Any, Self

import msgspec

_decode = msgspec.json.Decoder().decode
_UNREAD: Any = object()
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REGULAR = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [^\r\n\0]*)?(?:\r\n" + _TOKEN + rb":[^\r\n\0]*)*")


class IrregularError(Exception):
    """A head that is not of the strict form: perhaps none, perhaps merely unusual."""


class Head:
    """The status line and the headers of a reply, without the empty line."""

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
        self.replica = self._first(b"x-replica")  # the replica that answered; empty where the balancer did
        self.boot = self._first(b"x-boot")  # the id of that replica's start
        self.keep_alive = raw.startswith(b"HTTP/1.1") and b"close" not in self.tokens(b"connection")
        self.length = self._plain_length()  # of the body where one Content-Length tells it, else -1
        self.block = raw + b"\r\n\r\n"
        self.response_bytes = len(self.block) + self.length  # bytes of the reply, where the length is known
        #: The numbers of replica and boot, for whoever records many replies with this head.
        self.record_ids: tuple[int, int] | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """A head from its bytes.

        Raises:
            IrregularError: it is not of the strict form of RFC 9112.
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

    def _plain_length(self) -> int:
        lengths = self.all(b"content-length")
        if len(lengths) != 1 or not lengths[0].isdigit() or self.all(b"transfer-encoding"):
            return -1
        return int(lengths[0])

    def _first(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self._lines if key == name), "")

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; where a name repeats, the last."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._lines}


class Response(msgspec.Struct, gc=False, eq=False):
    """One reply, whole. ``status`` 0: none came. A Struct, since one is made for every request that is answered."""

    head: Head
    status: int
    body: bytes
    keep_alive: bool = True  # whether the connection can carry another request
    _json: Any = _UNREAD

    @property
    def ok(self) -> bool:
        """Whether it is a reply of a status below 400."""
        return 0 < self.status < 400

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name; where a name repeats, the last. (For cookies: ``head.cookies``.)"""
        return self.head.headers

    @property
    def replica(self) -> str:
        """``X-Replica``, the replica that answered; empty where the balancer did."""
        return self.head.replica

    @property
    def boot(self) -> str:
        """``X-Boot``, the id of that replica's start."""
        return self.head.boot

    def json(self) -> Any:
        """The body as JSON, decoded once.

        Raises:
            ValueError: it is none.
        """
        if self._json is _UNREAD:
            try:
                self._json = _decode(self.body)
            except ValueError:  # the standard library's notion of JSON is wider (NaN), and its is the one promised
                self._json = json.loads(self.body.decode())
        return self._json


#: What stands for a reply where none came.
NO_RESPONSE = Response(Head(b"", 0, []), 0, b"")
