"""Waiting for a condition that no event announces."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def wait_until(probe: Callable[[], Awaitable[T]], timeout_s: float, interval_s: float) -> T: ...
@overload
async def wait_until(probe: Callable[[], T], timeout_s: float, interval_s: float) -> T: ...
async def wait_until(probe: Callable[[], Any], timeout_s: float, interval_s: float) -> Any:
    """Call ``probe`` every ``interval_s`` seconds until it returns a true value, for ``timeout_s`` seconds at most.

    The probe is called at least once, and once more after the time is up. Returns its last value, which is false where
    the time ran out. What the probe raises ends the waiting.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() >= deadline
        value = probe()
        result = await value if inspect.isawaitable(value) else value
        if result or late:
            return result
        await asyncio.sleep(interval_s)
