"""A chat over WebSockets: what one says in a room, all others in it hear.

- ``GET /chat``                        shows the session
- a WebSocket at ``/chat?room=7``      joins a room; ``{"op", "text"}`` says something, and is answered with the session
- everybody else in the room is told   ``{"room", "from", "n", "op", "text"}``: ``n`` counts what that writer has said

``--option bus=none|redis`` says whether a room spans replicas. With ``--option history=yes`` each message has its store
``at``, and ``/chat?room=7&after=AT`` first tells what came after that.
"""

import json

from aiohttp import web

from targets.apps import AppContext
from targets.http import request_fields
from targets.http.routes import Routes
from targets.sessions.bus import OPTIONS as BUS_OPTIONS
from targets.sessions.bus import Bus, RoomMessage, bus, later
from targets.sessions.service import SessionService
from targets.sessions.sockets import Fields, RoomMember, Sockets

OPTIONS: tuple[str, ...] = (*BUS_OPTIONS, "dedupe")
KEEPS_SESSIONS = True
REFUSES = {"token": "the client holds it in a cookie, and no cookie can change on an open WebSocket"}


class Chat:
    """Joining, saying and hearing."""

    def __init__(self, context: AppContext) -> None:
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))
        self.sockets = Sockets(context.settings, self._sessions)
        self.bus: Bus = bus(context.settings)

    async def show(self, request: web.BaseRequest) -> web.StreamResponse:
        """``GET /chat``."""
        return (await self._sessions.read(request)).reply()

    async def join(self, request: web.BaseRequest) -> web.StreamResponse:
        """A WebSocket at ``/chat``."""
        self.bus.check()
        return await self.sockets.serve(request, self)

    def arriving(self, member: RoomMember, request: web.BaseRequest) -> None:
        """Hold back what is said until it has been told what it missed."""
        member.after = request_fields.query(request, "after", "")
        member.held = [] if member.after else None

    async def joined(self, member: RoomMember) -> None:
        """Tell first what was missed, then what was said meanwhile."""
        if member.held is None:
            return
        missed = await self.bus.since(member.room, member.after)
        held, member.held = member.held, None
        for said in (*missed, *held):
            _tell(member, said)

    async def heard(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """Keep it, then say it to the others."""
        text = request_fields.str_field(fields, "text")
        shown = await self.sockets.write(member, op, lambda items: items)
        kept = member.kept
        n = shown["session"]["count"]
        told = {"room": member.room, "from": kept.session.owner, "n": n, "op": op, "text": text}
        if not kept.applied:
            return shown  # a repeat that was dropped has been said before
        at = await self.bus.say(RoomMessage(member.room, member.id, json.dumps(told)))
        return {**shown, "at": at} if at else shown

    def deliver(self, said: RoomMessage) -> None:
        """Something was said, here or elsewhere."""
        for member in self.sockets.rooms.get(said.room, ()):
            if member.held is not None:
                member.held.append(said)
            else:
                _tell(member, said)


def _tell(member: RoomMember, said: RoomMessage) -> None:
    """Tell it, unless it has heard it: what was read from the history may yet arrive by the bus, in the same order."""
    if member.after and said.at:
        if not later(said.at, member.after):
            return
        member.after = said.at
    if member.id != said.by:
        member.tell(f'{{"at": "{said.at}", {said.text[1:]}' if said.at else said.text)


def create_routes(context: AppContext) -> Routes:
    """The chat's one address."""
    chat = Chat(context)
    context.background.append(lambda: chat.bus.running(chat.deliver))
    context.shutdown_hooks.append(chat.sockets.leave)
    return {"/chat": {"GET": chat.show, "SOCKET": chat.join}}
