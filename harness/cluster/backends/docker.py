"""The Docker backend: the same parts in separate containers, in separate networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.cluster.backends.deployment import Deployment
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.capabilities import DirectionState, Evidence, LinkState
from harness.cluster.containers import DockerSupervisor
from harness.cluster.links import Route
from harness.cluster.replicas.compose import ComposeReplica, compose_up
from harness.cluster.replicas.container import ContainerReadinessProbe, ContainerReplica, ImageReplica
from harness.cluster.replicas.managed import ManagedReplica
from harness.cluster.replicas.probes import HealthProbe
from harness.common.errors import UsageError
from harness.common.ports import Reservation
from harness.scenario.services import Compose, Image, OwnService

_PARTITION = LinkState(DirectionState("hold"), DirectionState("hold"))


@dataclass(frozen=True)
class NetworkLink:
    """The connection of a part to a network. It can only be connected or disconnected."""

    name: str
    supervisor: DockerSupervisor
    part: str
    network: str
    port: None = None  # there is no proxy in between

    def rewrite_url(self, url: str) -> str:
        """Return the URL of the far end unchanged."""
        return url

    async def set_state(self, state: LinkState) -> Evidence:
        """Disconnect the part, or connect it again at its old address: confirmed when the engine says so.

        Raises:
            UsageError: a network cannot do that.
        """
        if state not in (_PARTITION, LinkState()):
            raise UsageError(f"the Docker backend cannot do that to {self.name}", "it can do a Partition")
        change = self.supervisor.disconnect if state == _PARTITION else self.supervisor.reconnect
        confirmed = await change(self.part, self.network)
        return Evidence(confirmed, {"network": self.network})


class DockerBackend(ProcessBackend):
    """Brings topologies up, one after another, as containers of one run."""

    _supervisor: DockerSupervisor

    def _readiness_probe(self, target: OwnService) -> HealthProbe:
        return ContainerReadinessProbe(target.ready)

    async def _start_own(self, deployment: Deployment, target: OwnService, store: str) -> Sequence[ManagedReplica]:
        replicas: Sequence[ContainerReplica]
        if isinstance(target, Image):
            replicas = self._image_replicas(deployment, target, store)
        elif isinstance(target, Compose):
            replicas = await self._compose_replicas(deployment, target)
        else:
            raise UsageError(f"{deployment.design.name} is a program of this machine", "--backend process")
        await deployment.bound_replica_logs()
        await deployment.start_all(replicas)
        return replicas

    def _image_replicas(self, deployment: Deployment, target: Image, store: str) -> Sequence[ImageReplica]:
        limits, logs, on_start = deployment.design.limits, deployment.logs, deployment.on_start
        ports = [deployment.scope.enter_context(Reservation()) for _ in deployment.names]
        return [
            ImageReplica(name, self._supervisor, target, port, logs, on_start=on_start, limits=limits, store=store)
            for name, port in zip(deployment.names, ports, strict=True)
        ]

    async def _compose_replicas(self, deployment: Deployment, target: Compose) -> Sequence[ComposeReplica]:
        project = compose_up(self._supervisor, target, len(deployment.names), deployment.logs)
        containers = await deployment.scope.enter_async_context(project)
        return [
            ComposeReplica(name, self._supervisor, target, container, deployment.logs, on_start=deployment.on_start)
            for name, container in zip(deployment.names, containers, strict=True)
        ]

    async def _open_links(self, deployment: Deployment, routes: Iterator[Route]) -> Mapping[str, NetworkLink]:
        links = {}
        for name in (route.name for route in routes):
            near, _, far = name.partition("-")
            part, network = (near, "store") if far == "store" else (far, "app")
            links[name] = NetworkLink(name, self._supervisor, part, network)
        return links
