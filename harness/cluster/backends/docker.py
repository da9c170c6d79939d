"""The Docker backend: the same parts in containers of their own, in networks of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.cluster.backends.process import Deployment, ProcessBackend, start_all
from harness.cluster.capabilities import DirectionState, Evidence, LinkState
from harness.cluster.containers import DockerSupervisor
from harness.cluster.links import Route
from harness.cluster.replicas.container import (
    ComposeReplica,
    ContainerReadinessProbe,
    ContainerReplica,
    ImageReplica,
    compose_up,
)
from harness.cluster.replicas.probes import HealthProbe
from harness.cluster.replicas.replica import ManagedReplica
from harness.cluster.watch.logs import bound_logs
from harness.common.errors import UsageError
from harness.common.ports import Reservation
from harness.scenario.services import Compose, Image, OwnService

_APART = LinkState(DirectionState("hold"), DirectionState("hold"))


@dataclass(frozen=True)
class NetworkLink:
    """The way from one part to the others of a network. It can be there or not."""

    name: str
    dock: DockerSupervisor
    part: str
    network: str
    port: None = None  # nothing stands in between

    def rewrite_url(self, url: str) -> str:
        """The far end's URL, as it is."""
        return url

    async def set_state(self, condition: LinkState) -> Evidence:
        """Taken out of the network, or put back at the old address: landed when the engine says so.

        Raises:
            UsageError: a network cannot do that.
        """
        if condition not in (_APART, LinkState()):
            raise UsageError(f"the Docker backend cannot do that to {self.name}", "it can do a Partition")
        apart = condition == _APART
        rewire = self.dock.disconnect if apart else self.dock.reconnect
        landed = await rewire(self.part, self.network)
        return Evidence(landed, {"network": self.network})


class DockerBackend(ProcessBackend):
    """Brings topologies up one after another, in the containers of one dock."""

    _supervisor: DockerSupervisor

    def _answering(self, target: OwnService) -> HealthProbe:
        return ContainerReadinessProbe(target.ready)

    async def _own(self, site: Deployment, target: OwnService, store: str) -> Sequence[ManagedReplica]:
        """Copies of a service in an image, or of one of a Compose file."""
        if isinstance(target, Image):
            ports = [site.scope.enter_context(Reservation()) for _ in site.names]
            replicas: list[ContainerReplica] = [
                ImageReplica(name, self._supervisor, target, port, site.logs, limits=site.design.limits, store=store)
                for name, port in zip(site.names, ports, strict=True)
            ]
        elif isinstance(target, Compose):
            project = compose_up(self._supervisor, target, len(site.names), site.logs)
            containers = await site.scope.enter_async_context(project)
            named = zip(site.names, containers, strict=True)
            replicas = [ComposeReplica(name, self._supervisor, target, one, site.logs) for name, one in named]
        else:
            raise UsageError(f"{site.design.name} is a program of this machine", "--backend process")
        for replica in replicas:
            replica.on_start = site.on_start
        await site.scope.enter_async_context(bound_logs([site.logs / f"{name}.log" for name in site.names]))
        return await start_all(site, replicas)

    async def _links(self, site: Deployment, routes: Iterator[Route]) -> Mapping[str, NetworkLink]:
        return {route.name: self._link(route.name) for route in routes}

    def _link(self, name: str) -> NetworkLink:
        near, _, far = name.partition("-")
        part, network = (near, "store") if far == "store" else (far, "app")
        return NetworkLink(name, self._supervisor, part, network)
