"""In an SQLite file on the replica's own volume: sessions outlive the process, and stay with their replica.

A write is acknowledged once it is in the file's write-ahead log, as safe as ``--option fsync`` says:

- ``always``    the disk has it: neither a crash nor a power cut loses it
- ``interval``  the kernel has it (``synchronous = NORMAL``): a power cut loses the writes since the last checkpoint of
  the log

Only this replica has the file, so the requests of a session need its replica. A session expires ``ttl`` after its last
write. The second of two writes from one read is refused.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http.errors import ConflictError, UnavailableError
from targets.state import TTL
from targets.storage.store_client import ALWAYS, INTERVAL, new_handle

if TYPE_CHECKING:
    from sqlite3 import Connection

OPTIONS: tuple[str, ...] = ("ttl", "fsync")
KEEPS_SESSIONS = True

#: The file's name on the volume.
FILE = "sessions.db"

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = {};
CREATE TABLE IF NOT EXISTS session (handle TEXT PRIMARY KEY, expires REAL, version INTEGER, kept TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_expires ON session (expires);
"""
T = TypeVar("T")


class Sqlite:
    """Sessions in the table ``session`` of one file, which a single thread reads and writes."""

    def __init__(
        self, file: Path, ttl: float = TTL, fsync: str = ALWAYS, clock: Callable[[], float] = time.time
    ) -> None:
        import sqlite3  # noqa: PLC0415 - no other state needs to spend the time

        self._sqlite, self._file = sqlite3, file
        self._ttl, self._fsync, self._clock = ttl, fsync, clock
        self._thread = ThreadPoolExecutor(1, "sqlite")

    async def open(self) -> None:
        """Open the file, or create it.

        Raises:
            SettingsError: that fails.
        """

        def connect() -> "Connection":
            connection: Connection = self._sqlite.connect(self._file, isolation_level=None, check_same_thread=False)
            connection.executescript(_SCHEMA.format("FULL" if self._fsync == ALWAYS else "NORMAL"))
            return connection

        try:
            self._connection = await self._in_thread(connect)
        except UnavailableError as problem:
            raise SettingsError(f"cannot keep sessions in {self._file}: {problem.message}") from problem

    async def close(self) -> None:
        """Close the file."""
        await self._in_thread(self._connection.close)
        self._thread.shutdown()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired.

        Raises:
            UnavailableError: the file cannot be read.
        """
        statement = "SELECT kept FROM session WHERE handle = ? AND expires > ?"
        rows = await self._run(statement, handle, self._clock())
        return SessionState.from_json(rows[0][0]) if rows else None

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle, after removing expired sessions.

        Raises:
            UnavailableError: the file cannot be written.
        """
        handle, now = new_handle(), self._clock()
        await self._run("DELETE FROM session WHERE expires <= ?", now)
        row = (handle, now + self._ttl, session.version, session.to_json())
        await self._run("INSERT INTO session VALUES (?, ?, ?, ?)", *row)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it is still the one that was read.

        Raises:
            ConflictError: it is not.
            UnavailableError: the file cannot be written.
        """
        now = self._clock()
        statement = (
            "UPDATE session SET expires = ?, version = ?, kept = ? "
            "WHERE handle = ? AND version = ? AND expires > ? RETURNING 1"
        )
        new = (now + self._ttl, session.version, session.to_json())
        if not await self._run(statement, *new, handle, session.version - 1, now):
            raise ConflictError("the session is gone, or was changed by another write")
        return handle

    async def _run(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        return await self._in_thread(lambda: self._connection.execute(statement, values).fetchall())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except self._sqlite.Error as problem:
            raise UnavailableError(f"the file does not answer: {problem}") from problem


def create_store(settings: Settings) -> Sqlite:
    """A file on the volume, with the options ``ttl`` and ``fsync``.

    Raises:
        SettingsError: there is no volume.
    """
    fsync = settings.options.text("fsync", ALWAYS, (ALWAYS, INTERVAL))
    return Sqlite(settings.volume_for("sqlite") / FILE, settings.options.seconds("ttl", TTL), fsync)
