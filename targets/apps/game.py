"""A game over WebSockets: the server holds everybody's position, and tells it to all in the room at every tick.

- ``GET /game``                        shows the session
- a WebSocket at ``/game?room=7``      joins a room; ``{"op", "dx", "dy"}`` moves by up to 10 each way, and is answered
                                       with the session and the position ``x``, ``y`` that it has now
- everybody in the room is told        ``{"tick", "players": {owner: [x, y]}}`` at every tick

A room's players are those on the same replica: send a room to one, as game servers do. ``--option tick=100ms`` is the
time between two ticks; they are counted by the clock, so that all replicas count alike.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from targets.apps import AppContext
from targets.http.errors import BadRequestError
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService
from targets.sessions.sockets import Fields, RoomMember, Sockets

OPTIONS: tuple[str, ...] = ("tick", "dedupe")
KEEPS_SESSIONS = True
REFUSES = {"token": "the server holds the positions, and no cookie can change on an open WebSocket"}

_TICK = 0.1
_FARTHEST = 10


class Game:
    """Joining, moving and the ticks."""

    def __init__(self, context: AppContext) -> None:
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))
        self._tick = context.settings.options.seconds("tick", _TICK)
        self.sockets = Sockets(context.settings, self._sessions)

    async def show(self, request: web.BaseRequest) -> web.StreamResponse:
        """``GET /game``."""
        return (await self._sessions.read(request)).reply()

    async def join(self, request: web.BaseRequest) -> web.StreamResponse:
        """A WebSocket at ``/game``."""
        return await self.sockets.serve(request, self)

    def arriving(self, member: RoomMember, request: web.BaseRequest) -> None:
        """Nothing to hold back."""

    async def joined(self, member: RoomMember) -> None:
        """Nothing to catch up with: the next tick tells all."""

    async def heard(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """Move it."""
        dx, dy = _step(fields, "dx"), _step(fields, "dy")

        def moved(items: Items) -> Items:
            return {**items, "x": items.get("x", 0) + dx, "y": items.get("y", 0) + dy}

        shown = await self.sockets.write(member, op, moved)
        x, y = _position(member)
        return {**shown, "x": x, "y": y}

    @contextlib.asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Tick for the length of a scope."""
        task = asyncio.create_task(self._tick_on())
        try:
            yield
        finally:
            task.cancel()

    async def _tick_on(self) -> None:
        while True:
            number = int(time.time() / self._tick) + 1
            await asyncio.sleep(number * self._tick - time.time())
            for room, members in self.sockets.rooms.items():
                players = {member.kept.session.owner: _position(member) for member in members}
                self.sockets.tell(room, json.dumps({"tick": number, "players": players}))


def _position(member: RoomMember) -> tuple[int, int]:
    items: Mapping[str, int] = member.kept.session.items
    return items.get("x", 0), items.get("y", 0)


def _step(fields: Fields, key: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _FARTHEST:
        raise BadRequestError(f"{key} is a whole number from -{_FARTHEST} to {_FARTHEST}")
    return value


def create_routes(context: AppContext) -> Routes:
    """The game's one address."""
    game = Game(context)
    context.background.append(game.ticking)
    context.shutdown_hooks.append(game.sockets.leave)
    return {"/game": {"GET": game.show, "SOCKET": game.join}}
