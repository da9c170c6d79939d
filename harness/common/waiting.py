"""Waiting for a condition that no event announces."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def wait_until(probe: Callable[[], Awaitable[T] | T], timeout_s: float, interval_s: float) -> T:
    """Call ``probe`` every ``interval_s`` seconds until it returns a true value, for ``timeout_s`` seconds at most.

    The probe is called at least once, and once more after the time is up. Returns its last value, which is false where
    the time ran out. What the probe raises ends the waiting.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() >= deadline
        value = probe()
        result: T = await value if inspect.isawaitable(value) else value
        if result or late:
            return result
        await asyncio.sleep(interval_s)
