"""Emulated capacity: a limited number of requests at once, each for a fixed time, at almost no CPU."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from targets.common.settings import SettingsError

T = TypeVar("T")


class Slots:
    """``slots`` requests at once, first come first served, each for ``service_time`` seconds and its own work.

    A timer of the event loop is up to a millisecond late. To keep the capacity at ``slots / service_time`` all the
    same, the time of a queued request starts when the request before it was *due* to end, not when the timer fired.
    """

    def __init__(self, service_time: float, slots: int) -> None:
        if slots < 1:
            raise SettingsError("--slots must be at least 1")
        self._service_time = service_time
        self._free = asyncio.Semaphore(slots)
        self._slots = slots
        self._held = 0.0  # seconds for which requests that have ended held a slot
        self._ends = [0.0] * slots  # a heap of the times at which each free slot was due to become free

    def usage(self) -> dict[str, float]:
        """The seconds ``held_s`` for which ``slots`` were held by the time ``t``. Two reports give the use between."""
        return {"held_s": self._held, "slots": self._slots, "t": time.monotonic()}

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Wait for a slot, hold it for the service time, then run the work."""
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
