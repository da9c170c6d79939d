"""kill -9 of a replica, and its restart in place; once, or again and again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Killable
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import Compound, FaultTopology, OnReplica, Reversible, require_capability
from harness.scenario.faults import At


@dataclass(frozen=True)
class Kill(OnReplica, Reversible):
    """SIGKILL to one replica; undone by starting it again, empty, on its own address."""

    kind: ClassVar[str] = "kill"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone."""
        return await require_capability(topology, self.target, Killable).kill()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Start it again; the evidence is another boot id."""
        return await require_capability(topology, self.target, Killable).restart()


@dataclass(frozen=True)
class Restart(OnReplica):
    """The end of a Kill before the end of the run."""

    kind: ClassVar[str] = "restart"
    ends: ClassVar[str] = Kill.kind


@dataclass(frozen=True)
class CrashLoop(OnReplica, Compound):
    """A replica that dies at intervals of ``every``, ``times`` in all, and is started again at once each time."""

    every: str = "1s"
    times: int = 3
    kind: ClassVar[str] = "crash_loop"
    passes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if parse_seconds(self.every) <= 0 or self.times < 1:
            raise UsageError(f"CrashLoop(every={self.every!r}, times={self.times}): every is above 0, times at least 1")

    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """Kill and restart, again and again; a restart that takes longer delays the next kill."""
        for index in range(self.times):
            begin = f"{index * parse_seconds(self.every):.3f}s"
            yield from (At(begin, Kill(self.replica)), At(begin, Restart(self.replica)))
