"""Emulated capacity: at most so many requests at once, each held for a time, at almost no CPU."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import TypeVar

from targets.settings import SettingsError

T = TypeVar("T")


class Slots:
    """``slots`` requests at once, first come first served, each held for ``service_time`` seconds and its own work.

    A timer of the event loop is up to a millisecond late. So that the capacity is ``slots / service_time`` all the
    same, a request that queued counts its time from when the one before it was *due* to end, not from when it woke.
    """

    def __init__(self, service_time: float, slots: int) -> None:
        if slots < 1:
            raise SettingsError("--slots must be at least 1")
        self._service_time = service_time
        self._free = asyncio.Semaphore(slots)
        self._ends = [0.0] * slots  # a heap: when each free slot was due to become free

    async def held(self, work: Callable[[], Awaitable[T]]) -> T:
        """Wait for a slot, hold it for the service time, then do the work."""
        now = asyncio.get_running_loop().time
        arrived = now()
        async with self._free:
            due = max(arrived, heapq.heappop(self._ends)) + self._service_time
            try:
                await asyncio.sleep(due - now())
                woke = now()
                try:
                    return await work()
                finally:
                    due += now() - woke
            finally:
                heapq.heappush(self._ends, due)
