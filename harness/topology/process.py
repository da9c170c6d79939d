"""The process backend: a Design brought up as processes of this machine, with nothing but what pip installs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from harness import balancers
from harness.bundled import targets_home
from harness.clock import Clock
from harness.parts import Balancer, Member, Store
from harness.ports import Reservation
from harness.scenario import Balancing, Design
from harness.stores import STORES, needs
from harness.supervisor import Supervisor
from harness.topology.replica import ProcessReplica, TargetSettings
from harness.topology.sampler import sampling
from harness.topology.topology import Topology


class StartBalancer(Protocol):
    """What brings a balancer up; the port is held by the caller (SO_REUSEPORT)."""

    def __call__(
        self,
        balancing: Balancing,
        members: Sequence[Member],
        supervisor: Supervisor,
        *,
        scratch: Path,
        logs: Path,
        port: int,
    ) -> AbstractAsyncContextManager[Balancer]:
        """A balancer in front of the members, for the length of a scope."""


class ProcessBackend:
    """Brings topologies up one after another under one supervisor.

    ``nonce`` is what this run's replicas answer with, ``secret`` signs their tokens, ``home`` holds the package
    ``targets``.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        nonce: str,
        secret: str,
        start_balancer: StartBalancer = balancers.start,
        home: Path | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._nonce = nonce
        self._secret = secret
        self._start_balancer = start_balancer
        self._home = home or targets_home()

    @asynccontextmanager
    async def topology(self, design: Design, logs: Path, clock: Clock, port: int = 0) -> AsyncIterator[Topology]:
        """The design, up and steady, for the length of a scope: store, then all replicas at once, then the balancer.

        Logs and the effect journal go to ``logs``; CPU and memory are sampled from ``clock``'s T0 on. The balancer
        listens on ``port``; 0 is any that is free.

        Raises:
            EnvironmentLacksError: a part is missing, does not start, or its port answers as somebody else.
            UntrustedError: all parts started, and yet do not become steady.
        """
        logs.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything is timed
        async with AsyncExitStack() as scope:
            store = await self._store(scope, design, logs)
            settings = TargetSettings(
                design, self._nonce, self._secret, logs / "journal.jsonl", store.url if store else None, self._home
            )
            replicas = await self._replicas(scope, settings, logs)
            balancer = await self._balancer(scope, design, replicas, logs, port)
            sampler = await scope.enter_async_context(sampling(self._supervisor, clock))
            another = partial(self._another, scope, settings, logs, itertools.count(len(replicas)))
            topology = Topology(design, self._nonce, replicas, balancer, store, settings.journal, sampler, another)
            await topology.steady()
            yield topology

    async def _store(self, scope: AsyncExitStack, design: Design, logs: Path) -> Store | None:
        name = needs(design.state)
        return await scope.enter_async_context(STORES[name](self._supervisor, logs)) if name else None

    async def _replicas(self, scope: AsyncExitStack, settings: TargetSettings, logs: Path) -> list[ProcessReplica]:
        numbers = range(settings.design.replicas or 1)
        replicas = [self._replica(scope, settings, logs, number) for number in numbers]
        scope.push_async_callback(_together, *(replica.stop for replica in replicas))
        await _together(*(replica.start for replica in replicas))
        return replicas

    def _replica(self, scope: AsyncExitStack, settings: TargetSettings, logs: Path, number: int) -> ProcessReplica:
        return ProcessReplica(f"r{number}", settings, self._supervisor, scope.enter_context(Reservation()), logs)

    async def _another(
        self, scope: AsyncExitStack, settings: TargetSettings, logs: Path, numbers: Iterator[int]
    ) -> ProcessReplica:
        """One replica more; it ends with the scope at the latest."""
        replica = self._replica(scope, settings, logs, next(numbers))
        scope.push_async_callback(replica.stop)
        await replica.start()
        return replica

    async def _balancer(
        self, scope: AsyncExitStack, design: Design, replicas: Sequence[ProcessReplica], logs: Path, wanted: int
    ) -> Balancer:
        port = scope.enter_context(Reservation(wanted)).port
        scratch = self._supervisor.scratch / f"balancer-{port}"
        scratch.mkdir()
        members = [replica.member for replica in replicas]
        starting = self._start_balancer(
            design.balancing, members, self._supervisor, scratch=scratch, logs=logs, port=port
        )
        return await scope.enter_async_context(starting)


async def _together(*deeds: Callable[[], Awaitable[None]]) -> None:
    """All at once; the first that fails cancels the others, and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for deed in deeds:
                group.create_task(_awaited(deed))
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None


async def _awaited(deed: Callable[[], Awaitable[None]]) -> None:
    await deed()
