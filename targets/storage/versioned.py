"""A store over any store that tells revisions: replicated stores differ in how they agree, not in how they are asked.

A session is kept under its handle as JSON, with the moment at which it expires: such stores clear away what is old in
whole seconds or later, while a session ends on time. The replicas' clocks have to agree as well as its ttl asks for.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from targets.common.session import SessionState
from targets.common.settings import SettingsError
from targets.http.errors import ConflictError, UnavailableError
from targets.storage.store_client import TIMEOUT_S, is_handle, new_handle

_PAUSE = 0.1  # seconds between two attempts to reach it at the start
_OPEN_TIMEOUT_S = 2.0  # seconds

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StoredValue(Generic[R]):
    """A value as it is stored, and what the store knows this version of it by."""

    value: str
    revision: R


class Revisions(Protocol[R]):
    """A store that knows each version of a value by a revision."""

    async def fetch(self, key: str) -> StoredValue[R] | None:
        """What is kept there by now, never a copy that may lag behind."""

    async def insert(self, key: str, value: str) -> None:
        """Keep a new value."""

    async def replace(self, key: str, value: str, revision: R | None) -> bool:
        """Replace a value, if it is still of this revision (or, where that is None, if there is any)."""

    async def close(self) -> None:
        """Close all connections."""


class VersionedStore(Generic[R]):
    """A Store over ``Revisions``; what of ``broken`` they raise means that the store is away.

    ``connect`` is tried until it succeeds, beside the requests: they do not wait for it beyond their ``patience``.
    A versioned write looks up the revision first: two round trips, and the store refuses whatever came in between.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Revisions[R]]],
        store_errors: tuple[type[Exception], ...],
        ttl: float,
        versioned: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._connect = connect
        self._store_errors: tuple[type[Exception], ...] = (*store_errors, OSError, TimeoutError)
        self._ttl, self._versioned, self._timeout_s = ttl, versioned, timeout_s
        self._connecting: asyncio.Task[Revisions[R]] | None = None

    async def open(self) -> None:
        """Connect; a store that is away is waited for no longer than ``_OPENS_WITHIN``, and then looked for beside."""
        await asyncio.wait([self._begin()], timeout=_OPEN_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections."""
        if self._connecting is None:
            return
        self._connecting.cancel()  # which changes nothing once it is connected
        with contextlib.suppress(asyncio.CancelledError, *self._store_errors):
            await (await self._connecting).close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired.

        Raises:
            UnavailableError: no answer in time.
        """
        if not is_handle(handle):
            return None
        async with self._with_timeout() as store:
            found = await store.fetch(handle)
        return None if found is None else _alive(found.value)

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle.

        Raises:
            UnavailableError: no answer in time.
        """
        handle = new_handle()
        async with self._with_timeout() as store:
            await store.insert(handle, self._dated(session))
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it is still there (and, where versions are checked, still the one that was read).

        Raises:
            ConflictError: it is not.
            UnavailableError: no answer in time.
        """
        async with self._with_timeout() as store:
            revision = await self._revision(store, handle, session.version - 1) if self._versioned else None
            if not await store.replace(handle, self._dated(session), revision):
                raise ConflictError("the session is gone, or was changed by another write")
        return handle

    async def _revision(self, store: Revisions[R], handle: str, version: int) -> R:
        """What the store knows this version of a session by."""
        found = await store.fetch(handle)
        kept = None if found is None else _alive(found.value)
        if found is None or kept is None or kept.version != version:
            raise ConflictError("the session is gone, or was changed by another write")
        return found.revision

    def _dated(self, session: SessionState) -> str:
        return json.dumps([time.time() + self._ttl, session.to_dict()], separators=(",", ":"))

    @contextlib.asynccontextmanager
    async def _with_timeout(self) -> AsyncIterator[Revisions[R]]:
        """The store, for what has to be done within the patience."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield await asyncio.shield(self._begin())
        except self._store_errors as problem:
            raise UnavailableError(f"the store does not answer: {type(problem).__name__}") from problem

    def _begin(self) -> asyncio.Task[Revisions[R]]:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect_with_retries())
        return self._connecting

    async def _connect_with_retries(self) -> Revisions[R]:
        while True:
            with contextlib.suppress(*self._store_errors):
                return await self._connect()
            await asyncio.sleep(_PAUSE)


def _alive(value: str) -> SessionState | None:
    until, plain = json.loads(value)
    return SessionState.from_dict(plain) if until > time.time() else None


def addresses(store: str, scheme: str) -> tuple[str, ...]:
    """The ``host:port`` of each server in ``scheme://host:port,host:port``.

    Raises:
        SettingsError: there is none.
    """
    parts = urlsplit(store)
    found = tuple(parts.netloc.split(",")) if parts.scheme == scheme else ()
    if not all(re.fullmatch(r"[^:]+:\d+", address) for address in found or ("",)):
        raise SettingsError(f"the state needs --store {scheme}://host:port,host:port,..., not {store!r}")
    return found
