"""Replicas that are stopped in an orderly way and come back: one, or one after another."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Killable, Retirable, Terminable
from harness.common.durations import parse_seconds
from harness.faults.fault import (
    Compound,
    FaultTopology,
    OnReplica,
    Reversible,
    replica_of,
    require_capability,
    wait_until_member_up,
)
from harness.scenario.faults import At


async def drain_and_stop(
    topology: FaultTopology, name: str, drain: bool, grace: str, *, for_good: bool = False
) -> Evidence:
    """SIGTERM to a replica; with ``drain``, after the balancer has drained and removed it.

    For ``grace`` it gets no new sessions and keeps its own; then nothing more is sent there, and requests in progress
    finish. Without ``drain`` the balancer has to find out on its own. If it ends ``for_good``, nothing replaces it.
    """
    part = require_capability(topology, name, Terminable)
    replica = replica_of(topology, name)
    if drain and replica is not None:
        member = replica.member.name
        await topology.balancer.drain(member)
        await asyncio.sleep(parse_seconds(grace))
        await topology.balancer.remove(member)
    return await (part.retire() if for_good and isinstance(part, Retirable) else part.terminate())


async def start_and_rejoin(topology: FaultTopology, name: str, drained: bool) -> Evidence:
    """Start a replica if it is down, and wait until the balancer sends it requests."""
    evidence = await require_capability(topology, name, Killable).restart()
    replica = replica_of(topology, name)
    if replica is not None and drained:
        await topology.balancer.add(replica.member)
    up = await wait_until_member_up(topology, name)
    return Evidence(evidence.confirmed and up, {**evidence.facts, "held_up": up})


@dataclass(frozen=True)
class Terminate(OnReplica, Reversible):
    """SIGTERM to one replica, drained before unless ``drain=False``; undone by starting it again, empty."""

    drain: bool = True
    grace: str = "0s"
    kind: ClassVar[str] = "terminate"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Drain and stop it; the evidence is that its process has ended."""
        return await drain_and_stop(topology, self.target, self.drain, self.grace)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Start it again; the evidence is another boot id, and that the balancer considers it up."""
        return await start_and_rejoin(topology, self.target, self.drain)


@dataclass(frozen=True)
class Start(OnReplica):
    """The end of a Terminate before the end of the run."""

    kind: ClassVar[str] = "start"
    ends: ClassVar[str] = Terminate.kind


@dataclass(frozen=True)
class RollingDeploy(Compound):
    """Every replica replaced by a new one, one after another, each drained before unless ``drain=False``."""

    drain: bool = True
    grace: str = "0s"
    kind: ClassVar[str] = "rolling_deploy"
    target: ClassVar[str] = "replicas"
    passes: ClassVar[bool] = True

    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """Stop and start, replica by replica; the next one waits until this one is up."""
        for replica in list(topology.replicas):
            number = int(replica.name[1:])
            yield from (At("0s", Terminate(number, self.drain, self.grace)), At("0s", Start(number)))
