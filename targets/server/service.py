"""The service: routes, the headers of every reply, emulated capacity, and a stop that finishes requests in flight.

It uses aiohttp's low-level server. An ``Application`` would match each request against patterns that no app here needs,
and would not see the replies to malformed requests.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from aiohttp import web

from targets.apps import AppContext, BackgroundScope
from targets.common.settings import Settings
from targets.http import request_fields
from targets.http.errors import HttpError, MethodNotAllowedError, NotFoundError, UnavailableError
from targets.http.keys import HasKeys
from targets.http.routes import Handler, Routes
from targets.server.capacity import Slots
from targets.state import HasPages, HasRoutes, SessionStore

#: Seconds within which requests in flight can finish when the service stops.
GRACE_S = 5.0
#: Requests that a replica sends while it holds a slot itself: if they queued for one, replicas could deadlock.
_UNQUEUED = frozenset({"/introspect"})
_LOG = logging.getLogger("targets")


class Service:
    """Answers requests: an app's routes behind the emulated capacity, and pages that never wait for a slot."""

    def __init__(
        self, settings: Settings, app: Routes, store: SessionStore, slots: Slots | None = None, nonce: str = ""
    ) -> None:
        self._settings, self._app, self._slots = settings, app, slots
        pages = store.pages() if isinstance(store, HasPages) else {}
        load: Mapping[str, Callable[[], object]] = {"/load": slots.usage} if slots else {}
        self._pages = {**pages, **load, "/healthz": self._health}
        keys: Routes = store.keys.routes() if isinstance(store, HasKeys) else {}
        self._unqueued: Routes = {**keys, **(store.routes() if isinstance(store, HasRoutes) else {})}
        self._nonce = nonce
        self._ready = True
        self._began = time.monotonic()
        self._opened_s = 0.0

    def mark_open(self) -> None:
        """Note how long it took to open the store and to start the app's background work."""
        self._opened_s = round(time.monotonic() - self._began, 4)

    def drain(self) -> None:
        """From now on report that the service is not ready, and close each connection with its reply."""
        self._ready = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Every error becomes a reply."""
        response: web.StreamResponse
        try:
            response = await self._answer(request)
        except HttpError as problem:
            response = request_fields.reply({"error": problem.message}, problem.status)
            if isinstance(problem, UnavailableError):
                response.headers["Retry-After"] = "1"
        except web.HTTPException as problem:  # the library's own, such as a body that is too large
            response = request_fields.reply({"error": problem.reason}, problem.status)
        except Exception:
            _LOG.exception("%s %s", request.method, request.raw_path)
            response = request_fields.reply({"error": "the service failed; its log has the details"}, 500)
        self.stamp(response)
        return response

    def stamp(self, response: web.StreamResponse) -> None:
        """Add the headers that name this replica, and close the connection if the service is stopping."""
        response.headers["X-Replica"] = self._settings.replica
        response.headers["X-Boot"] = self._settings.boot
        if not self._ready:
            response.force_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path in self._pages:
            status = 503 if path == "/healthz" and not self._ready else 200
            return request_fields.reply(self._pages[path](), status)
        socket = request_fields.wants_socket(request) and "SOCKET" in self._app.get(path, ())
        handler = self._route(path, "SOCKET" if socket else request.method)
        if self._slots is None or socket or path in self._unqueued or path in _UNQUEUED:
            return await handler(request)
        return await self._slots.run(lambda: handler(request))

    def _route(self, path: str, method: str) -> Handler:
        methods = self._app.get(path) or self._unqueued.get(path)
        if methods is None:
            raise NotFoundError(f"nothing at {path}")
        if method not in methods:
            raise MethodNotAllowedError(f"{path} answers {', '.join(methods)} only")
        return methods[method]

    def _health(self) -> Mapping[str, str | float]:
        return {
            "status": "ok" if self._ready else "stopping",
            "nonce": self._nonce,
            "replica": self._settings.replica,
            "boot": self._settings.boot,
            "opened_s": self._opened_s,
        }


class _Connection(web.RequestHandler):
    """A connection whose replies to malformed requests are stamped too."""

    __slots__ = ("stamp",)
    stamp: Callable[[web.StreamResponse], None]

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        response = super().handle_error(request, status, exc, message)
        self.stamp(response)
        return response


class _Server(web.Server):
    def __init__(self, service: Service) -> None:
        super().__init__(service.handle, access_log=None)
        self._service = service

    def __call__(self) -> web.RequestHandler:
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.stamp = self._service.stamp
        return connection


@contextlib.asynccontextmanager
async def open_app(store: SessionStore, work: Sequence[BackgroundScope]) -> AsyncIterator[None]:
    """Open the store and run the app's background scopes, until this scope ends."""
    await store.open()
    try:
        async with contextlib.AsyncExitStack() as scopes:
            for scope in work:
                await scopes.enter_async_context(scope())
            yield
    finally:
        await store.close()


async def serve(
    service: Service,
    context: AppContext,
    listener: socket.socket,
    ready: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Answer on ``listener`` until SIGTERM or SIGINT, then finish the requests in flight.

    ``ready`` is called once the service listens, ``stopping`` when the signal came.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_app(context.store, context.background):
        service.mark_open()
        runner = web.ServerRunner(_Server(service), shutdown_timeout=GRACE_S)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        ready()
        await stop.wait()
        stopping()
        service.drain()
        with contextlib.suppress(TimeoutError):  # the runner waits for each request twice, beyond its own limit
            async with asyncio.timeout(GRACE_S):
                await asyncio.gather(*(hook() for hook in context.shutdown_hooks))
                await runner.cleanup()
