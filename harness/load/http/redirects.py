"""Redirects (RFC 9110, 15.4): the request that follows a response. Pure."""

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from harness.load.http.client import Request
from harness.load.http.response import Response

#: These repeat a request elsewhere, with its method and body: it was not carried out.
REPEATING = (307, 308)
_MAY_BECOME_GET = (301, 302, 303)
_PORTS = {"http": 80, "https": 443}
_REMOVED = re.compile(rb"[\t\r\n]")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
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
    """The path and query that a ``Location`` leads to; None if it leaves ``origin``. Blanks in it are encoded."""
    try:
        url = urlsplit(urljoin(origin + base, quote(_REMOVED.sub(b"", location).strip(), safe=_ASCII)))
        if _origin_of(url) != _origin_of(urlsplit(origin)):
            return None
    except ValueError as problem:
        raise InvalidRedirectError(f"redirected to no URL: {location[:80]!r}") from problem
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def _origin_of(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
