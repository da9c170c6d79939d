"""Redirects (RFC 9110, 15.4): the request that follows a response. Pure."""

from urllib.parse import urljoin, urlsplit

from harness.load.http.client import Request
from harness.load.http.response import Response

_MAY_BECOME_GET = (301, 302, 303)
_KEEP_METHOD = (307, 308)


def redirected_request(request: Request, response: Response, origin: str) -> Request | None:
    """The request that the response redirects to; None if it is no redirect, or leaves ``origin``.

    301, 302 and 303 turn a POST into a GET, 303 any method but HEAD; 307 and 308 repeat the same request.
    """
    locations = response.head.all(b"location")
    if not locations or response.status not in (*_MAY_BECOME_GET, *_KEEP_METHOD):
        return None
    url = urlsplit(urljoin(origin + request.path, locations[0].decode("latin-1")))
    if f"{url.scheme}://{url.netloc}" != origin:
        return None
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    name = request.name or f"{request.method} {request.path.partition('?')[0]}"
    moved = request._replace(path=path, name=name)
    status, method = response.status, request.method
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        return moved._replace(method="GET", body=b"", content_type="")
    return moved
