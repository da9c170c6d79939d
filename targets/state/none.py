"""No state: for apps that keep no sessions."""

from targets.common.session import SessionState
from targets.common.settings import Settings

OPTIONS: tuple[str, ...] = ()
KEEPS_SESSIONS = False


class NullStore:
    """A store that keeps nothing."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """Every session is unknown."""
        return None

    async def create(self, session: SessionState) -> str:
        """An empty handle; nothing is kept."""
        return ""

    async def write(self, handle: str, session: SessionState) -> str:
        """The same handle; nothing is kept."""
        return handle


def create_store(settings: Settings) -> NullStore:
    """A store that keeps nothing; there are no options."""
    return NullStore()
