"""Where state lives: one file a store. Each offers ``OPTIONS``, ``KEEPS_SESSIONS`` and ``create_store(settings)``.

``OPTIONS`` are the keys of ``--option`` that it reads. ``store`` raises ``SettingsError`` where a setting cannot be,
and imports its client library only then: the time from start to ready is part of what is measured.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from aiohttp.web import BaseRequest, StreamResponse

from targets.common.session import SessionState
from targets.common.settings import Settings

#: How long a session lives after its last write, in seconds, where ``--option ttl`` says nothing.
TTL = 3600.0


class SessionStore(Protocol):
    """Keeps sessions. A handle is what the client holds in its ``session`` cookie: a key, or the state itself."""

    async def open(self) -> None:
        """Get ready; a store that cannot be reached is no error yet."""

    async def close(self) -> None:
        """Give everything back."""

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, or None where it is unknown or expired.

        ``to_write`` says that a write will start from what is read, so it must not come from a stale copy.

        Raises:
            UnauthorizedError: the handle is a proof that is not accepted.
            UnavailableError: the store cannot be reached.
        """

    async def create(self, session: SessionState) -> str:
        """Keep a new session and return its handle.

        Raises:
            UnavailableError: the store cannot be reached.
        """

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace a session by its next version and return its handle, which may be another.

        Raises:
            ConflictError: the session is gone, or not the version that the write started from; nothing was applied.
            UnavailableError: the store cannot be reached; the write may have been applied.
        """


@runtime_checkable
class HasPages(Protocol):
    """An ability apart: a store that answers requests of its own, whatever their method."""

    def pages(self) -> Mapping[str, Callable[[], object]]:
        """By path, what makes the JSON value to answer with."""


@runtime_checkable
class Routed(Protocol):
    """An ability apart: a store that answers requests of its own, at once, such as those of other replicas."""

    def routes(self) -> Mapping[str, Mapping[str, Callable[[BaseRequest], Awaitable[StreamResponse]]]]:
        """By path and method."""


class State(Protocol):
    """What a file of this package offers."""

    OPTIONS: tuple[str, ...]
    KEEPS_SESSIONS: bool

    def create_store(self, settings: Settings) -> SessionStore:
        """Make the store, not yet open."""
