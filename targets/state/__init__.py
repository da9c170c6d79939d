"""The states: where sessions live. Each module has ``OPTIONS``, ``KEEPS_SESSIONS`` and ``create_store(settings)``.

``OPTIONS`` are the keys of ``--option`` that it reads. ``create_store`` raises ``SettingsError`` for a wrong setting,
and imports the client library, so that other states start without it: the time from start to ready is measured.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from aiohttp.web import BaseRequest, StreamResponse

from targets.common.session import SessionState
from targets.common.settings import Settings

#: How long a session lives after its last write, in seconds, unless ``--option ttl`` says otherwise.
TTL = 3600.0


class SessionStore(Protocol):
    """Keeps sessions. A handle is what the client holds in its ``session`` cookie: a key, or the state itself."""

    async def open(self) -> None:
        """Get ready. A server that cannot be reached is no error yet."""

    async def close(self) -> None:
        """Release all resources."""

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, or None if it is unknown or expired.

        With ``to_write`` a write will start from this session, so it must not come from a stale copy.

        Raises:
            UnauthorizedError: the handle is a credential that is not accepted.
            UnavailableError: the store cannot be reached.
        """

    async def create(self, session: SessionState) -> str:
        """Keep a new session and return its handle.

        Raises:
            UnavailableError: the store cannot be reached.
        """

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace a session by its next version and return its handle, which can be a new one.

        Raises:
            ConflictError: the session is gone, or not the version that the write started from; nothing was applied.
            UnavailableError: the store cannot be reached; the write may have been applied.
        """


@runtime_checkable
class HasPages(Protocol):
    """A store with pages of its own, which answer every method."""

    def pages(self) -> Mapping[str, Callable[[], object]]:
        """By path, the function that makes the JSON value of the reply."""


@runtime_checkable
class HasRoutes(Protocol):
    """A store with routes of its own, which never wait for a slot, such as those for other replicas."""

    def routes(self) -> Mapping[str, Mapping[str, Callable[[BaseRequest], Awaitable[StreamResponse]]]]:
        """The handlers by path and method."""


class State(Protocol):
    """What a module of this package has."""

    OPTIONS: tuple[str, ...]
    KEEPS_SESSIONS: bool

    def create_store(self, settings: Settings) -> SessionStore:
        """Make the store, which is not open yet."""
