"""Faults of the balancer itself."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Killable, Reloadable
from harness.faults.fault import BALANCER, FaultTopology, Reversible, require_capability


@dataclass(frozen=True)
class ReloadBalancer(Reversible):
    """The balancer reloads its configuration, as an operator would have it do."""

    kind: ClassVar[str] = "reload_balancer"
    target: ClassVar[str] = BALANCER
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Reload it; the evidence is that another process, or generation, serves."""
        return await require_capability(topology, BALANCER, Reloadable).reload()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Nothing is left to repair: the evidence is that it runs."""
        return Evidence(topology.balancer.pid is not None, {"pid": topology.balancer.pid})


@dataclass(frozen=True)
class KillBalancer(Reversible):
    """SIGKILL to the balancer: no request is answered; undone by starting it again on its port."""

    kind: ClassVar[str] = "kill_balancer"
    target: ClassVar[str] = BALANCER

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone."""
        return await require_capability(topology, BALANCER, Killable).kill()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Start it again; the evidence is that it serves."""
        return await require_capability(topology, BALANCER, Killable).restart()
