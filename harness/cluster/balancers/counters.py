"""What a balancer counts of itself, where it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Counters:
    """One member since the start: requests sent there, errors connecting or replying, retries, requests moved away.

    The latter two are None where the balancer does not count them by member.
    """

    requests: int
    errors: int
    retries: int | None = None
    redispatches: int | None = None


@runtime_checkable
class Counting(Protocol):
    """A balancer that keeps counters; not all do."""

    async def counters(self) -> Mapping[str, Counters]:
        """By member, those taken out included."""
