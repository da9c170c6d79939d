"""In the replica's own memory: fast, and gone with the process. A session expires ``ttl`` after its last write."""

import os
import time
from collections.abc import Callable, Iterable

from targets.problems import Conflict
from targets.session import Session
from targets.settings import Settings
from targets.state import TTL

OPTIONS: tuple[str, ...] = ("ttl",)
KEEPS_SESSIONS = True


class Memory:
    """A dict in the order of the last write, so that what has expired stands in front."""

    def __init__(self, ttl: float = TTL, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl, self._clock = ttl, clock
        self._kept: dict[str, tuple[float, Session]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()

    async def read(self, handle: str, *, to_write: bool = False) -> Session | None:
        """The session, unless it is unknown or expired."""
        expires, session = self._kept.get(handle, (0.0, None))
        return session if expires > self._clock() else None

    async def create(self, session: Session) -> str:
        """Keep it under a new random handle; what has expired makes room."""
        self._purge()
        handle = os.urandom(16).hex()
        self.put(handle, session)
        return handle

    async def write(self, handle: str, session: Session) -> str:
        """Replace it, if it is still the one that was read.

        Raises:
            Conflict: it is not; that takes an app that awaits something between its read and its write.
        """
        _, kept = self._kept.get(handle, (0.0, None))
        if kept is None or kept.version + 1 != session.version:
            raise Conflict("the session is gone, or was changed by another write")
        self.put(handle, session)
        return handle

    def put(self, handle: str, session: Session) -> None:
        """Keep it under this handle, whatever was there."""
        self._kept.pop(handle, None)
        self._kept[handle] = (self._clock() + self._ttl, session)

    def forget(self, handle: str) -> None:
        """Drop a session, as if it had never been."""
        self._kept.pop(handle, None)

    def sessions(self) -> Iterable[Session]:
        """All that are kept, the latest write first."""
        return (session for _, session in reversed(self._kept.values()))

    def _purge(self) -> None:
        now = self._clock()
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest][0] > now:
                return
            del self._kept[oldest]


def place(settings: Settings) -> Memory:
    """A memory with the option ``ttl``."""
    return Memory(settings.options.seconds("ttl", TTL))
