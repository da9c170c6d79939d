"""The sessions of an app: opens, changes and shows them, and keeps them in the store."""

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
    """A session as it is stored after a request. ``applied`` is false for a read and for a dropped repeat."""

    session: SessionState
    writer: str
    handle: str
    is_new_handle: bool
    op: str = ""
    applied: bool = False

    @property
    def set_cookie(self) -> str:
        """The value of the header that gives the client its handle."""
        return f"{request_fields.COOKIE}={self.handle}; HttpOnly; Path=/"

    def reply(self, **more: object) -> web.Response:
        """The reply that shows the session and ``more`` fields of the app, with a cookie if the handle is new."""
        response = request_fields.reply(
            {"session": self.session.to_response(self.writer), "items": self.session.items, **more}
        )
        if self.is_new_handle:
            response.headers["Set-Cookie"] = self.set_cookie
        return response


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Who writes, under which operation id; ``handle`` is empty if there is no session yet."""

    writer: str
    op: str
    handle: str
    owner: str

    @classmethod
    def from_request(cls, request: web.BaseRequest) -> Self:
        """Read the headers of a request.

        Raises:
            BadRequestError: a wrong header.
        """
        return cls(
            request_fields.writer(request),
            request_fields.operation(request),
            request_fields.cookie(request),
            request_fields.owner(request),
        )


class SessionService:
    """Reads and writes sessions for an app; with ``dedupe`` it drops a session's repeated operations."""

    def __init__(self, store: SessionStore, dedupe: bool = False) -> None:
        self._store, self._dedupe = store, dedupe

    async def read(self, request: web.BaseRequest) -> StoredSession:
        """The request's session; a new one, with a new handle, if it is unknown.

        Raises:
            HttpError: the store's; BadRequestError for a wrong header.
        """
        writer, handle = request_fields.writer(request), request_fields.cookie(request)
        session = await self._store.read(handle) if handle else None
        if session is not None:
            return StoredSession(session, writer, handle, is_new_handle=False)
        session = SessionState.new(request_fields.owner(request))
        return StoredSession(session, writer, await self._store.create(session), is_new_handle=True)

    async def write(self, request: web.BaseRequest, change: Callable[[Items], Items]) -> StoredSession:
        """Apply one write to the request's session, or to a new one if it is unknown.

        Raises:
            HttpError: the store's; BadRequestError for a wrong header.
        """
        return await self.apply_write(WriteRequest.from_request(request), change)

    async def apply_write(self, write: WriteRequest, change: Callable[[Items], Items]) -> StoredSession:
        """Apply one write whose request has been read.

        Raises:
            HttpError: the store's.
        """
        writer, op, handle = write.writer, write.op, write.handle
        known = await self._store.read(handle, to_write=True) if handle else None
        before = known or SessionState.new(write.owner)
        if op in before.recent:
            return StoredSession(before, writer, handle, is_new_handle=False, op=op)
        after = before.with_write(writer, op, change(before.items))
        if self._dedupe:
            after = after.with_recent(op)
        new_handle = await (self._store.create(after) if known is None else self._store.write(handle, after))
        return StoredSession(after, writer, new_handle, is_new_handle=new_handle != handle, op=op, applied=True)
