"""The WebSockets of a service: who is in which room, what each is told, and how they end.

A message from a client is a JSON object. Its answer carries the same ``op``, what came of it, and ``status`` where that
is not well, as of an HTTP reply (docs/wire.md).
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

from targets.common.settings import Settings
from targets.http import request_fields
from targets.http.errors import BadRequestError, HttpError
from targets.sessions.bus import RoomMessage
from targets.sessions.service import Items, SessionService, StoredSession, WriteRequest

#: Seconds between two pings, so that no balancer takes an open connection for an idle one.
HEARTBEAT = 10.0
#: Messages that may wait for one client; one that does not take them is left.
MAX_WAITING = 10_000
_ROOM = re.compile(r"[\w-]{1,64}")
_LOG = logging.getLogger("targets")

Fields = Mapping[str, Any]


@dataclass(eq=False)
class RoomMember:
    """One client in a room. What it is told goes out in that order."""

    ws: web.WebSocketResponse
    room: str
    kept: StoredSession
    after: str = ""  # the place in the history that it has heard up to
    held: list[RoomMessage] | None = None  # what is said while it is told what it has missed
    id: str = field(default_factory=lambda: os.urandom(8).hex())
    waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))

    def tell(self, text: str) -> None:
        """Let it have a message when its turn comes."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(text)

    async def pump(self) -> None:
        """Send what waits, until the connection has ended."""
        with contextlib.suppress(ConnectionError):
            while not self.ws.closed:
                await self.ws.send_str(await self.waiting.get())


class Host(Protocol):
    """What an app does with its members."""

    def arriving(self, member: RoomMember, request: web.BaseRequest) -> None:
        """Somebody is about to join; from here on it is told what is said."""

    async def joined(self, member: RoomMember) -> None:
        """It has joined, and nothing of what it was told has been sent yet."""

    async def heard(self, member: RoomMember, fields: Fields, op: str) -> Fields:
        """It says something; the fields of the answer."""


class Sockets:
    """All that are open."""

    def __init__(self, settings: Settings, sessions: SessionService) -> None:
        self._settings, self._sessions = settings, sessions
        self.rooms: dict[str, list[RoomMember]] = {}

    async def serve(self, request: web.BaseRequest, host: Host) -> web.StreamResponse:
        """Upgrade, and answer messages until the connection ends.

        Raises:
            Problem: what the store raises; BadRequestError for a bad room.
        """
        room = request_fields.query(request, "room", "lobby")
        if not _ROOM.fullmatch(room):
            raise BadRequestError("room is up to 64 letters, digits, - and _")
        kept = await self._sessions.read(request)
        member = RoomMember(self._response(kept), room, kept)
        host.arriving(member, request)
        members = self.rooms.setdefault(room, [])
        members.append(member)  # before the client can know: all that is said from then on is for it too
        try:
            await member.ws.prepare(request)
            await self._talk(member, host)
        except HttpError:
            if not member.ws.prepared:
                raise
            await member.ws.close(code=WSCloseCode.TRY_AGAIN_LATER)
        finally:
            members.remove(member)
        return member.ws

    def _response(self, kept: StoredSession) -> web.WebSocketResponse:
        response = web.WebSocketResponse(heartbeat=HEARTBEAT)
        response.headers.update({"X-Replica": self._settings.replica, "X-Boot": self._settings.boot})
        if kept.is_new_handle:
            response.headers["Set-Cookie"] = kept.set_cookie
        return response

    async def _talk(self, member: RoomMember, host: Host) -> None:
        await host.joined(member)
        pump = asyncio.create_task(member.pump())
        try:
            async for message in member.ws:
                if message.type is not WSMsgType.TEXT:
                    await member.ws.close(code=WSCloseCode.UNSUPPORTED_DATA)
                    break
                member.tell(json.dumps(await _answer(member, message.data, host)))
        finally:
            pump.cancel()

    async def write(self, member: RoomMember, op: str, change: Callable[[Items], Items]) -> Fields:
        """Apply one write to a member's session; what its answer shows of it.

        Raises:
            Problem: what the store raises.
        """
        before = member.kept
        wish = WriteRequest(before.writer, op, before.handle, before.session.owner)
        kept = member.kept = await self._sessions.apply_write(wish, change)
        return {"session": kept.session.to_response(kept.writer)}

    def tell(self, room: str, text: str, but: str = "") -> None:
        """Tell all in a room on this replica, but for the connection of this id."""
        for member in self.rooms.get(room, ()):
            if member.id != but:
                member.tell(text)

    async def leave(self) -> None:
        """Leave everybody: the service is stopping."""
        everybody = [member for members in self.rooms.values() for member in members]
        await asyncio.gather(*(member.ws.close(code=WSCloseCode.GOING_AWAY) for member in everybody))


async def _answer(member: RoomMember, text: str, host: Host) -> Fields:
    told: Fields = {}
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise BadRequestError("a message is a JSON object")
        told = {"op": request_fields.named(fields.get("op"), "op")}
        return {**told, **await host.heard(member, fields, told["op"])}
    except ValueError:
        return {**told, "status": 400, "error": "a message is a JSON object"}
    except HttpError as problem:
        return {**told, "status": problem.status, "error": problem.message}
    except Exception:
        _LOG.exception("a message in the room %s", member.room)
        return {**told, "status": 500, "error": "a defect of the service; its log says more"}
