"""Routes: which handler answers a path and a method."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
#: Handlers by path, then by method; ``SOCKET`` stands for a request that opens a WebSocket.
Routes = Mapping[str, Mapping[str, Handler]]
