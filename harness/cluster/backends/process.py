"""The process backend: a Design brought up as processes of this machine, with nothing but what pip installs."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from harness.cluster import balancers
from harness.cluster.capabilities import Balancer, Member, Store
from harness.cluster.links import AddressableLink, Route, open_links
from harness.cluster.replicas.command import CommandReplica, OnStart, ReplicaOrders
from harness.cluster.replicas.external import external_parts
from harness.cluster.replicas.probes import HealthProbe, NonceProbe, ReadinessProbe
from harness.cluster.replicas.replica import BuiltinReplica, ManagedReplica, TargetSettings
from harness.cluster.stores import store_of
from harness.cluster.supervisor import Supervisor
from harness.cluster.topology import Topology
from harness.cluster.watch.logs import bound_logs
from harness.cluster.watch.sampler import Sampler, start_sampler
from harness.common.bundled import targets_home
from harness.common.clock import Clock
from harness.common.errors import UsageError
from harness.common.ports import LOOPBACK, Reservation, non_ephemeral_port
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn, Command, OwnService, Url


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


@dataclass(frozen=True)
class Deployment:
    """Where one design comes up: all of it ends with ``scope``."""

    scope: AsyncExitStack
    design: Design
    logs: Path
    port: int
    clock: Clock
    on_start: OnStart

    @property
    def names(self) -> Sequence[str]:
        """Of the replicas."""
        return [f"r{index}" for index in range(self.design.replicas or 1)]


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
            topology = await self._brought_up(Deployment(scope, design, logs, port, clock, on_start))
            await topology.wait_until_healthy()
            yield topology

    async def _brought_up(self, site: Deployment) -> Topology:
        design, target, journal = site.design, site.design.target, site.logs / "journal.jsonl"
        if isinstance(target, Url):
            front, copies = external_parts(target)
            sampler = await self._sampler(site)
            return Topology(design, ReadinessProbe(target.ready), list(copies), front, None, journal, sampler)
        store, another = await self._store(site), None
        links: Mapping[str, AddressableLink] = {}
        url = store.url.replace(LOOPBACK, self._supervisor.address(store.name, "store")) if store else ""
        if not isinstance(target, BuiltIn):
            answering: HealthProbe = self._answering(target)
            started, balancing = await self._own(site, target, url), _for_others(design.balancing, target)
        else:
            answering = NonceProbe(self._nonce)
            ports = [site.scope.enter_context(Reservation()) for _ in site.names]
            peers = {
                name: f"{self._supervisor.address(name)}:{port.port}"
                for name, port in zip(site.names, ports, strict=True)
            }
            settings = TargetSettings(
                target,
                design.limits,
                self._nonce,
                self._secret,
                journal,
                url or None,
                self._home,
                self._folder(site, "volumes"),
                peers,
                self._supervisor.listen,
            )
            links = await self._links(site, _routes(design, ports, store))
            started, balancing = await self._replicas(site, settings, ports, links), design.balancing
            another = partial(self._another, site, settings, peers, itertools.count(len(started)))
        balancer = await self._balancer(site, balancing, started)
        sampler = await self._sampler(site)
        return Topology(design, answering, list(started), balancer, store, journal, sampler, links, another)

    def _folder(self, site: Deployment, what: str) -> Path:
        """A new folder in scratch for the length of the site; no port names it, since one may come again in a run."""
        folder = Path(tempfile.mkdtemp(prefix=f"{what}-", dir=self._supervisor.scratch))
        site.scope.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    async def _links(self, site: Deployment, routes: Iterator[Route]) -> Mapping[str, AddressableLink]:
        return await site.scope.enter_async_context(open_links(self._supervisor, routes, site.logs))

    async def _sampler(self, site: Deployment) -> Sampler:
        return await site.scope.enter_async_context(start_sampler(self._supervisor, site.clock))

    async def _store(self, site: Deployment) -> Store | None:
        store = store_of(site.design)
        return await site.scope.enter_async_context(store(self._supervisor, site.logs)) if store else None

    async def _replicas(
        self,
        site: Deployment,
        settings: TargetSettings,
        ports: Sequence[Reservation],
        links: Mapping[str, AddressableLink],
    ) -> Sequence[ManagedReplica]:
        replicas = []
        for name, port in zip(site.names, ports, strict=True):
            front, back = links.get(f"balancer-{name}"), links.get(f"{name}-store")
            own = replace(settings, store=back.rewrite_url(settings.store)) if back and settings.store else settings
            at = front.port if front else None
            replicas.append(BuiltinReplica(name, own, self._supervisor, port, site.logs, reached_at=at))
        return await start_all(site, replicas)

    async def _another(
        self, site: Deployment, settings: TargetSettings, peers: dict[str, str], numbers: Iterator[int]
    ) -> BuiltinReplica:
        """One replica more, without links; it ends with the scope at the latest."""
        port, name = site.scope.enter_context(Reservation()), f"r{next(numbers)}"
        peers[name] = f"{self._supervisor.address(name)}:{port.port}"
        replica = BuiltinReplica(name, settings, self._supervisor, port, site.logs)
        site.scope.push_async_callback(replica.stop)
        await replica.start()
        return replica

    def _answering(self, target: OwnService) -> HealthProbe:
        return ReadinessProbe(target.ready)

    async def _own(self, site: Deployment, target: OwnService, store: str) -> Sequence[ManagedReplica]:
        """Copies of a service of the user's own, up; ``store`` is the URL of theirs."""
        if not isinstance(target, Command):
            raise UsageError(f"{site.design.name} is in an image", "--backend docker")
        replicas = [
            CommandReplica(
                name,
                self._supervisor,
                site.scope.enter_context(non_ephemeral_port()),
                site.logs,
                ReplicaOrders(target, store, site.on_start),
            )
            for name in site.names
        ]
        await site.scope.enter_async_context(bound_logs([site.logs / f"{name}.log" for name in site.names]))
        return await start_all(site, replicas)

    async def _balancer(self, site: Deployment, balancing: Balancing, replicas: Sequence[ManagedReplica]) -> Balancer:
        port = site.scope.enter_context(Reservation(site.port)).port
        scratch = self._folder(site, "balancer")
        members = [replica.member for replica in replicas]
        starting = self._start_balancer(
            balancing, members, self._supervisor, scratch=scratch, logs=site.logs, port=port
        )
        return await site.scope.enter_async_context(starting)


def _for_others(balancing: Balancing, target: OwnService) -> Balancing:
    """As the design says, for replicas that neither answer on our health path nor say who they are."""
    return replace(balancing, health=replace(balancing.health, path=target.ready), names=True)


async def start_all(site: Deployment, replicas: Sequence[ManagedReplica]) -> Sequence[ManagedReplica]:
    """All replicas, ready; each is stopped with the scope."""
    site.scope.push_async_callback(_together, *(replica.stop for replica in replicas))
    await _together(*(replica.start for replica in replicas))
    return replicas


def _routes(design: Design, ports: Sequence[Reservation], store: Store | None) -> Iterator[Route]:
    """The links that the design wants: from the balancer to each replica, from each replica to the store."""
    for number, port in enumerate(ports):
        if "balancer" in design.links:
            yield Route(f"balancer-r{number}", port.port)
        if "store" in design.links and store is not None:
            yield Route(f"r{number}-store", _only_port(store))


def _only_port(store: Store) -> int:
    addresses = urlsplit(store.url).netloc.split(",")
    if len(addresses) > 1:
        problem = f"a link leads to one server, and {store.name} has {len(addresses)}"
        raise UsageError(problem, "take 'store' out of the design's links")
    return int(addresses[0].rpartition(":")[2] or 0)


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
