"""The Keeper: between an app and the store for its state. It opens, changes and shows sessions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from targets.common.session import SessionState
from targets.http import request_fields
from targets.state import SessionStore

Items = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it is stored after a request. ``applied`` is false for a read and a dropped repeat."""

    session: SessionState
    writer: str
    handle: str
    is_new_handle: bool
    op: str = ""
    applied: bool = False

    @property
    def set_cookie(self) -> str:
        """The header that gives the client its handle."""
        return f"{request_fields.COOKIE}={self.handle}; HttpOnly; Path=/"

    def reply(self, **more: object) -> web.Response:
        """What the client is shown, with ``more`` of the app's own, and its cookie where that has changed."""
        response = request_fields.reply(
            {"session": self.session.to_response(self.writer), "items": self.session.items, **more}
        )
        if self.is_new_handle:
            response.headers["Set-Cookie"] = self.set_cookie
        return response


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Who asks for a write, under which operation id; ``handle`` is empty where there is no session yet."""

    writer: str
    op: str
    handle: str
    owner: str

    @classmethod
    def from_request(cls, request: web.BaseRequest) -> Self:
        """The request's.

        Raises:
            BadRequestError: a bad header.
        """
        return cls(
            request_fields.writer(request),
            request_fields.operation(request),
            request_fields.cookie(request),
            request_fields.owner(request),
        )


class SessionService:
    """Reads and writes sessions for an app; with ``dedupe`` a session's repeated operations are dropped."""

    def __init__(self, store: SessionStore, dedupe: bool = False) -> None:
        self._store, self._dedupe = store, dedupe

    async def read(self, request: web.BaseRequest) -> StoredSession:
        """The request's session; a new one, with a new handle, where it is unknown.

        Raises:
            Problem: what the store raises; BadRequestError for a bad header.
        """
        writer, handle = request_fields.writer(request), request_fields.cookie(request)
        session = await self._store.read(handle) if handle else None
        if session is not None:
            return StoredSession(session, writer, handle, is_new_handle=False)
        session = SessionState.new(request_fields.owner(request))
        return StoredSession(session, writer, await self._store.create(session), is_new_handle=True)

    async def write(self, request: web.BaseRequest, change: Callable[[Items], Items]) -> StoredSession:
        """Apply one write to the request's session, or to a new one where it is unknown.

        Raises:
            Problem: what the store raises; BadRequestError for a bad header.
        """
        return await self.apply_write(WriteRequest.from_request(request), change)

    async def apply_write(self, wish: WriteRequest, change: Callable[[Items], Items]) -> StoredSession:
        """As ``write``, for a request that is not at hand any more."""
        writer, op, handle = wish.writer, wish.op, wish.handle
        known = await self._store.read(handle, to_write=True) if handle else None
        before = known or SessionState.new(wish.owner)
        if op in before.recent:
            return StoredSession(before, writer, handle, is_new_handle=False, op=op)
        after = before.with_write(writer, op, change(before.items))
        if self._dedupe:
            after = after.with_recent(op)
        kept_as = await (self._store.create(after) if known is None else self._store.write(handle, after))
        return StoredSession(after, writer, kept_as, is_new_handle=kept_as != handle, op=op, applied=True)
