"""Content that is the same on every replica: immutable objects, and forecasts that hold for a while.

- ``GET /object?id=17``      bytes that never change: ``Cache-Control: public, max-age=31536000, immutable``
- ``GET /weather?place=17``  ``{"place", "period", "celsius"}``, the same for one ``--option period`` (2 s), and to be
  cached for half of it: ``Cache-Control: public, max-age=1``

Both have a strong ``ETag``; a request whose ``If-None-Match`` names it is answered 304, without the content (RFC 9110,
13.1.2). Ids are 1 to 64 letters, digits, ``-`` and ``_``. An object is the SHA-256 of its id in hex, 32 times over;
``celsius`` is ``crc32("<place>/<period>") % 60 - 20``, so that a client can check both.
"""

import hashlib
import json
import re
import time
import zlib
from collections.abc import Callable
from urllib.parse import parse_qs

from aiohttp import web

from targets.apps import AppContext
from targets.http.errors import BadRequestError
from targets.http.routes import Routes

OPTIONS: tuple[str, ...] = ("period",)
KEEPS_SESSIONS = False

FOREVER = "public, max-age=31536000, immutable"
PERIOD_S = 2.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def object_bytes(name: str) -> bytes:
    """The bytes of an object, 2 kB."""
    return hashlib.sha256(name.encode()).hexdigest().encode() * 32


def celsius(place: str, period: int) -> int:
    """The forecast: -20 to 39 degrees."""
    return zlib.crc32(f"{place}/{period}".encode()) % 60 - 20


class Content:
    """The two requests; ``period`` is in seconds."""

    def __init__(self, period: float = PERIOD_S, clock: Callable[[], float] = time.time) -> None:
        self._period, self._clock = period, clock
        self._cache_control = f"public, max-age={max(1, int(period / 2))}"

    async def show_object(self, request: web.BaseRequest) -> web.Response:
        """``GET /object``."""
        return _conditional(request, object_bytes(_id(request, "id")), "application/octet-stream", FOREVER)

    async def show_weather(self, request: web.BaseRequest) -> web.Response:
        """``GET /weather``."""
        place, period = _id(request, "place"), int(self._clock() / self._period)
        forecast = {"place": place, "period": period, "celsius": celsius(place, period)}
        return _conditional(request, json.dumps(forecast).encode(), "application/json", self._cache_control)


def _id(request: web.BaseRequest, key: str) -> str:
    value = parse_qs(request.raw_path.partition("?")[2]).get(key, [""])[0]
    if not _ID.fullmatch(value):
        raise BadRequestError(f"{key} is 1 to 64 letters, digits, - and _")
    return value


def _conditional(request: web.BaseRequest, body: bytes, content_type: str, cache_control: str) -> web.Response:
    """The content, or 304 if the client has it. Weak and strong tags compare alike for a GET."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control}
    condition = request.headers.get("If-None-Match", "")
    if {part.strip().removeprefix("W/") for part in condition.split(",")} & {tag, "*"}:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, "Content-Type": content_type})


def create_routes(context: AppContext) -> Routes:
    """The two routes."""
    content = Content(context.settings.options.seconds("period", PERIOD_S))
    return {"/object": {"GET": content.show_object}, "/weather": {"GET": content.show_weather}}
