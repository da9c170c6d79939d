"""One ``Set-Cookie`` as a browser understands it: RFC 6265bis, section 5.6; where that is open, as Chromium does."""

import re
from dataclasses import dataclass

from harness.load.http.cookie_dates import parse_cookie_date, parse_reply_date
from harness.load.http.site import Site

#: Bytes of name and value together, and of one attribute's value.
MAX_COOKIE_BYTES = 4096
MAX_ATTRIBUTE_BYTES = 1024
#: The lifetime of a cookie whose reply names none, and the longest one, in seconds.
NEVER = float("inf")
MAX_LIFETIME_S = 400 * 86400
#: Whole seconds; or more digits than a lifetime can have, whatever follows them.
_MAX_AGE = re.compile(rb"([+-]?)0*(?:(\d{0,18})|\d{19,}.*)")
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_PREFIX = re.compile(rb"__(?:Secure-|(?P<host>Host-)?(?P<http>Http-)?(?<=-))", re.IGNORECASE)
_BLANKS = b" \t"


class RefusedCookieError(Exception):
    """The cookie is ignored, as a browser ignores it; says why."""


@dataclass(frozen=True, slots=True)
class SetCookie:
    """What one ``Set-Cookie`` asks for. A ``lifetime`` of 0 or less deletes the cookie."""

    name: bytes
    value: bytes
    domain: str  # without the leading dot
    host_only: bool
    path: bytes
    secure: bool
    partitioned: bool
    lifetime: float  # seconds; NEVER: as long as the browser runs
    limit: str  # the attribute that ends it, as it was written; "" without a lifetime

    @property
    def label(self) -> str:
        """The name for people."""
        return self.name.decode("latin-1") or "(no name)"

    @property
    def pair(self) -> bytes:
        """As it is sent."""
        return self.name + b"=" + self.value if self.name else self.value

    def is_for_host(self, site: Site) -> bool:
        """Whether it is sent to this host."""
        return site.host == self.domain if self.host_only else site.is_within(self.domain)

    def is_for_path(self, requested: bytes) -> bool:
        """Whether it is sent with a request for this path (without its query)."""
        path = self.path
        if not requested.startswith(path):
            return False
        return len(path) == len(requested) or path.endswith(b"/") or requested[len(path) : len(path) + 1] == b"/"


def parse_set_cookie(header: bytes, site: Site, path: bytes, now: float, date: bytes = b"") -> SetCookie:
    """Understand the value of a ``Set-Cookie`` in the reply to a request for ``path``.

    ``now`` is the time in seconds since 1970, and ``date`` the reply's ``Date``: an ``Expires`` counts from that.

    Raises:
        RefusedCookieError: a browser ignores it.
    """
    pair, _, rest = header.partition(b";")
    name, value = _parse_pair(pair)
    attributes = _parse_attributes(rest) if rest else {}
    if _CONTROLS.search(header):  # of which only tabs are harmless, around a name or a value
        texts = (text.strip(_BLANKS) for part in header.split(b";") for text in part.partition(b"="))
        if any(map(_CONTROLS.search, texts)):
            raise RefusedCookieError("a control character in it")
    domain = _parse_domain(attributes.get(b"domain", b""), site)
    lifetime, limit = _parse_lifetime(attributes, now, date)
    given_path = attributes.get(b"path", b"")
    cookie = SetCookie(
        name=name,
        value=value,
        domain=domain or site.host,
        host_only=not domain,
        path=given_path if given_path.startswith(b"/") else default_path(path),
        secure=b"secure" in attributes,
        partitioned=b"partitioned" in attributes,
        lifetime=lifetime,
        limit=limit,
    )
    _check_security(cookie, site, attributes)
    return cookie


def default_path(path: bytes) -> bytes:
    """The path of a cookie that names none: the folder of the request's path."""
    folder = path.partition(b"?")[0].rpartition(b"/")[0]
    return folder if folder.startswith(b"/") else b"/"


def name_of(header: bytes) -> str:
    """The name in a ``Set-Cookie``, for people, however malformed it is."""
    pair = header[:MAX_COOKIE_BYTES].partition(b";")[0]
    return pair.partition(b"=")[0].strip(_BLANKS).decode("latin-1")[:80] or "(no name)"


def _parse_pair(pair: bytes) -> tuple[bytes, bytes]:
    name, equals, value = pair.partition(b"=")
    if not equals:
        name, value = b"", pair
    name, value = name.strip(_BLANKS), value.strip(_BLANKS)
    if not name and not value:
        raise RefusedCookieError("neither name nor value")
    if not name and (b"=" in value or _PREFIX.match(value)):
        raise RefusedCookieError("no name, and a value that reads like one")
    if len(name) + len(value) > MAX_COOKIE_BYTES:
        raise RefusedCookieError(f"more than {MAX_COOKIE_BYTES} bytes")
    return name, value


def _parse_attributes(text: bytes) -> dict[bytes, bytes]:
    """The attributes by lower-case name; of several, the last. One that is too long is ignored."""
    attributes = {}
    for part in text.split(b";"):
        name, _, value = part.partition(b"=")
        value = value.strip(_BLANKS)
        if len(value) <= MAX_ATTRIBUTE_BYTES:
            attributes[name.strip(_BLANKS).lower()] = value
    return attributes


def _parse_domain(text: bytes, site: Site) -> str:
    """The domain that the cookie is shared with; empty if it is for its host alone."""
    if not text:
        return ""
    domain = text.decode("latin-1").lower().removeprefix(".")
    may_share = domain.isascii() and not site.is_address and site.may_share(domain)
    if domain == site.host and not may_share:
        return ""  # an address, a name of this network, or a public suffix
    if not may_share:
        raise RefusedCookieError(f"Domain={domain[:80]} does not fit {site.host}")
    return domain


def _parse_lifetime(attributes: dict[bytes, bytes], now: float, date: bytes) -> tuple[float, str]:
    """Seconds until it expires, and the attribute that says so: ``Max-Age`` before ``Expires``."""
    age = attributes.get(b"max-age", b"")
    match = _MAX_AGE.fullmatch(age)
    if match is not None and age.strip(b"+-"):
        seconds = MAX_LIFETIME_S if match[2] is None else int(match[2] or b"0")
        return min(-seconds if match[1] == b"-" else seconds, MAX_LIFETIME_S), f"Max-Age {age[:20].decode('latin-1')}"
    written = attributes.get(b"expires")
    expires = parse_cookie_date(written) if written else None
    if expires is None or written is None:
        return NEVER, ""
    server_now = parse_reply_date(date) if date else None
    lifetime = expires - (now if server_now is None else server_now)
    return min(lifetime, MAX_LIFETIME_S), f"Expires {written[:40].decode('latin-1')}"


def _check_security(cookie: SetCookie, site: Site, attributes: dict[bytes, bytes]) -> None:
    """Hold it to what ``Secure``, the prefixes of names, ``SameSite`` and ``Partitioned`` ask for."""
    if cookie.secure and not site.secure:
        raise RefusedCookieError(f"Secure, and {site.host} is reached without TLS")
    if not cookie.secure:
        if attributes.get(b"samesite", b"").lower() == b"none":
            raise RefusedCookieError("SameSite=None asks for Secure")
        if cookie.partitioned:
            raise RefusedCookieError("Partitioned asks for Secure")
    prefix = _PREFIX.match(cookie.name)
    if prefix is not None:
        host_wide = cookie.host_only and attributes.get(b"path") == b"/"
        of_host, http = prefix["host"] is not None, prefix["http"] is not None
        if not cookie.secure or (of_host and not host_wide) or (http and b"httponly" not in attributes):
            raise RefusedCookieError(f"its attributes do not fit the prefix {prefix[0].decode()}")
