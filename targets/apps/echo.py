"""A fixed small reply to ``GET /``: the least that any app does, used to measure the load driver itself."""

from aiohttp import web

from targets.apps import AppContext
from targets.http.routes import Routes

OPTIONS: tuple[str, ...] = ()
KEEPS_SESSIONS = False
_BODY = b'{"echo": "ok"}'
_HEADERS = {"Content-Type": "application/json"}


async def echo(request: web.BaseRequest) -> web.Response:
    """``GET /``."""
    return web.Response(body=_BODY, headers=_HEADERS)


def create_routes(context: AppContext) -> Routes:
    """The one route."""
    return {"/": {"GET": echo}}
