"""In the replica's own memory: fast, and lost with the process. A session expires ``ttl`` after its last write."""

import os
import time
from collections.abc import Callable, Iterable, Mapping

from targets.common.session import SessionState
from targets.common.settings import Settings
from targets.http.errors import ConflictError
from targets.state import TTL

OPTIONS: tuple[str, ...] = ("ttl",)
KEEPS_SESSIONS = True


class Memory:
    """A dict in the order of the last write, so that expired sessions come first."""

    def __init__(self, ttl: float = TTL, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl, self._clock = ttl, clock
        self._entries: dict[str, tuple[float, SessionState]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired."""
        expires, session = self._entries.get(handle, (0.0, None))
        return session if expires > self._clock() else None

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle, after removing expired sessions."""
        self.purge()
        handle = os.urandom(16).hex()
        self.put(handle, session)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it is still the one that was read.

        Raises:
            ConflictError: it is not, which takes an app that awaits something between its read and its write.
        """
        _, present = self._entries.get(handle, (0.0, None))
        if present is None or present.version + 1 != session.version:
            raise ConflictError("the session is gone, or was changed by another write")
        self.put(handle, session)
        return handle

    def put(self, handle: str, session: SessionState, expires: float | None = None) -> None:
        """Keep it under this handle in place of any other, until ``expires`` by the memory's clock, if given."""
        self._entries.pop(handle, None)
        self._entries[handle] = (self._clock() + self._ttl if expires is None else expires, session)

    def forget(self, handle: str) -> None:
        """Remove a session."""
        self._entries.pop(handle, None)

    def sessions(self) -> Iterable[SessionState]:
        """All sessions, the latest write first."""
        return (session for _, session in reversed(self._entries.values()))

    def snapshot(self) -> Mapping[str, tuple[float, SessionState]]:
        """A copy of all sessions by handle, each with the time at which it expires; the oldest write first."""
        self.purge()
        return dict(self._entries)

    def find(self, handle: str) -> tuple[float, SessionState | None]:
        """The time at which the session expires, and the session, even if it has expired."""
        return self._entries.get(handle, (0.0, None))

    def purge(self) -> list[str]:
        """Remove expired sessions, and return their handles."""
        now, expired = self._clock(), []
        while self._entries and self._entries[oldest := next(iter(self._entries))][0] <= now:
            del self._entries[oldest]
            expired.append(oldest)
        return expired


def add_ballast(memory: Memory, count: int) -> None:
    """Add ``count`` sessions without a client, to measure the cost of size."""
    for number in range(count):
        session = SessionState.new("ballast").with_write("0", f"{number:016x}", {"ballast": 1})
        memory.put(os.urandom(16).hex(), session)


def create_store(settings: Settings) -> Memory:
    """A memory with the option ``ttl``."""
    return Memory(settings.options.seconds("ttl", TTL))
