"""Replicas that reach each other without a network."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from targets.http.errors import UnavailableError
from targets.state.replicated import Replicated
from targets.storage.peers import ReplicatedEntry


@dataclass
class Nearby:
    """A replica as its peers reach it."""

    store: Replicated
    away: bool = False

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        self._require_up()
        return self.store.keep(entries)

    async def give(self, handle: str) -> ReplicatedEntry | None:
        self._require_up()
        return self.store.give(handle)

    async def close(self) -> None: ...

    def _require_up(self) -> None:
        if self.away:
            raise UnavailableError("away")
