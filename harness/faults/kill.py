"""kill -9 of a replica, and its restart in place."""

from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults.fault import Topology, able
from harness.parts import Evidence, Killable


def _check(kind: str, replica: int, replicas: int) -> None:
    if not 0 <= replica < replicas:
        raise UsageError(
            f"{kind}(replica={replica}): there are {replicas} replicas, r0 to r{replicas - 1}",
            "choose one of them, or raise --replicas",
        )


@dataclass(frozen=True)
class Kill:
    """SIGKILL to one replica; undone by starting it again, empty, on its own address."""

    replica: int
    kind: ClassVar[str] = "kill"

    @property
    def target(self) -> str:
        """The replica's name."""
        return f"r{self.replica}"

    def check(self, replicas: int) -> None:
        """The replica exists."""
        _check("Kill", self.replica, replicas)

    async def inject(self, topology: Topology) -> Evidence:
        """Kill it; the evidence is that its process is gone."""
        return await able(topology, self.target, Killable).kill()

    async def undo(self, topology: Topology) -> Evidence:
        """Bring it back; the evidence is another boot id."""
        return await able(topology, self.target, Killable).restart()


@dataclass(frozen=True)
class Restart:
    """The end of a Kill before the run's end: its undo, at a time of its own."""

    replica: int
    kind: ClassVar[str] = "restart"

    @property
    def target(self) -> str:
        """The replica's name."""
        return f"r{self.replica}"

    def check(self, replicas: int) -> None:
        """The replica exists."""
        _check("Restart", self.replica, replicas)

    @property
    def ends(self) -> str:
        """The kind of fault that it ends."""
        return Kill.kind
