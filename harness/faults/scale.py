"""More replicas, or fewer. The new size stays: undoing it would be a second change."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Scalable
from harness.common.errors import UsageError
from harness.faults.deploy import drain_and_stop, start_and_rejoin
from harness.faults.fault import Compound, FaultTopology, OnReplica, Reversible, replica_of, wait_until_member_up
from harness.scenario.faults import At

REPLICAS = "replicas"


def scalable(topology: FaultTopology) -> Scalable:
    """The topology, whose size must be able to change.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(topology, Scalable):
        raise UsageError("this topology cannot be scaled while it runs")
    return topology


@dataclass(frozen=True)
class Grow(Reversible):
    """One more replica, added to the balancer once it is ready."""

    kind: ClassVar[str] = "grow"
    target: ClassVar[str] = REPLICAS
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Start it and add it to the balancer; the evidence is that it answers and the balancer considers it up."""
        replica = await scalable(topology).grow()
        await topology.balancer.add(replica.member)
        up = await wait_until_member_up(topology, replica.name)
        return Evidence(up, {"replica": replica.name, "boot": replica.boot, "replicas": len(topology.replicas)})

    async def undo(self, topology: FaultTopology) -> Evidence:
        """The new size stays."""
        return Evidence(True, {"replicas": len(topology.replicas)})


@dataclass(frozen=True)
class Retire(OnReplica, Reversible):
    """SIGTERM to one replica, for good; drained before unless ``drain=False``."""

    drain: bool = True
    grace: str = "0s"
    kind: ClassVar[str] = "retire"
    passes: ClassVar[bool] = True

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Drain and stop it for good; the evidence is that its process has ended."""
        evidence = await drain_and_stop(topology, self.target, self.drain, self.grace, for_good=True)
        replica = replica_of(topology, self.target)
        if not self.drain and replica is not None:
            await topology.balancer.remove(replica.member.name)
        scalable(topology).forget(self.target)
        return evidence

    async def undo(self, topology: FaultTopology) -> Evidence:
        """The new size stays; a replica whose retirement was interrupted is started again."""
        if replica_of(topology, self.target) is not None:
            return await start_and_rejoin(topology, self.target, self.drain)
        return Evidence(True, {"replicas": len(topology.replicas)})


@dataclass(frozen=True)
class ScaleOut(Compound):
    """Replicas are added, one after another, until there are ``to``."""

    to: int
    kind: ClassVar[str] = "scale_out"
    target: ClassVar[str] = REPLICAS
    passes: ClassVar[bool] = True

    def check(self, replicas: int) -> None:
        """Check that the new size is larger than that at the start.

        Raises:
            UsageError: it is not.
        """
        if self.to <= replicas:
            raise UsageError(f"ScaleOut(to={self.to}): there are {replicas} replicas already", "give a larger number")

    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """One replica after another."""
        yield from (At("0s", Grow()) for _ in range(self.to - len(topology.replicas)))


@dataclass(frozen=True)
class ScaleIn(Compound):
    """Replicas are retired, the newest first, until there are ``to``; each is drained before unless ``drain=False``."""

    to: int
    drain: bool = True
    grace: str = "0s"
    kind: ClassVar[str] = "scale_in"
    target: ClassVar[str] = REPLICAS
    passes: ClassVar[bool] = True

    def check(self, replicas: int) -> None:
        """Check that at least one replica stays, and at least one goes.

        Raises:
            UsageError: otherwise.
        """
        if not 1 <= self.to < replicas:
            raise UsageError(f"ScaleIn(to={self.to}): there are {replicas} replicas", "leave at least 1, and fewer")

    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """One replica after another."""
        for replica in list(topology.replicas)[: self.to - 1 : -1]:
            yield At("0s", Retire(int(replica.name[1:]), self.drain, self.grace))
