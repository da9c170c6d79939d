"""The Docker backend: the same parts in containers of their own, in networks of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.containers import Dock
from harness.errors import UsageError
from harness.links import Route
from harness.parts import Condition, Evidence, Way
from harness.topology.process import ProcessBackend, Site

_APART = Condition(Way("hold"), Way("hold"))


@dataclass(frozen=True)
class NetworkLink:
    """The way from one part to the others of a network. It can be there or not."""

    name: str
    dock: Dock
    part: str
    network: str
    port: None = None  # nothing stands in between

    def instead_of(self, url: str) -> str:
        """The far end's URL, as it is."""
        return url

    async def be(self, condition: Condition) -> Evidence:
        """Taken out of the network, or put back at the old address: landed when the engine says so.

        Raises:
            UsageError: a network cannot do that.
        """
        if condition not in (_APART, Condition()):
            raise UsageError(f"the Docker backend cannot do that to {self.name}", "it can do a Partition")
        apart = condition == _APART
        rewire = self.dock.disconnect if apart else self.dock.reconnect
        landed = await rewire(self.part, self.network)
        return Evidence(landed, {"network": self.network})


class DockerBackend(ProcessBackend):
    """Brings topologies up one after another, in the containers of one dock."""

    _supervisor: Dock

    async def _links(self, site: Site, routes: Iterator[Route]) -> Mapping[str, NetworkLink]:
        return {route.name: self._link(route.name) for route in routes}

    def _link(self, name: str) -> NetworkLink:
        near, _, far = name.partition("-")
        part, network = (near, "store") if far == "store" else (far, "app")
        return NetworkLink(name, self._supervisor, part, network)
