"""What befalls the balancer itself."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Killable, Reloadable
from harness.faults.fault import BALANCER, FaultTopology, require_capability


@dataclass(frozen=True)
class OnBalancer:
    """What all faults of the balancer have in common."""

    kind: ClassVar[str]
    target: ClassVar[str] = BALANCER

    def check(self, replicas: int) -> None:
        """It depends on no replica."""


@dataclass(frozen=True)
class ReloadBalancer(OnBalancer):
    """The balancer takes up its configuration anew, as an operator would have it do."""

    kind: ClassVar[str] = "reload_balancer"
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Reload it; the evidence is that another process, or generation, serves."""
        return await require_capability(topology, BALANCER, Reloadable).reload()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Nothing is left to mend: it is there."""
        return Evidence(topology.balancer.pid is not None, {"pid": topology.balancer.pid})


@dataclass(frozen=True)
class KillBalancer(OnBalancer):
    """SIGKILL to the balancer: nobody answers any more; undone by starting it again on its port."""

    kind: ClassVar[str] = "kill_balancer"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone."""
        return await require_capability(topology, BALANCER, Killable).kill()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Bring it back; the evidence is that it serves."""
        return await require_capability(topology, BALANCER, Killable).restart()


@dataclass(frozen=True)
class RestartBalancer(OnBalancer):
    """The end of a KillBalancer before the run's end."""

    kind: ClassVar[str] = "restart_balancer"
    ends: ClassVar[str] = KillBalancer.kind
