"""The process backend: it brings a Design up as processes of this machine, and needs nothing but what pip installs."""

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.cluster import balancers
from harness.cluster.backends.deployment import Deployment
from harness.cluster.backends.routes import routes
from harness.cluster.capabilities import Balancer, Member, Store
from harness.cluster.kubernetes import require_client
from harness.cluster.links import AddressableLink, Route, open_links
from harness.cluster.replicas.builtin import BuiltinReplica, TargetSettings
from harness.cluster.replicas.command import CommandReplica, ReplicaOrders
from harness.cluster.replicas.external import external_parts
from harness.cluster.replicas.managed import ManagedReplica, OnStart
from harness.cluster.replicas.probes import HealthProbe, NonceProbe, ReadinessProbe
from harness.cluster.stores import store_of
from harness.cluster.supervisor import Spawner, Supervisor
from harness.cluster.topology import Topology
from harness.cluster.watch.sampler import Sampler, start_sampler
from harness.common.bundled import targets_home
from harness.common.clock import Clock
from harness.common.errors import UsageError
from harness.common.ports import Reservation, non_ephemeral_port
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.services import BuiltIn, Command, OwnService, Url


class StartBalancer(Protocol):
    """A function that starts a balancer; its caller holds the port (SO_REUSEPORT)."""

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
        """Run a balancer in front of the members for the length of a scope."""


class ProcessBackend:
    """Brings topologies up, one after another, under one supervisor.

    The replicas answer with ``nonce``, and sign their tokens with ``secret``. ``home`` holds the package ``targets``;
    ``warm`` starts its replicas for the first time.
    """

    _forwards = False  # whether an API server forwards what the harness asks of pods

    def __init__(
        self,
        supervisor: Supervisor,
        nonce: str,
        secret: str,
        start_balancer: StartBalancer = balancers.start,
        home: Path | None = None,
        *,
        warm: Spawner | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._nonce = nonce
        self._secret = secret
        self._start_balancer = start_balancer
        self._home = home or targets_home()
        self._warm = warm

    @property
    def inside(self) -> Supervisor:
        """What starts a load beside the replicas, inside their cluster.

        Raises:
            UsageError: they are in none.
        """
        raise UsageError("only on Kubernetes a load comes from inside the cluster", "--backend kubernetes")

    @asynccontextmanager
    async def topology(
        self, design: Design, logs: Path, clock: Clock, port: int = 0, on_start: OnStart = lambda name, boot: None
    ) -> AsyncIterator[Topology]:
        """Run the design for the length of a scope: first the store, then all replicas at once, then the balancer.

        Logs and the effect journal go to ``logs``; CPU and memory are sampled from ``clock``'s T0 on. The balancer
        listens on ``port``; 0 is any free one. ``on_start`` is called at every start of a user-supplied program.

        Raises:
            EnvironmentLacksError: a part is missing, does not start, or something else answers at its port.
            UntrustedError: all parts started, but do not become healthy.
        """
        logs.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything is timed
        async with AsyncExitStack() as scope:
            topology = await self._deploy(Deployment(scope, design, logs, port, clock, on_start))
            await topology.wait_until_healthy()
            yield topology

    async def _deploy(self, deployment: Deployment) -> Topology:
        target = deployment.design.target
        if isinstance(target, Url):
            return await self._deploy_external(deployment, target)
        if isinstance(target, Kubernetes):
            return await self._deploy_attached(deployment, target)
        store = await self._start_store(deployment)
        if isinstance(target, BuiltIn):
            return await self._deploy_builtin(deployment, target, store)
        return await self._deploy_own(deployment, target, store)

    async def _deploy_external(self, deployment: Deployment, target: Url) -> Topology:
        """A service that runs already."""
        balancer, replicas = external_parts(target)
        sampler = await self._start_sampler(deployment)
        probe = ReadinessProbe(target.ready)
        return Topology(deployment.design, probe, list(replicas), balancer, None, deployment.journal, sampler)

    async def _deploy_attached(self, deployment: Deployment, target: Kubernetes) -> Topology:
        """A workload that already runs on a cluster."""
        require_client()
        from harness.cluster.backends.attached import attached_topology  # noqa: PLC0415 - loads its client only if needed

        sampler = await self._start_sampler(deployment)
        deaths, forwarded = self._supervisor.deaths, self._forwards
        return await attached_topology(deployment, target, sampler, deaths, forwarded=forwarded)

    async def _deploy_own(self, deployment: Deployment, target: OwnService, store: Store | None) -> Topology:
        """A user-supplied service: its replicas have no ``/healthz`` and do not report their names."""
        design = deployment.design
        replicas = await self._start_own(deployment, target, store.url if store else "")
        health = replace(design.balancing.health, path=target.ready)
        balancer = await self._start_balancer_for(
            deployment, replace(design.balancing, health=health, names=True), replicas
        )
        sampler, probe = await self._start_sampler(deployment), self._readiness_probe(target)
        return Topology(design, probe, list(replicas), balancer, store, deployment.journal, sampler)

    async def _deploy_builtin(self, deployment: Deployment, target: BuiltIn, store: Store | None) -> Topology:
        """A built-in target: links can lie between its parts, and replicas can be added."""
        design, names = deployment.design, deployment.names
        ports = [deployment.scope.enter_context(Reservation()) for _ in names]
        peers = {name: self._peer_address(name, port) for name, port in zip(names, ports, strict=True)}
        settings = TargetSettings(
            target,
            design.limits,
            self._nonce,
            self._secret,
            deployment.journal,
            store.url if store else None,
            self._home,
            self._make_folder(deployment, "volumes"),
            peers,
            self._supervisor.listen,
        )
        links = await self._open_links(deployment, routes(design, ports, store))
        replicas = self._builtin_replicas(deployment, settings, ports, links)
        await deployment.start_all(replicas)
        balancer = await self._start_balancer_for(deployment, design.balancing, replicas)
        sampler, numbers = await self._start_sampler(deployment), itertools.count(len(replicas))

        async def start_another() -> BuiltinReplica:
            return await self._start_another(deployment, settings, peers, f"r{next(numbers)}")

        probe = NonceProbe(self._nonce)
        return Topology(
            design, probe, list(replicas), balancer, store, deployment.journal, sampler, links, start_another
        )

    def _peer_address(self, name: str, port: Reservation) -> str:
        return f"{self._supervisor.address(name)}:{port.port}"

    def _make_folder(self, deployment: Deployment, prefix: str) -> Path:
        """Make a folder in scratch; its name is random, since a port may come again in the same run."""
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self._supervisor.scratch))
        deployment.scope.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    async def _open_links(self, deployment: Deployment, routes: Iterator[Route]) -> Mapping[str, AddressableLink]:
        links = open_links(self._supervisor, routes, deployment.logs)
        return await deployment.scope.enter_async_context(links)

    async def _start_sampler(self, deployment: Deployment) -> Sampler:
        return await deployment.scope.enter_async_context(start_sampler(self._supervisor, deployment.clock))

    async def _start_store(self, deployment: Deployment) -> Store | None:
        store = store_of(deployment.design)
        if store is None:
            return None
        return await deployment.scope.enter_async_context(store(self._supervisor, deployment.logs))

    def _builtin_replicas(
        self,
        deployment: Deployment,
        settings: TargetSettings,
        ports: Sequence[Reservation],
        links: Mapping[str, AddressableLink],
    ) -> Sequence[BuiltinReplica]:
        replicas = []
        for name, port in zip(deployment.names, ports, strict=True):
            front, back = links.get(f"balancer-{name}"), links.get(f"{name}-store")
            own = replace(settings, store=back.rewrite_url(settings.store)) if back and settings.store else settings
            link_port = front.port if front else None
            replica = BuiltinReplica(
                name, own, self._supervisor, port, deployment.logs, link_port=link_port, warm=self._warm
            )
            replicas.append(replica)
        return replicas

    async def _start_another(
        self, deployment: Deployment, settings: TargetSettings, peers: dict[str, str], name: str
    ) -> BuiltinReplica:
        """Start one more replica, without links; it ends with the scope at the latest."""
        port = deployment.scope.enter_context(Reservation())
        peers[name] = self._peer_address(name, port)
        replica = BuiltinReplica(name, settings, self._supervisor, port, deployment.logs)
        deployment.scope.push_async_callback(replica.stop)
        await replica.start()
        return replica

    def _readiness_probe(self, target: OwnService) -> HealthProbe:
        """The probe for a user-supplied service; each backend has its own."""
        return ReadinessProbe(target.ready)

    async def _start_own(self, deployment: Deployment, target: OwnService, store: str) -> Sequence[ManagedReplica]:
        """Start the replicas of a user-supplied service; ``store`` is the URL of its store, empty without one."""
        if not isinstance(target, Command):
            raise UsageError(f"{deployment.design.name} is in an image", "--backend docker")
        orders = ReplicaOrders(target, store, deployment.on_start)
        ports = [deployment.scope.enter_context(non_ephemeral_port()) for _ in deployment.names]
        replicas = [
            CommandReplica(name, self._supervisor, port, deployment.logs, orders)
            for name, port in zip(deployment.names, ports, strict=True)
        ]
        await deployment.bound_replica_logs()
        await deployment.start_all(replicas)
        return replicas

    async def _start_balancer_for(
        self, deployment: Deployment, balancing: Balancing, replicas: Sequence[ManagedReplica]
    ) -> Balancer:
        port = deployment.scope.enter_context(Reservation(deployment.port)).port
        balancer = self._start_balancer(
            balancing,
            [replica.member for replica in replicas],
            self._supervisor,
            scratch=self._make_folder(deployment, "balancer"),
            logs=deployment.logs,
            port=port,
        )
        return await deployment.scope.enter_async_context(balancer)
