"""Replicas that ask each other without a network between them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from targets.http.errors import UnavailableError
from targets.state.replicated import Replicated
from targets.storage.peers import ReplicatedEntry


@dataclass
class Nearby:
    """A replica as the others know it."""

    store: Replicated
    away: bool = False

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        self._answers()
        return self.store.keep(entries)

    async def give(self, handle: str) -> ReplicatedEntry | None:
        self._answers()
        return self.store.give(handle)

    async def close(self) -> None: ...

    def _answers(self) -> None:
        if self.away:
            raise UnavailableError("away")
