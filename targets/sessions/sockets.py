"""The WebSockets of a service: the members of each room, the messages to each member, and the end of a connection.

A message from a client is a JSON object. Its answer carries the same ``op`` and the result, or a ``status`` as of an
HTTP reply where it failed (docs/wire.md).
"""

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from targets.common.background import background
from targets.common.settings import Settings
from targets.http import request_fields
from targets.http.errors import BadRequestError, HttpError
from targets.sessions.bus import RoomMessage
from targets.sessions.service import Items, SessionService, StoredSession, WriteRequest

#: Seconds between two pings, so that no balancer closes a quiet connection as idle.
PING_INTERVAL_S = 10.0
#: How many messages can wait for one client. Further ones are dropped until the client reads.
MAX_WAITING = 10_000
_ROOM = re.compile(r"[\w-]{1,64}")
_LOG = logging.getLogger("targets")

Fields = Mapping[str, Any]


@dataclass(eq=False)
class RoomMember:
    """One client in a room. Messages are sent to it in the order in which they are queued."""

    ws: web.WebSocketResponse
    room: str
    stored: StoredSession
    after: str = ""  # the position in the history up to which it has the messages
    held: list[RoomMessage] | None = None  # messages that came while it is sent the ones that it missed
    id: str = field(default_factory=lambda: os.urandom(8).hex())
    waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))

    def send(self, text: str) -> None:
        """Queue a message."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(text)

    async def pump(self) -> None:
        """Send the queued messages until the connection has ended."""
        with contextlib.suppress(ConnectionError):
            while not self.ws.closed:
                await self.ws.send_str(await self.waiting.get())


class MessageHandler(Protocol):
    """What an app does with the members of its rooms."""

    def before_join(self, member: RoomMember, request: web.BaseRequest) -> None:
        """A client is about to join; from now on messages to the room reach it."""

    async def after_join(self, member: RoomMember) -> None:
        """A client has joined, and no queued message has been sent yet."""

    async def on_message(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """Handle a message of the member, and return the fields of the answer."""


class Sockets:
    """All open WebSockets of a service."""

    def __init__(self, settings: Settings, sessions: SessionService) -> None:
        self._settings, self._sessions = settings, sessions
        self.rooms: dict[str, list[RoomMember]] = {}

    async def serve(self, request: web.BaseRequest, handler: MessageHandler) -> web.StreamResponse:
        """Upgrade, and answer messages until the connection ends.

        Raises:
            HttpError: the store's; BadRequestError for a bad room.
        """
        room = request_fields.query(request, "room", "lobby")
        if not _ROOM.fullmatch(room):
            raise BadRequestError("room is up to 64 letters, digits, - and _")
        stored = await self._sessions.read(request)
        member = RoomMember(self._response(stored), room, stored)
        handler.before_join(member, request)
        members = self.rooms.setdefault(room, [])
        members.append(member)  # before the client can know: every later message of the room is for it too
        try:
            await member.ws.prepare(request)
            await _answer_messages(member, handler)
        except HttpError:
            if not member.ws.prepared:
                raise
            await member.ws.close(code=WSCloseCode.TRY_AGAIN_LATER)
        finally:
            members.remove(member)
        return member.ws

    def _response(self, stored: StoredSession) -> web.WebSocketResponse:
        response = web.WebSocketResponse(heartbeat=PING_INTERVAL_S)
        response.headers.update({"X-Replica": self._settings.replica, "X-Boot": self._settings.boot})
        if stored.is_new_handle:
            response.headers["Set-Cookie"] = stored.set_cookie
        return response

    async def write(self, member: RoomMember, op: str, change: Callable[[Items], Items]) -> Fields:
        """Apply one write to a member's session, and return the session's field of the answer.

        Raises:
            HttpError: the store's.
        """
        before = member.stored
        write = WriteRequest(before.writer, op, before.handle, before.session.owner)
        stored = member.stored = await self._sessions.apply_write(write, change)
        return {"session": stored.session.to_response(stored.writer)}

    def broadcast(self, room: str, text: str) -> None:
        """Send a message to all members of a room on this replica."""
        for member in self.rooms.get(room, ()):
            member.send(text)

    async def close_all(self) -> None:
        """Close every WebSocket, since the service is stopping."""
        members = [member for members in self.rooms.values() for member in members]
        await asyncio.gather(*(member.ws.close(code=WSCloseCode.GOING_AWAY) for member in members))


async def _answer_messages(member: RoomMember, handler: MessageHandler) -> None:
    await handler.after_join(member)
    async with background(member.pump()):
        async for message in member.ws:
            if message.type is not WSMsgType.TEXT:
                await member.ws.close(code=WSCloseCode.UNSUPPORTED_DATA)
                break
            member.send(json.dumps(await _answer(member, message.data, handler)))


async def _answer(member: RoomMember, text: str, handler: MessageHandler) -> Fields:
    op: Fields = {}
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise BadRequestError("a message is a JSON object")
        op = {"op": request_fields.parse_operation(fields.get("op"), "op")}
        return {**op, **await handler.on_message(member, fields, op["op"])}
    except ValueError:
        return {**op, "status": 400, "error": "a message is a JSON object"}
    except HttpError as problem:
        return {**op, "status": problem.status, "error": problem.message}
    except Exception:
        _LOG.exception("a message in the room %s", member.room)
        return {**op, "status": 500, "error": "the service failed; its log has the details"}
