"""In the replica's own memory: fast, and gone with the process. A session expires ``ttl`` after its last write."""

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
    """A dict in the order of the last write, so that what has expired stands in front."""

    def __init__(self, ttl: float = TTL, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl, self._clock = ttl, clock
        self._kept: dict[str, tuple[float, SessionState]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired."""
        expires, session = self._kept.get(handle, (0.0, None))
        return session if expires > self._clock() else None

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle; what has expired makes room."""
        self.purge()
        handle = os.urandom(16).hex()
        self.put(handle, session)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it is still the one that was read.

        Raises:
            ConflictError: it is not; that takes an app that awaits something between its read and its write.
        """
        _, kept = self._kept.get(handle, (0.0, None))
        if kept is None or kept.version + 1 != session.version:
            raise ConflictError("the session is gone, or was changed by another write")
        self.put(handle, session)
        return handle

    def put(self, handle: str, session: SessionState, expires: float | None = None) -> None:
        """Keep it under this handle, whatever was there; until ``expires`` by the memory's clock where that is said."""
        self._kept.pop(handle, None)
        self._kept[handle] = (self._clock() + self._ttl if expires is None else expires, session)

    def forget(self, handle: str) -> None:
        """Drop a session, as if it had never been."""
        self._kept.pop(handle, None)

    def sessions(self) -> Iterable[SessionState]:
        """All that are kept, the latest write first."""
        return (session for _, session in reversed(self._kept.values()))

    def snapshot(self) -> Mapping[str, tuple[float, SessionState]]:
        """All as it is now, by handle, each with when it expires; the oldest write first. It does not change later."""
        self.purge()
        return dict(self._kept)

    def find(self, handle: str) -> tuple[float, SessionState | None]:
        """When the session expires, and the session, even where it has expired."""
        return self._kept.get(handle, (0.0, None))

    def purge(self) -> list[str]:
        """Make room of what has expired; their handles."""
        now, gone = self._clock(), []
        while self._kept and self._kept[oldest := next(iter(self._kept))][0] <= now:
            del self._kept[oldest]
            gone.append(oldest)
        return gone


def add_ballast(memory: Memory, count: int) -> None:
    """Put in so many sessions of nobody's, for their size alone."""
    for number in range(count):
        session = SessionState.new("ballast").with_write("0", f"{number:016x}", {"ballast": 1})
        memory.put(os.urandom(16).hex(), session)


def create_store(settings: Settings) -> Memory:
    """A memory with the option ``ttl``."""
    return Memory(settings.options.seconds("ttl", TTL))
