"""Faults of the volume of a replica that is down: its files are lost, or its newest file is truncated."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, HasVolume, Truncatable
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology, OnReplica, Reversible, require_capability


@dataclass(frozen=True)
class LoseVolume(OnReplica, Reversible):
    """All that a dead replica kept on its volume is gone. It comes between a Kill (or a Terminate) and its end.

    On Kubernetes the claim of its pod is deleted, and with it the pod, which has come back after the Kill.
    """

    kind: ClassVar[str] = "lose_volume"
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Remove it; the evidence is what it held, or the claim, and that this is gone."""
        return await require_capability(topology, self.target, HasVolume).lose_volume()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Nothing: the files stay away."""
        return Evidence(True)


@dataclass(frozen=True)
class TruncateTail(OnReplica, Reversible):
    """The newest file on a dead replica's volume lacks its last ``cut`` bytes, as after a power cut."""

    cut: int = 64
    kind: ClassVar[str] = "torn_tail"
    passes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.cut < 1:
            raise UsageError(f"TruncateTail(cut={self.cut}): at least 1 byte is cut off")

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Truncate it; the evidence is the file and the bytes that it lost."""
        return await require_capability(topology, self.target, Truncatable).tear_volume(self.cut)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Nothing: the bytes stay away."""
        return Evidence(True)
