"""The cookies of one session. Only ``Set-Cookie`` changes them; an error never does.

A session talks to one address, so the domain and path of a cookie are ignored. A cookie is deleted as in RFC 6265:
by a ``Max-Age`` of 0 or less, or (without ``Max-Age``) by an ``Expires`` in the past. A cookie that expires later is
kept: a client that forgets it by its own clock would hide what the service forgot. A cookie of more than 4096 bytes,
name and value together, is ignored, as browsers do (RFC 6265bis, 5.6), and the previous value stays.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: As many as browsers keep for one site; the oldest is dropped.
MAX_COOKIES = 180
#: Bytes of name and value together, above which browsers ignore a cookie.
MAX_COOKIE_BYTES = 4096


class Cookies:
    """Names and values as sent; ``line`` is the header ready to send, empty if there are no cookies."""

    __slots__ = ("_values", "header_line", "rejected_name")

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self.header_line = b""
        self.rejected_name = b""  # the name of the latest cookie that was too large

    def update(self, headers: Iterable[bytes]) -> bool:
        """Apply the values of Set-Cookie headers; returns whether anything changed."""
        changed = False
        for header in headers:
            changed |= self._apply(header)
        if changed:
            pairs = b"; ".join([name + b"=" + value for name, value in self._values.items()])
            self.header_line = b"Cookie: " + pairs + b"\r\n" if pairs else b""
        return changed

    def copy_from(self, other: "Cookies") -> None:
        """Replace all cookies by the current ones of another session."""
        self._values, self.header_line = dict(other._values), other.header_line

    def _apply(self, header: bytes) -> bool:
        pair, _, attributes = header.partition(b";")
        name, equals, value = pair.partition(b"=")
        name, value = name.strip(), value.strip()
        if not equals or not name:
            return False
        if attributes and _is_deletion(attributes):
            return self._values.pop(name, None) is not None
        if self._values.get(name) == value:
            return False
        if len(name) + len(value) > MAX_COOKIE_BYTES:
            self.rejected_name = name
            return False
        self._values[name] = value
        if len(self._values) > MAX_COOKIES:
            del self._values[next(iter(self._values))]
        return True


def _is_deletion(attributes: bytes) -> bool:
    expired = False
    for attribute in attributes.split(b";"):
        key, _, value = attribute.partition(b"=")
        key = key.strip().lower()
        if key == b"max-age":
            digits = value.strip()
            if digits.removeprefix(b"-").isdigit():
                return int(digits) <= 0
        elif key == b"expires":
            expired = _is_past(value.strip().decode("latin-1"))
    return expired


def _is_past(date: str) -> bool:
    try:
        expires = parsedate_to_datetime(date)
    except ValueError:
        return False  # RFC 6265: an unreadable date is ignored
    return expires.replace(tzinfo=expires.tzinfo or UTC) <= datetime.now(UTC)
