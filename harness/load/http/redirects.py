"""Where a redirect leads (RFC 9110, 15.4), as the request that goes there. Pure."""

from urllib.parse import urljoin, urlsplit

from harness.load.http.client import Request
from harness.load.http.response import Response

_ANEW = (301, 302, 303)
_ALIKE = (307, 308)


def redirected_request(request: Request, reply: Response, origin: str) -> Request | None:
    """The request that the reply asks for in place of this one; None where it leads nowhere, or off ``origin``.

    301, 302 and 303 turn a POST into a GET, 303 any method but HEAD; 307 and 308 ask for the very same again.
    """
    places = reply.head.all(b"location")
    if not places or reply.status not in (*_ANEW, *_ALIKE):
        return None
    there = urlsplit(urljoin(origin + request.path, places[0].decode("latin-1")))
    if f"{there.scheme}://{there.netloc}" != origin:
        return None
    path = (there.path or "/") + (f"?{there.query}" if there.query else "")
    name = request.name or f"{request.method} {request.path.partition('?')[0]}"
    moved = request._replace(path=path, name=name)
    if _becomes_get(reply.status, request.method):
        return moved._replace(method="GET", body=b"", content_type="")
    return moved


def _becomes_get(status: int, method: str) -> bool:
    return (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST")
