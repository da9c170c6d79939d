"""A cart whose writes and reads go different ways: a write model, and behind it a read model that follows it.

- ``POST /cart/add`` ``{"item", "quantity"?}``  a command: it changes the write model, and its reply shows that
- ``GET /cart``                                 a query: the read model's view, which may lack the latest writes
- ``GET /cart/after?version=N``                 the same, as soon as the view has come so far (5 s at most, else 503);
  without a version as far as the write model is now

Every reply tells the ``version`` that it shows (the number of writes in it); a query's also how many versions its view
is ``behind`` the write model. ``--option lag=50ms`` is how long a write takes to reach the read model, at the least.
What a query lacks is late, not lost: it is there once the view has caught up.

The write model is the store for the state; over ``eventlog`` its events are the truth, and the read model is made of
them. Views are kept in memory: after a restart each is made anew from the write model when it is first asked for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from targets.apps import AppContext
from targets.common.session import SessionState
from targets.http import request_fields
from targets.http.errors import BadRequestError, UnavailableError
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService, StoredSession
from targets.state import SessionStore

OPTIONS: tuple[str, ...] = ("lag", "dedupe")
KEEPS_SESSIONS = True
#: Places that have no write model to follow, and why.
REFUSES = {"token": "the client holds the state, so there is nothing that a read model could follow"}

#: Seconds that a query waits for its version at most.
CATCH_UP_TIMEOUT_S = 5.0
_LAG = 0.05


@dataclass
class View:
    """One session as the read model knows it, and who waits for more of it."""

    session: SessionState
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, session: SessionState) -> None:
        """Take a later state; one that comes late is none."""
        if session.version > self.session.version:
            self.session = session
            self.changed.set()
            self.changed = asyncio.Event()

    async def at_least(self, version: int) -> SessionState:
        """The session once it has come so far."""
        while self.session.version < version:
            await self.changed.wait()
        return self.session


class ReadModel:
    """Views by handle. What is published is shown ``lag`` seconds later, in its order."""

    def __init__(self, store: SessionStore, lag: float) -> None:
        self._store, self._lag = store, lag
        self._views: dict[str, View] = {}
        self._published: asyncio.Queue[tuple[float, str, SessionState]] = asyncio.Queue()

    def publish(self, handle: str, session: SessionState) -> None:
        """Tell it of a write."""
        self._published.put_nowait((asyncio.get_running_loop().time() + self._lag, handle, session))

    async def view(self, handle: str) -> tuple[View, int] | None:
        """The view of a session, made of the write model where there is none yet, and the version that one has.

        None where the write model does not know the session (any more).
        """
        newest = await self._store.read(handle) if handle else None
        if newest is None:
            self._views.pop(handle, None)
            return None
        return self._views.setdefault(handle, View(newest)), newest.version

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the write model for the length of a scope."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, handle, session = await self._published.get()
            await asyncio.sleep(due - loop.time())
            self._views.setdefault(handle, View(session)).show(session)


class CqrsCartApp:
    """The three requests."""

    def __init__(self, context: AppContext, reads: ReadModel) -> None:
        self._reads = reads
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))

    async def add(self, request: web.BaseRequest) -> web.Response:
        """``POST /cart/add``."""
        fields = await request_fields.body(request)
        item, quantity = request_fields.str_field(fields, "item"), request_fields.int_field(fields, "quantity", 1)

        def with_it(items: Items) -> Items:
            return {**items, item: items.get(item, 0) + quantity}

        kept = await self._sessions.write(request, with_it)
        self._reads.publish(kept.handle, kept.session)
        return kept.reply(version=kept.session.version)

    async def show(self, request: web.BaseRequest) -> web.Response:
        """``GET /cart``."""
        return await self._shown(request, 0)

    async def after(self, request: web.BaseRequest) -> web.Response:
        """``GET /cart/after``."""
        return await self._shown(request, _version(request))

    async def _shown(self, request: web.BaseRequest, version: int | None) -> web.Response:
        seen = await self._reads.view(request_fields.cookie(request))
        if seen is None:  # nobody's: a new session, as everywhere
            kept = await self._sessions.read(request)
            return kept.reply(version=kept.session.version, behind=0)
        view, newest = seen
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                session = await view.at_least(newest if version is None else version)
        except TimeoutError as problem:
            raise UnavailableError(f"that version has not come within {CATCH_UP_TIMEOUT_S:g} s") from problem
        kept = StoredSession(
            session, request_fields.writer(request), request_fields.cookie(request), is_new_handle=False
        )
        return kept.reply(version=session.version, behind=max(0, newest - session.version))


def _version(request: web.BaseRequest) -> int | None:
    version = parse_qs(urlsplit(request.raw_path).query).get("version", [None])[0]
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) <= 9):
        raise BadRequestError("version is a whole number")
    return int(version)


def create_routes(context: AppContext) -> Routes:
    """The routes, and the read model at work."""
    reads = ReadModel(context.store, context.settings.options.seconds("lag", _LAG))
    context.background.append(reads.following)
    cart = CqrsCartApp(context, reads)
    return {"/cart": {"GET": cart.show}, "/cart/add": {"POST": cart.add}, "/cart/after": {"GET": cart.after}}
