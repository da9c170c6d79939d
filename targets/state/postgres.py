"""In PostgreSQL: one row per session; a session expires ``ttl`` after its last write.

A write is acknowledged once its transaction is committed and, with ``--option fsync=always``, flushed to disk: neither
the death of the replica nor that of the server loses it. With ``fsync=interval`` (``synchronous_commit = off``) it is
flushed up to 0.6 s later, and a death of the server loses the writes that were not. Without a check the last of two
concurrent writes wins and the other is lost. ``--option versioned=yes`` makes the version part of the UPDATE's
condition and refuses the second write. While the server is unavailable the service starts, and answers 503.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http.errors import ConflictError
from targets.state import TTL
from targets.storage.store_client import ALWAYS, CONNECTIONS, INTERVAL, TIMEOUT_S, answer_within, new_handle

if TYPE_CHECKING:
    import asyncpg

OPTIONS: tuple[str, ...] = ("ttl", "versioned", "fsync")
KEEPS_SESSIONS = True

_PURGE_INTERVAL_S = 60.0
# Replicas that start together would otherwise race for the table's name.
_SCHEMA = """
SELECT pg_advisory_xact_lock(7301);
CREATE TABLE IF NOT EXISTS session (handle text PRIMARY KEY, expires timestamptz, version bigint, kept text);
CREATE INDEX IF NOT EXISTS session_expires ON session (expires);
"""
_UNTIL = "clock_timestamp() + make_interval(secs => $2)"
_READ = "SELECT kept FROM session WHERE handle = $1 AND expires > clock_timestamp()"
_CREATE = f"INSERT INTO session VALUES ($1, {_UNTIL}, $3, $4) RETURNING 1"  # noqa: S608 - made of constants
_WRITE = (
    f"UPDATE session SET expires = {_UNTIL}, version = $3, kept = $4 "  # noqa: S608 - made of constants
    "WHERE handle = $1 AND expires > clock_timestamp()"
)
_IF_UNCHANGED = " AND version = $3 - 1"
_PURGE = "DELETE FROM session WHERE expires < clock_timestamp()"
T = TypeVar("T")


class Postgres:
    """Sessions in the table ``session``, which is created if it is missing."""

    def __init__(
        self, url: str, ttl: float = TTL, versioned: bool = False, timeout_s: float = TIMEOUT_S, fsync: str = ALWAYS
    ) -> None:
        import asyncpg  # noqa: PLC0415 - no other state needs to spend the time

        self._pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=CONNECTIONS,
            init=lambda connection: connection.execute(_SCHEMA),
            reset=_skip_reset,
            server_settings={"synchronous_commit": "on" if fsync == ALWAYS else "off"},
        )
        # The third one is raised for a query on a connection that the server is just ending.
        self._store_errors = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
        self._ttl, self._timeout_s = ttl, timeout_s
        self._write = _WRITE + (_IF_UNCHANGED if versioned else "") + " RETURNING 1"
        self._purged = time.monotonic()

    async def open(self) -> None:
        """Nothing to do yet: connections are made when they are needed."""
        await self._pool

    async def close(self) -> None:
        """Close all connections."""
        self._pool.terminate()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired.

        Raises:
            UnavailableError: no answer in time.
        """
        value = await self._run(lambda connection: connection.fetchval(_READ, handle))
        return None if value is None else SessionState.from_json(value)

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle, and remove expired sessions once a minute.

        Raises:
            UnavailableError: no answer in time.
        """
        handle = new_handle()
        if time.monotonic() > self._purged + _PURGE_INTERVAL_S:
            self._purged = time.monotonic()
            await self._run(lambda connection: connection.execute(_PURGE))
        await self._run_write(_CREATE, handle, session)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it still exists (and, if versions are checked, is still the one that was read).

        Raises:
            ConflictError: it is not.
            UnavailableError: no answer in time.
        """
        if not await self._run_write(self._write, handle, session):
            raise ConflictError("the session is gone, or was changed by another write")
        return handle

    async def _run_write(self, statement: str, handle: str, session: SessionState) -> bool:
        values = (handle, self._ttl, session.version, session.to_json())
        return bool(await self._run(lambda connection: connection.fetchval(statement, *values)))

    async def _run(self, query: Callable[["asyncpg.Connection"], Awaitable[T]]) -> T:
        return await answer_within(self._timeout_s, self._run_on_connection(query), self._store_errors)

    async def _run_on_connection(self, query: Callable[["asyncpg.Connection"], Awaitable[T]]) -> T:
        connection = await self._pool.acquire()
        try:
            return await query(connection)
        except BaseException:
            # Otherwise the pool would first wait for the server to cancel the query.
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)


async def _skip_reset(connection: "asyncpg.Connection") -> None:
    """No query here changes a connection's settings, so resetting them would only cost one more query each time."""


def create_store(settings: Settings) -> Postgres:
    """A client with the options ``ttl``, ``versioned`` and ``fsync``.

    Raises:
        SettingsError: there is no store, or its URL is wrong.
    """
    if urlsplit(settings.store).scheme not in ("postgres", "postgresql"):
        raise SettingsError(
            "the state postgres needs --store URL, such as postgresql://postgres@127.0.0.1:5432/postgres"
        )
    options = settings.options
    fsync = options.text("fsync", ALWAYS, (ALWAYS, INTERVAL))
    return Postgres(settings.store, options.seconds("ttl", TTL), options.flag("versioned"), fsync=fsync)
