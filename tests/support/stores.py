"""Real stores that the tests of a module share: each runs from its first use until the end of the module."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from harness.cluster.capabilities import Killable, Pausable
from harness.cluster.stores import STORES, StoreType
from harness.cluster.stores.etcd import EtcdStore
from harness.cluster.stores.hazelcast import HazelcastStore
from harness.cluster.stores.nats import NatsStore
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError

TIMEOUT_S = 60
#: Stores whose three servers reach agreement, and which also work with one.
AGREEING: dict[str, type[EtcdStore | HazelcastStore | NatsStore]] = {
    "etcd": EtcdStore,
    "hazelcast": HazelcastStore,
    "nats": NatsStore,
}
#: The other stores. test_clusters.py tests several servers together.
OTHERS = sorted(STORES.keys() - AGREEING.keys())
#: Stores whose data survives the death of all their servers.
DURABLE = ("etcd", "nats", "postgres")

T = TypeVar("T")


class Held(StoreType, Killable, Pausable, Protocol):
    """The abilities of each of these stores."""


class HeldStores:
    """The stores in use, by name."""

    def __init__(self, supervisor: Supervisor, scope: AsyncExitStack, logs: Path) -> None:
        self.supervisor = supervisor
        self._scope, self._logs = scope, logs
        self._held: dict[str, Held] = {}

    async def up(self, name: str) -> Held:
        """The store of that name, running even if an earlier test stopped it; one server of a cluster."""
        if name in self._held:
            held = self._held[name]
            await held.resume()
            assert (await held.restart()).confirmed
            return held
        logs, agreeing = self._logs / name, AGREEING.get(name)
        store: StoreType = (
            agreeing(self.supervisor, logs, members=1) if agreeing else STORES[name](self.supervisor, logs)
        )
        try:
            await self._scope.enter_async_context(store)
        except EnvironmentLacksError as lack:
            pytest.skip(f"{lack.message}: {lack.hint}")
        assert isinstance(store, Killable) and isinstance(store, Pausable)
        self._held[name] = store
        return store


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """The first successful result: clients find a restarted store or a new leader only after a moment."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return await ask()
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def held_stores(logs: Path) -> AsyncIterator[HeldStores]:
    async with start_supervisor("held-stores") as supervisor, AsyncExitStack() as scope:
        yield HeldStores(supervisor, scope, logs)
