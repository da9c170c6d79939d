"""A fixed small reply to ``GET /``: the floor under every other app, by which the load driver itself is measured."""

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
