"""What the balancer believes of its members, told whenever it changes its mind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Balancer
from harness.common.clock import Clock
from harness.common.errors import HarnessError
from harness.observations.events import Event, EventKind

POLL_INTERVAL_S = 0.1  # seconds: so late is it noticed at most
GONE = "gone"


@asynccontextmanager
async def watch_member_states(balancer: Balancer, clock: Clock, record: Callable[[Event], None]) -> AsyncIterator[None]:
    """Ask it again and again for the length of a scope; one that is down is asked later."""
    task = asyncio.create_task(_watch(balancer, clock, record))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(balancer: Balancer, clock: Clock, record: Callable[[Event], None]) -> None:
    known: Mapping[str, str] = {}
    while True:
        with contextlib.suppress(HarnessError):
            told = await balancer.states()
            for name in sorted({*known, *told}):
                if told.get(name) != known.get(name):
                    record(Event(clock.seconds(), EventKind.MEMBER_STATE, name, {"state": told.get(name, GONE)}))
            known = told
        await asyncio.sleep(POLL_INTERVAL_S)
