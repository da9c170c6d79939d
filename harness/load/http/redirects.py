"""Redirects (RFC 9110, 15.4): the request that follows a response. Pure."""

import re
from urllib.parse import SplitResult, quote, urlsplit

from harness.load.http.client import Request
from harness.load.http.response import Response

#: These repeat a request elsewhere, with its method and body: it was not carried out.
REPEATING = (307, 308)
_MAY_BECOME_GET = (301, 302, 303)
_PORTS = {"http": 80, "https": 443}
_AROUND = bytes(range(0x21))
_REMOVED = re.compile(rb"[\t\r\n]")
_PARTS = re.compile(rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):)?(?://+(?P<authority>[^/]*))?(?P<path>.*)", re.DOTALL)
_DOT = re.compile(rb"%2e", re.IGNORECASE)
#: What stands in a path and in a query as it is.
_IN_PATH, _IN_QUERY = "!$%&'()*+,-./:;=@[]_~", "!$%&()*+,-./:;=?@[\\]^_`{|}~"
#: Follows the name that a request has of its own in the name of the request that it is redirected to.
REDIRECTED = ", redirected"


class InvalidRedirectError(Exception):
    """A redirect to something that is no URL."""


def redirected_request(request: Request, response: Response, origin: str) -> Request | None:
    """The request that the response redirects to; None if it is no redirect, or leaves ``origin``.

    301, 302 and 303 turn a POST into a GET, 303 any method but HEAD; 307 and 308 repeat the same request. Without a
    name of its own, it is counted by its method and path.

    Raises:
        InvalidRedirectError: it leads to no URL.
    """
    status, method = response.status, request.method
    locations = [location for location in response.head.all(b"location") if location]
    if not locations or status not in (*_MAY_BECOME_GET, *REPEATING):
        return None
    path = _path_within(locations[0], origin, request.path)
    if path is None:
        return None
    name = request.name.removesuffix(REDIRECTED) + REDIRECTED if request.name else ""
    moved = request._replace(path=path, name=name)
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        return moved._replace(method="GET", body=b"", content_type="", writes=None)
    return moved


def _path_within(location: bytes, origin: str, base: str) -> str | None:
    """The path and query that a ``Location`` leads to; None if it leaves ``origin``.

    It is understood as browsers do (URL standard, 4.4): a backslash is a slash, empty segments stay, ``%2e`` is a dot,
    and what a URL cannot hold is encoded.
    """
    reference = _REMOVED.sub(b"", location.strip(_AROUND)).partition(b"#")[0]
    place, mark, query = reference.partition(b"?")
    parts = _PARTS.fullmatch(place.replace(b"\\", b"/"))
    if parts is None or not _is_at(origin, parts["scheme"], parts["authority"]):
        return None
    path, (base_path, _, base_query) = parts["path"], base.encode().partition(b"?")
    if parts["authority"] is None and not path:
        path, query = base_path, query if mark else base_query
    elif parts["authority"] is None and not path.startswith(b"/"):
        path = base_path.rpartition(b"/")[0] + b"/" + path
    return quote(_without_dots(path), _IN_PATH) + ("?" + quote(query, _IN_QUERY) if mark or query else "")


def _is_at(origin: str, scheme: bytes | None, authority: bytes | None) -> bool:
    """Whether a URL belongs to an origin; it takes from it what it does not say itself.

    Raises:
        InvalidRedirectError: there is no such authority.
    """
    here = urlsplit(origin)
    if scheme is not None and scheme.decode().lower() != here.scheme:
        return False
    if authority is None:
        return True
    try:
        there = urlsplit(f"{here.scheme}://{authority.decode('latin-1')}")
        return (there.hostname, _port_of(there)) == (here.hostname, _port_of(here))
    except ValueError as problem:
        raise InvalidRedirectError(f"redirected to no URL: {authority[:80]!r}") from problem


def _port_of(url: SplitResult) -> int:
    return url.port or _PORTS[url.scheme]


def _without_dots(path: bytes) -> bytes:
    """An absolute path without segments that stand for the folder itself or the one above."""
    kept: list[bytes] = []
    names = path.removeprefix(b"/").split(b"/")
    for name in names:
        dots = _DOT.sub(b".", name)
        if dots == b"..":
            del kept[-1:]
        elif dots != b".":
            kept.append(name)
    is_folder = _DOT.sub(b".", names[-1]) in (b".", b"..")
    return b"/" + b"/".join([*kept, b""] if is_folder else kept)
