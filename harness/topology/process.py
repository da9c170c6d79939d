"""The process backend: a Design brought up as processes of this machine, with nothing but what pip installs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from harness import balancers
from harness.bundled import targets_home
from harness.clock import Clock
from harness.links import ProxiedLink, Route, linked
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
            ports = [scope.enter_context(Reservation()) for _ in range(design.replicas or 1)]
            links = await scope.enter_async_context(linked(self._supervisor, _routes(design, ports, store), logs))
            replicas = await self._replicas(scope, settings, logs, ports, links)
            balancer = await self._balancer(scope, design, replicas, logs, port)
            sampler = await scope.enter_async_context(sampling(self._supervisor, clock))
            another = partial(self._another, scope, settings, logs, itertools.count(len(replicas)))
            topology = Topology(
                design, self._nonce, replicas, balancer, store, settings.journal, sampler, links, another
            )
            await topology.steady()
            yield topology

    async def _store(self, scope: AsyncExitStack, design: Design, logs: Path) -> Store | None:
        name = needs(design.state)
        return await scope.enter_async_context(STORES[name](self._supervisor, logs)) if name else None

    async def _replicas(
        self,
        scope: AsyncExitStack,
        settings: TargetSettings,
        logs: Path,
        ports: Sequence[Reservation],
        links: Mapping[str, ProxiedLink],
    ) -> list[ProcessReplica]:
        replicas = []
        for number, port in enumerate(ports):
            front, back = links.get(f"balancer-r{number}"), links.get(f"r{number}-store")
            own = replace(settings, store=back.instead_of(settings.store)) if back and settings.store else settings
            at = front.port if front else None
            replicas.append(ProcessReplica(f"r{number}", own, self._supervisor, port, logs, reached_at=at))
        scope.push_async_callback(_together, *(replica.stop for replica in replicas))
        await _together(*(replica.start for replica in replicas))
        return replicas

    async def _another(
        self, scope: AsyncExitStack, settings: TargetSettings, logs: Path, numbers: Iterator[int]
    ) -> ProcessReplica:
        """One replica more, without links; it ends with the scope at the latest."""
        port = scope.enter_context(Reservation())
        replica = ProcessReplica(f"r{next(numbers)}", settings, self._supervisor, port, logs)
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


def _routes(design: Design, ports: Sequence[Reservation], store: Store | None) -> Iterator[Route]:
    """The links that the design wants: from the balancer to each replica, from each replica to the store."""
    for number, port in enumerate(ports):
        if "balancer" in design.links:
            yield Route(f"balancer-r{number}", port.port)
        if "store" in design.links and store is not None:
            yield Route(f"r{number}-store", urlsplit(store.url).port or 0)


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
