"""What a platform does to a workload: it replaces all pods, changes their number, empties a node."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from harness.cluster.capabilities import Evidence
from harness.common.errors import UsageError
from harness.faults.fault import WORKLOAD, FaultTopology, OnReplica, Reversible, require_workload
from harness.faults.shell import Shell


class OnWorkload(Reversible):
    """A fault of a workload as a whole; only Kubernetes has workloads."""


@dataclass(frozen=True)
class RollingRestart(OnWorkload):
    """Every pod replaced, by the strategy of the workload itself, as ``kubectl rollout restart`` does it."""

    kind: ClassVar[str] = "rolling_restart"
    target: ClassVar[str] = WORKLOAD
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Restart it; the evidence is that the first pod starts or ends."""
        return await require_workload(topology).restart()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Wait until it is over; the evidence is that all new pods are ready and none of the old ones is left."""
        return await require_workload(topology).settle()


@dataclass(frozen=True)
class Resize(OnWorkload):
    """Another number of pods; the workload's controller chooses which of them end. Undone by the old number."""

    to: int
    kind: ClassVar[str] = "resize"
    target: ClassVar[str] = WORKLOAD

    def __post_init__(self) -> None:
        if self.to < 1:
            raise UsageError(f"Resize(to={self.to}): a workload needs at least one pod", "Resize(to=2)")

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Change the number; the evidence is that as many pods are ready, and which ended."""
        return await require_workload(topology).resize(self.to)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Change it back; the evidence is the same."""
        return await require_workload(topology).resize(None)


@dataclass(frozen=True)
class DrainNode(OnReplica, OnWorkload):
    """A replica's node accepts no new pods, and the workload's pods there are evicted. Undone by uncordoning it."""

    kind: ClassVar[str] = "drain_node"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Cordon and evict; the evidence is that every eviction was accepted."""
        return await require_workload(topology).drain(self.target)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let pods onto the node again; the evidence is that all pods are ready elsewhere."""
        return await require_workload(topology).uncordon(self.target)


@dataclass(frozen=True)
class LoseNode(OnWorkload):
    """The cluster loses a node with replicas, and has it back at the end. Your own commands ``by`` cut it off.

    They have its name in the variable ``NODE``. It is a node without the balancer and the store of the run: where each
    node with replicas has one of them, the fault does not land.
    """

    by: Shell
    kind: ClassVar[str] = "lose_node"
    target: ClassVar[str] = WORKLOAD

    @property
    def commands(self) -> tuple[str, ...]:
        """Those that cut the node off and bring it back."""
        return self.by.commands

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Cut it off; the evidence is that the cluster holds it lost, and sends its replicas no new connections."""
        return await require_workload(topology).lose_node(partial(self._run, True))

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Bring it back; the evidence is that the cluster has it again, and that all replicas are ready."""
        return await require_workload(topology).regain_node(partial(self._run, False))

    async def _run(self, broken: bool, node: str) -> Evidence:
        return await self.by.run(broken, {"NODE": node})
