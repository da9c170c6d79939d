"""A cart that separates writes from reads (CQRS): a write model, and a read model that follows it.

- ``POST /cart/add`` ``{"item", "quantity"?}``  a command: changes the write model, and shows the result
- ``GET /cart``                                 a query: shows the read model's view, which can lack the latest writes
- ``GET /cart/after?version=N``                 shows the view once it has reached that version (503 after 5 s);
  without a version, once it has reached the current version of the write model

Every reply has the ``version`` that it shows (the number of writes in it). A query's reply also has the number of
versions by which its view is ``behind`` the write model. ``--option lag=50ms`` is the least time that a write takes to
reach the read model. A write that a query lacks is late, not lost: the view shows it once it has caught up.

The write model is the store for the state; over ``eventlog`` its events are the truth, and the read model is made of
them. Views are kept in memory: after a restart each is rebuilt from the write model at its first query.
"""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from targets.apps import AppContext
from targets.common.background import background
from targets.common.session import SessionState
from targets.http import request_fields
from targets.http.errors import BadRequestError, UnavailableError
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService, StoredSession
from targets.state import SessionStore

OPTIONS: tuple[str, ...] = ("lag", "dedupe")
KEEPS_SESSIONS = True
#: States that have no write model to follow, and why.
REFUSES = {"token": "the client holds the state, so there is nothing that a read model could follow"}

#: The longest time that a query waits for its version, in seconds.
CATCH_UP_TIMEOUT_S = 5.0
_LAG_S = 0.05


@dataclass
class View:
    """One session as the read model has it, and an event for the queries that wait for a later version."""

    session: SessionState
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, session: SessionState) -> None:
        """Take a state over, unless it is older than the present one."""
        if session.version > self.session.version:
            self.session = session
            self.changed.set()
            self.changed = asyncio.Event()

    async def at_least(self, version: int) -> SessionState:
        """The session, once it has reached that version."""
        while self.session.version < version:
            await self.changed.wait()
        return self.session


class ReadModel:
    """Views by handle. A published write is shown ``lag`` seconds later; writes keep their order."""

    def __init__(self, store: SessionStore, lag: float) -> None:
        self._store, self._lag = store, lag
        self._views: dict[str, View] = {}
        self._published: asyncio.Queue[tuple[float, str, SessionState]] = asyncio.Queue()

    def publish(self, handle: str, session: SessionState) -> None:
        """Queue a write for the views."""
        self._published.put_nowait((asyncio.get_running_loop().time() + self._lag, handle, session))

    async def view(self, handle: str) -> tuple[View, int] | None:
        """The view of a session and the version of the write model. A missing view is built from the write model.

        None if the write model does not know the session.
        """
        newest = await self._store.read(handle) if handle else None
        if newest is None:
            self._views.pop(handle, None)
            return None
        return self._views.setdefault(handle, View(newest)), newest.version

    async def follow(self) -> None:
        """Show the published writes in the views, for ever."""
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

        stored = await self._sessions.write(request, with_it)
        self._reads.publish(stored.handle, stored.session)
        return stored.reply(version=stored.session.version)

    async def show(self, request: web.BaseRequest) -> web.Response:
        """``GET /cart``."""
        return await self._query(request, 0)

    async def after(self, request: web.BaseRequest) -> web.Response:
        """``GET /cart/after``."""
        return await self._query(request, _version(request))

    async def _query(self, request: web.BaseRequest, version: int | None) -> web.Response:
        handle = request_fields.cookie(request)
        known = await self._reads.view(handle)
        if known is None:  # an unknown handle gets a new session, as in every app
            new = await self._sessions.read(request)
            return new.reply(version=new.session.version, behind=0)
        view, newest = known
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                session = await view.at_least(newest if version is None else version)
        except TimeoutError as problem:
            raise UnavailableError(f"the view has not reached that version in {CATCH_UP_TIMEOUT_S:g} s") from problem
        stored = StoredSession(session, request_fields.writer(request), handle, is_new_handle=False)
        return stored.reply(version=session.version, behind=max(0, newest - session.version))


def _version(request: web.BaseRequest) -> int | None:
    version = parse_qs(urlsplit(request.raw_path).query).get("version", [None])[0]
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) <= 9):
        raise BadRequestError("version is a whole number")
    return int(version)


def create_routes(context: AppContext) -> Routes:
    """The three routes; the read model follows in the background."""
    reads = ReadModel(context.store, context.settings.options.seconds("lag", _LAG_S))
    context.background.append(lambda: background(reads.follow()))
    cart = CqrsCartApp(context, reads)
    return {"/cart": {"GET": cart.show}, "/cart/add": {"POST": cart.add}, "/cart/after": {"GET": cart.after}}
