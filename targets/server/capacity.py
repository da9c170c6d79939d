"""Emulated capacity: at most so many requests at once, each held for a time, at almost no CPU."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from targets.common.settings import SettingsError

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
        self._slots = slots
        self._held = 0.0  # seconds that slots were held, of requests that have ended
        self._ends = [0.0] * slots  # a heap: when each free slot was due to become free

    def usage(self) -> dict[str, float]:
        """How busy it has been: ``held_s`` of ``slots`` at ``t``, by which its use between two looks can be told."""
        return {"held_s": self._held, "slots": self._slots, "t": time.monotonic()}

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Wait for a slot, hold it for the service time, then do the work."""
        now = asyncio.get_running_loop().time
        arrived = now()
        async with self._free:
            due = max(arrived, heapq.heappop(self._ends)) + self._service_time
            try:
                await asyncio.sleep(due - now())
                woke = now()
                self._held += self._service_time
                try:
                    return await work()
                finally:
                    due += now() - woke
                    self._held += now() - woke
            finally:
                heapq.heappush(self._ends, due)
