"""Records each change of the state that the balancer assigns to a member."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Balancer
from harness.common.background import background
from harness.common.clock import Clock
from harness.common.errors import HarnessError
from harness.observations.events import Event, EventKind

POLL_INTERVAL_S = 0.1  # the longest delay before a change is noticed
GONE = "gone"


@asynccontextmanager
async def watch_member_states(balancer: Balancer, clock: Clock, record: Callable[[Event], None]) -> AsyncIterator[None]:
    """Poll the balancer for the length of a scope. While it is down, nothing is recorded."""
    async with background(_watch(balancer, clock, record)):
        yield


async def _watch(balancer: Balancer, clock: Clock, record: Callable[[Event], None]) -> None:
    known: Mapping[str, str] = {}
    while True:
        with contextlib.suppress(HarnessError):
            states = await balancer.states()
            for name in sorted({*known, *states}):
                if states.get(name) != known.get(name):
                    record(Event(clock.seconds(), EventKind.MEMBER_STATE, name, {"state": states.get(name, GONE)}))
            known = states
        await asyncio.sleep(POLL_INTERVAL_S)
