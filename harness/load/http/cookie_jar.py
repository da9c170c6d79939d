"""The cookies of one browser: RFC 6265bis, section 5.7, as Chromium has it. Only ``Set-Cookie`` and time change them.

A jar that has nothing new to say answers from memory: ``header_line`` prepares one line per path and keeps it until a
cookie changes. ``version`` counts the changes, and nothing expires before ``earliest_expiry``. Times are those of
CLOCK_MONOTONIC in ns; only an ``Expires`` is compared with the wall clock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from harness.load.http.set_cookie import NEVER, RefusedCookieError, SetCookie, name_of, parse_set_cookie
from harness.load.http.site import Site
from harness.observations.identity import MAX_CHANGES, SHOWN, Change

#: Cookies of one site: above the first number, those that were not set again for longest go until the second is left.
MAX_COOKIES, KEPT_COOKIES = 180, 150
MAX_SET = 500  # cookies that one reply may set
#: Later than any load ends.
NO_EXPIRY = 1 << 62
_MAX_LINES = 256
_Key = tuple[bytes, str, bool, bytes, bool]


class CookieChange(NamedTuple):
    """What became of a cookie. ``why`` is an attribute, a rule of browsers, or the path whose reply did it."""

    change: Change
    name: str
    value: str  # its first characters
    why: str


class _Stored(NamedTuple):
    """A cookie in the jar."""

    cookie: SetCookie
    expires: int  # ns, NO_EXPIRY without a lifetime
    received: int  # its place among all that came, those with a known value too


class CookieJar:
    """The cookies of one browser, for every host that it talks to.

    An ``immortal`` jar keeps a cookie that merely grows old; only a reply deletes one. ``changes`` collects what became
    of cookies until ``take_changes``, of very many the first.
    """

    __slots__ = ("_cookies", "_immortal", "_lines", "_received", "_wall_clock", "changes", "earliest_expiry", "version")

    def __init__(self, immortal: bool = False, wall_clock: Callable[[], float] = time.time) -> None:
        self._cookies: dict[_Key, _Stored] = {}  # in the order in which they were created
        self._immortal = immortal
        self._wall_clock = wall_clock
        self._lines: dict[tuple[Site, str], bytes] = {}
        self._received = self.version = 0
        self.earliest_expiry = NO_EXPIRY
        self.changes: list[CookieChange] = []

    def __len__(self) -> int:
        return len(self._cookies)

    def take_changes(self) -> list[CookieChange]:
        """What became of cookies since the last call."""
        changes, self.changes = self.changes, []
        return changes

    def names(self) -> list[str]:
        """The names of all cookies, in the order of their creation."""
        return [stored.cookie.label for stored in self._cookies.values()]

    def discard(self, name: str) -> None:
        """Forget the cookies with this name."""
        self._cookies = {key: kept for key, kept in self._cookies.items() if kept.cookie.label != name}
        self._change()

    def copy_from(self, other: "CookieJar") -> None:
        """Replace all cookies by the current ones of another jar."""
        self._cookies, self._received = dict(other._cookies), other._received
        self._change()

    def copy(self) -> "CookieJar":
        """A jar with the same cookies."""
        copied = CookieJar(self._immortal, self._wall_clock)
        copied.copy_from(self)
        return copied

    # What replies change

    def update(self, headers: Sequence[bytes], site: Site, path: str, now: int, date: bytes = b"") -> bool:
        """Apply the ``Set-Cookie`` headers of the reply to a request for ``path``; returns whether anything changed.

        ``date`` is the reply's ``Date``. Of more than ``MAX_SET`` headers the last are read, so that one reply does not
        hold up all other sessions.
        """
        changed = False
        where, wall_time = path.encode("latin-1", "replace"), self._wall_clock()
        for header in headers[-MAX_SET:]:
            try:
                cookie = parse_set_cookie(header, site, where, wall_time, date)
            except RefusedCookieError as refusal:
                self._add_change(Change.REFUSED, name_of(header), b"", str(refusal))
            else:
                changed |= self._store(cookie, path, now)
        if changed:
            self._change()
        return changed

    def _store(self, cookie: SetCookie, path: str, now: int) -> bool:
        key = (cookie.name, cookie.domain, cookie.host_only, cookie.path, cookie.partitioned)
        known = self._cookies.get(key)
        if cookie.lifetime <= 0:
            if known is None and cookie.value:
                self._add_change(Change.EXPIRED, cookie.label, cookie.value, f"{cookie.limit} when it came")
            if known is not None:
                del self._cookies[key]
                why = f"{cookie.limit} in the reply to {_without_query(path)}"
                self._add_change(Change.DELETED, known.cookie.label, known.cookie.value, why)
            return known is not None
        expires = NO_EXPIRY if cookie.lifetime == NEVER else now + round(cookie.lifetime * 1e9)
        if known is not None and known.cookie.value != cookie.value:
            del self._cookies[key]
        self._received += 1
        stored = self._cookies[key] = _Stored(cookie, expires, self._received)
        if known is None:
            self._add_change(Change.SET, cookie.label, cookie.value, f"reply to {_without_query(path)}")
            self._evict()
        elif known.cookie.value != cookie.value:
            self._add_change(Change.REPLACED, cookie.label, cookie.value, f"reply to {_without_query(path)}")
        self.earliest_expiry = min(self.earliest_expiry, self._end_of(stored))
        return known is None or known.cookie != cookie

    def _evict(self) -> None:
        """Drop what no reply has set for longest when there are too many, cookies without ``Secure`` first."""
        if len(self._cookies) > MAX_COOKIES:
            oldest = sorted(self._cookies.items(), key=lambda item: (item[1].cookie.secure, item[1].received))
            for key, stored in oldest[:-KEPT_COOKIES]:
                del self._cookies[key]
                name, value = stored.cookie.label, stored.cookie.value
                self._add_change(Change.DROPPED, name, value, f"more than {MAX_COOKIES} cookies")

    def _add_change(self, change: Change, name: str, value: bytes, why: str) -> None:
        if len(self.changes) < MAX_CHANGES:
            self.changes.append(CookieChange(change, name, value[:SHOWN].decode("latin-1"), why))

    # What time changes

    def expire(self, now: int) -> None:
        """Drop the cookies whose time is up."""
        for key, stored in list(self._cookies.items()):
            if self._end_of(stored) <= now:
                del self._cookies[key]
                self._add_change(Change.EXPIRED, stored.cookie.label, stored.cookie.value, stored.cookie.limit)
        self._change()

    def _end_of(self, stored: _Stored) -> int:
        return NO_EXPIRY if self._immortal else stored.expires

    def _change(self) -> None:
        self.version += 1
        self._lines.clear()
        self.earliest_expiry = min(map(self._end_of, self._cookies.values()), default=NO_EXPIRY)

    # What is sent

    def header_line(self, site: Site, path: str, now: int) -> bytes:
        """The ``Cookie`` header of a request for ``path``, ready to send; empty if no cookie is for it."""
        if now >= self.earliest_expiry:
            self.expire(now)
        line = self._lines.get((site, path))
        if line is None:
            if len(self._lines) >= _MAX_LINES:
                self._lines.clear()
            pairs = b"; ".join(cookie.pair for cookie in self._select(site, path))
            line = self._lines[site, path] = b"Cookie: " + pairs + b"\r\n" if pairs else b""
        return line

    def _select(self, site: Site, path: str) -> Iterator[SetCookie]:
        """The cookies for a request: those of longer paths first, then the older ones."""
        where = path.partition("?")[0].encode("latin-1", "replace")
        for stored in sorted(self._cookies.values(), key=lambda stored: -len(stored.cookie.path)):
            cookie = stored.cookie
            if not cookie.is_for_host(site) or (cookie.secure and not site.secure):
                continue
            if cookie.is_for_path(where):
                yield cookie
            else:
                self._add_change(
                    Change.WITHHELD, cookie.label, cookie.value, f"Path={cookie.path[:80].decode('latin-1')}"
                )


def _without_query(path: str) -> str:
    return path.partition("?")[0][:80]
