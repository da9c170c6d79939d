"""A chat over WebSockets: a message that one client sends to a room reaches all others in it.

- ``GET /chat``                     shows the session
- a WebSocket at ``/chat?room=7``   joins a room; ``{"op", "text"}`` sends a message, and is answered with the session
- all others in the room receive    ``{"room", "from", "n", "op", "text"}``: ``n`` counts the messages of that writer

``--option bus=none|redis`` decides whether a room spans replicas. With ``--option history=yes`` each message has a
position ``at``, and ``/chat?room=7&after=AT`` first sends the messages that came after that position.
"""

import json

from aiohttp import web

from targets.apps import AppContext
from targets.http import request_fields
from targets.http.routes import Routes
from targets.sessions.bus import OPTIONS as BUS_OPTIONS
from targets.sessions.bus import Bus, RoomMessage, create_bus, is_later
from targets.sessions.service import SessionService
from targets.sessions.sockets import Fields, RoomMember, Sockets

OPTIONS: tuple[str, ...] = (*BUS_OPTIONS, "dedupe")
KEEPS_SESSIONS = True
REFUSES = {"token": "the client holds it in a cookie, and no cookie can change on an open WebSocket"}


class Chat:
    """Joins clients to rooms, and passes their messages on."""

    def __init__(self, context: AppContext) -> None:
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))
        self.sockets = Sockets(context.settings, self._sessions)
        self.bus: Bus = create_bus(context.settings)

    async def show(self, request: web.BaseRequest) -> web.StreamResponse:
        """``GET /chat``."""
        return (await self._sessions.read(request)).reply()

    async def join(self, request: web.BaseRequest) -> web.StreamResponse:
        """A WebSocket at ``/chat``."""
        self.bus.check()
        return await self.sockets.serve(request, self)

    def before_join(self, member: RoomMember, request: web.BaseRequest) -> None:
        """Hold new messages back until the member has the ones that it missed."""
        member.after = request_fields.query(request, "after", "")
        member.held = [] if member.after else None

    async def after_join(self, member: RoomMember) -> None:
        """Send the missed messages first, then those that came meanwhile."""
        if member.held is None:
            return
        missed = await self.bus.messages_after(member.room, member.after)
        held, member.held = member.held, None
        for message in (*missed, *held):
            _send(member, message)

    async def on_message(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """Count the message in the session, then send it to the others."""
        text = request_fields.str_field(fields, "text")
        answer = await self.sockets.write(member, op, lambda items: items)
        stored = member.stored
        if not stored.applied:
            return answer  # a dropped repeat: the others have the message already
        n = answer["session"]["count"]
        body = {"room": member.room, "from": stored.session.owner, "n": n, "op": op, "text": text}
        at = await self.bus.publish(RoomMessage(member.room, member.id, json.dumps(body)))
        return {**answer, "at": at} if at else answer

    def deliver(self, message: RoomMessage) -> None:
        """Pass a message on to the members of its room on this replica."""
        for member in self.sockets.rooms.get(message.room, ()):
            if member.held is not None:
                member.held.append(message)
            else:
                _send(member, message)


def _send(member: RoomMember, message: RoomMessage) -> None:
    """Send a message, unless the member has it: one from the history can arrive by the bus too, in the same order."""
    if member.after and message.at:
        if not is_later(message.at, member.after):
            return
        member.after = message.at
    if member.id != message.sender:
        member.send(f'{{"at": "{message.at}", {message.text[1:]}' if message.at else message.text)


def create_routes(context: AppContext) -> Routes:
    """The chat's route."""
    chat = Chat(context)
    context.background.append(lambda: chat.bus.deliver_all(chat.deliver))
    context.shutdown_hooks.append(chat.sockets.close_all)
    return {"/chat": {"GET": chat.show, "SOCKET": chat.join}}
