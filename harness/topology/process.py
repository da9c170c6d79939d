"""The process backend: a Design brought up as processes of this machine, with nothing but what pip installs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from harness import balancers
from harness.bundled import targets_home
from harness.clock import Clock
from harness.parts import Balancer, Member, Store
from harness.ports import Reservation, unsought
from harness.scenario import Balancing, Design
from harness.stores import STORES, needs
from harness.supervisor import Supervisor
from harness.targets import Command, Url
from harness.topology.attached import attached
from harness.topology.command import CommandReplica, OnStart
from harness.topology.health import AsOurs, AsReady
from harness.topology.logs import bounded
from harness.topology.replica import ProcessReplica, Started, TargetSettings
from harness.topology.sampler import sampling
from harness.topology.topology import Topology


S = TypeVar("S", bound=Started)


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
    async def topology(
        self, design: Design, logs: Path, clock: Clock, port: int = 0, on_start: OnStart = lambda name, boot: None
    ) -> AsyncIterator[Topology]:
        """The design, up and steady, for the length of a scope: store, then all replicas at once, then the balancer.

        Logs and the effect journal go to ``logs``; CPU and memory are sampled from ``clock``'s T0 on. The balancer
        listens on ``port``; 0 is any that is free. ``on_start`` is told of every start of a user's own program.

        Raises:
            EnvironmentLacksError: a part is missing, does not start, or its port answers as somebody else.
            UntrustedError: all parts started, and yet do not become steady.
        """
        logs.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything is timed
        async with AsyncExitStack() as scope:
            topology = await self._parts(scope, design, logs, port, on_start, clock)
            await topology.steady()
            yield topology

    async def _parts(
        self, scope: AsyncExitStack, design: Design, logs: Path, port: int, on_start: OnStart, clock: Clock
    ) -> Topology:
        journal, target = logs / "journal.jsonl", design.target
        if isinstance(target, Url):
            sampler = await scope.enter_async_context(sampling(self._supervisor, clock))
            front, replicas = attached(target)
            return Topology(design, AsReady(target.ready), replicas, front, None, journal, sampler)
        store = await self._store(scope, design, logs)
        started: Sequence[Started]
        if isinstance(target, Command):
            started = await self._commands(scope, design, target, store, logs, on_start)
            balancing = _for_others(design.balancing, target)
        else:
            url = store.url if store else None
            settings = TargetSettings(design, self._nonce, self._secret, journal, url, self._home)
            started, balancing = await self._replicas(scope, settings, logs), design.balancing
        balancer = await self._balancer(scope, balancing, started, logs, port)
        sampler = await scope.enter_async_context(sampling(self._supervisor, clock))
        answering = AsReady(target.ready) if target else AsOurs(self._nonce)
        return Topology(design, answering, started, balancer, store, journal, sampler)

    async def _store(self, scope: AsyncExitStack, design: Design, logs: Path) -> Store | None:
        name = design.target.store if isinstance(design.target, Command) else needs(design.state)
        return await scope.enter_async_context(STORES[name](self._supervisor, logs)) if name else None

    async def _replicas(
        self, scope: AsyncExitStack, settings: TargetSettings, logs: Path
    ) -> tuple[ProcessReplica, ...]:
        replicas = tuple(
            ProcessReplica(name, settings, self._supervisor, scope.enter_context(Reservation()), logs)
            for name in _names(settings.design)
        )
        return await _up(scope, replicas)

    async def _commands(
        self, scope: AsyncExitStack, design: Design, target: Command, store: Store | None, logs: Path, on_start: OnStart
    ) -> tuple[CommandReplica, ...]:
        url = store.url if store else ""
        replicas = tuple(
            CommandReplica(name, target, self._supervisor, scope.enter_context(unsought()), logs, url, on_start)
            for name in _names(design)
        )
        await scope.enter_async_context(bounded([logs / f"{replica.name}.log" for replica in replicas]))
        return await _up(scope, replicas)

    async def _balancer(
        self, scope: AsyncExitStack, balancing: Balancing, replicas: Sequence[Started], logs: Path, wanted: int
    ) -> Balancer:
        port = scope.enter_context(Reservation(wanted)).port
        scratch = self._supervisor.scratch / f"balancer-{port}"
        scratch.mkdir()
        members = [replica.member for replica in replicas]
        starting = self._start_balancer(balancing, members, self._supervisor, scratch=scratch, logs=logs, port=port)
        return await scope.enter_async_context(starting)


def _names(design: Design) -> Sequence[str]:
    return [f"r{index}" for index in range(design.replicas or 1)]


def _for_others(balancing: Balancing, target: Command) -> Balancing:
    """As the design says, for replicas that neither answer on our health path nor say who they are."""
    return replace(balancing, health=replace(balancing.health, path=target.ready), names=True)


async def _up(scope: AsyncExitStack, replicas: tuple[S, ...]) -> tuple[S, ...]:
    """All replicas, ready; each is stopped with the scope."""
    scope.push_async_callback(_together, *(replica.stop for replica in replicas))
    await _together(*(replica.start for replica in replicas))
    return replicas


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
