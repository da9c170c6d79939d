"""A session store over any key-value store with revisions, which replicated stores have in common.

A session is kept under its handle as JSON, with the time at which it expires: such stores remove old values in whole
seconds or later, while a session has to expire on time. The replicas' clocks have to agree to a fraction of the ttl.
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

_CONNECT_INTERVAL_S = 0.1
_OPEN_TIMEOUT_S = 2.0

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StoredValue(Generic[R]):
    """A stored value, and the revision by which the store identifies this version of it."""

    value: str
    revision: R


class Revisions(Protocol[R]):
    """A store that gives each version of a value a revision."""

    async def fetch(self, key: str) -> StoredValue[R] | None:
        """The current value, never a copy that can be stale."""

    async def insert(self, key: str, value: str) -> None:
        """Keep a new value."""

    async def replace(self, key: str, value: str, revision: R | None) -> bool:
        """Replace a value, if it still has this revision (or, if that is None, if it exists)."""

    async def close(self) -> None:
        """Close all connections."""


class VersionedStore(Generic[R]):
    """A session store over ``Revisions``. Any of ``store_errors`` means that the store is unavailable.

    ``connect`` is repeated in the background until it succeeds; a request waits for it no longer than ``timeout_s``.
    A versioned write first reads the revision: two round trips, and the store refuses it if another came between.
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
        """Connect. After ``_OPEN_TIMEOUT_S`` the attempts continue in the background."""
        await asyncio.wait([self._connection()], timeout=_OPEN_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections."""
        if self._connecting is None:
            return
        self._connecting.cancel()  # no effect once it is connected
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
            stored = await store.fetch(handle)
        return None if stored is None else _parse_unexpired(stored.value)

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle.

        Raises:
            UnavailableError: no answer in time.
        """
        handle = new_handle()
        async with self._with_timeout() as store:
            await store.insert(handle, self._with_expiry(session))
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it still exists (and, if versions are checked, is still the one that was read).

        Raises:
            ConflictError: it is not.
            UnavailableError: no answer in time.
        """
        async with self._with_timeout() as store:
            revision = await self._revision(store, handle, session.version - 1) if self._versioned else None
            if not await store.replace(handle, self._with_expiry(session), revision):
                raise ConflictError("the session is gone, or was changed by another write")
        return handle

    async def _revision(self, store: Revisions[R], handle: str, version: int) -> R:
        """The store's revision of this version of a session."""
        stored = await store.fetch(handle)
        session = None if stored is None else _parse_unexpired(stored.value)
        if stored is None or session is None or session.version != version:
            raise ConflictError("the session is gone, or was changed by another write")
        return stored.revision

    def _with_expiry(self, session: SessionState) -> str:
        return json.dumps([time.time() + self._ttl, session.to_dict()], separators=(",", ":"))

    @contextlib.asynccontextmanager
    async def _with_timeout(self) -> AsyncIterator[Revisions[R]]:
        """The connected store, for requests that have to end within the timeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield await asyncio.shield(self._connection())
        except self._store_errors as problem:
            raise UnavailableError(f"the store does not answer: {type(problem).__name__}") from problem

    def _connection(self) -> asyncio.Task[Revisions[R]]:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect_with_retries())
        return self._connecting

    async def _connect_with_retries(self) -> Revisions[R]:
        while True:
            with contextlib.suppress(*self._store_errors):
                return await self._connect()
            await asyncio.sleep(_CONNECT_INTERVAL_S)


def _parse_unexpired(value: str) -> SessionState | None:
    expires, session = json.loads(value)
    return SessionState.from_dict(session) if expires > time.time() else None


def addresses(store: str, scheme: str) -> tuple[str, ...]:
    """The ``host:port`` of each server in ``scheme://host:port,host:port``.

    Raises:
        SettingsError: the URL is wrong.
    """
    parts = urlsplit(store)
    servers = tuple(parts.netloc.split(",")) if parts.scheme == scheme else ()
    if not all(re.fullmatch(r"[^:]+:\d+", address) for address in servers or ("",)):
        raise SettingsError(f"the state needs --store {scheme}://host:port,host:port,..., not {store!r}")
    return servers
