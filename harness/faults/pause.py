"""A replica that neither works nor dies: stopped, or so short of CPU that it answers late."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Pausable, Throttleable
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology, OnReplica, Reversible, require_capability


@dataclass(frozen=True)
class Pause(OnReplica, Reversible):
    """SIGSTOP to one replica: it keeps its port and its connections and answers nothing; undone by SIGCONT."""

    kind: ClassVar[str] = "pause"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Stop it; the evidence is the state of the process in the kernel."""
        return await require_capability(topology, self.target, Pausable).pause()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let it continue; it then does what was requested meanwhile."""
        return await require_capability(topology, self.target, Pausable).resume()


@dataclass(frozen=True)
class Resume(OnReplica):
    """The end of a Pause before the end of the run."""

    kind: ClassVar[str] = "resume"
    ends: ClassVar[str] = Pause.kind


@dataclass(frozen=True)
class Slow(OnReplica, Reversible):
    """A replica short of CPU: it stands still for ``by``, runs for 10 ms, and so on, as under a CPU quota.

    A request is late by up to ``by`` each time it needs the CPU.
    """

    by: str = "200ms"
    kind: ClassVar[str] = "slow"

    def __post_init__(self) -> None:
        if not 0 < parse_seconds(self.by) <= 2:
            raise UsageError(f"Slow(by={self.by!r}): above 0, at most 2s", "a longer standstill is a Pause")

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Slow it down; the evidence is that the kernel showed it stopped."""
        return await require_capability(topology, self.target, Throttleable).throttle(parse_seconds(self.by))

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let it run freely again."""
        return await require_capability(topology, self.target, Throttleable).unthrottle()
