"""A game over WebSockets: the server holds every player's position, and sends all of them to the room at every tick.

- ``GET /game``                        shows the session
- a WebSocket at ``/game?room=7``      joins a room; ``{"op", "dx", "dy"}`` moves by up to 10 each way, and is answered
                                       with the session and the new position ``x``, ``y``
- all in the room receive              ``{"tick", "players": {owner: [x, y]}}`` at every tick

A room's players are those on the same replica: route a room to one replica, as game servers do. ``--option tick=100ms``
is the time between two ticks. Ticks are numbered by the clock, so that all replicas number them alike.
"""

import asyncio
import json
import time
from collections.abc import Mapping

from aiohttp import web

from targets.apps import AppContext
from targets.common.background import background
from targets.http.errors import BadRequestError
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService
from targets.sessions.sockets import Fields, RoomMember, Sockets

OPTIONS: tuple[str, ...] = ("tick", "dedupe")
KEEPS_SESSIONS = True
REFUSES = {"token": "the server holds the positions, and no cookie can change on an open WebSocket"}

_TICK_INTERVAL_S = 0.1
_MAX_STEP = 10


class Game:
    """Joins players to rooms, moves them, and sends the ticks."""

    def __init__(self, context: AppContext) -> None:
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))
        self._interval_s = context.settings.options.seconds("tick", _TICK_INTERVAL_S)
        self.sockets = Sockets(context.settings, self._sessions)

    async def show(self, request: web.BaseRequest) -> web.StreamResponse:
        """``GET /game``."""
        return (await self._sessions.read(request)).reply()

    async def join(self, request: web.BaseRequest) -> web.StreamResponse:
        """A WebSocket at ``/game``."""
        return await self.sockets.serve(request, self)

    def before_join(self, member: RoomMember, request: web.BaseRequest) -> None:
        """There is nothing to hold back."""

    async def after_join(self, member: RoomMember) -> None:
        """There is nothing to catch up with: the next tick shows everything."""

    async def on_message(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """Move the player."""
        dx, dy = _step(fields, "dx"), _step(fields, "dy")

        def moved(items: Items) -> Items:
            return {**items, "x": items.get("x", 0) + dx, "y": items.get("y", 0) + dy}

        answer = await self.sockets.write(member, op, moved)
        x, y = _position(member)
        return {**answer, "x": x, "y": y}

    async def send_ticks(self) -> None:
        """Send all positions to every room at every tick, for ever."""
        while True:
            tick = int(time.time() / self._interval_s) + 1
            await asyncio.sleep(tick * self._interval_s - time.time())
            for room, members in self.sockets.rooms.items():
                players = {member.stored.session.owner: _position(member) for member in members}
                self.sockets.broadcast(room, json.dumps({"tick": tick, "players": players}))


def _position(member: RoomMember) -> tuple[int, int]:
    items: Mapping[str, int] = member.stored.session.items
    return items.get("x", 0), items.get("y", 0)


def _step(fields: Fields, key: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_STEP:
        raise BadRequestError(f"{key} is a whole number from -{_MAX_STEP} to {_MAX_STEP}")
    return value


def create_routes(context: AppContext) -> Routes:
    """The game's route; its ticks run in the background."""
    game = Game(context)
    context.background.append(lambda: background(game.send_ticks()))
    context.shutdown_hooks.append(game.sockets.close_all)
    return {"/game": {"GET": game.show, "SOCKET": game.join}}
