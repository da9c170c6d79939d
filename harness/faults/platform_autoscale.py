"""The platform scales the replicas by itself: it gets a rule, and all that it does is recorded."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from harness.cluster.capabilities import Evidence, PlatformAutoscaler, ScalingRule, SizeChange
from harness.faults.fault import FaultTopology, Heal, Observation, Reversible, wait_until_member_up
from harness.faults.scale import REPLICAS
from harness.scenario.faults import At

#: How much earlier than its first report, in seconds, the removal of a replica may have begun.
_REPORTED_WITHIN_S = 1.0


@dataclass(frozen=True)
class PlatformAutoscale(Reversible):
    """The platform scales by this rule until it is undone."""

    autoscaler: PlatformAutoscaler
    rule: ScalingRule
    kind: ClassVar[str] = "autoscale"
    target: ClassVar[str] = REPLICAS

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Let it begin; the evidence is that it has figures to decide by."""
        return await self.autoscaler.begin(self.rule)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let it end; the last size stays, and the evidence is that as many replicas are ready."""
        return await self.autoscaler.end()


@dataclass(frozen=True)
class PlatformChange(Reversible):
    """What the platform did to the replicas."""

    change: SizeChange
    passes: ClassVar[bool] = True

    @property
    def target(self) -> str:
        """The replica that came or went."""
        return self.change.replica.name

    @property
    def begun(self) -> float:
        """When it was first reported, at the latest."""
        return self.change.t

    async def undo(self, topology: FaultTopology) -> Evidence:
        """The new size stays."""
        return Evidence(True, {"replicas": len(topology.replicas)})


@dataclass(frozen=True)
class PlatformGrow(PlatformChange):
    """It added a replica."""

    kind: ClassVar[str] = "grow"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """The evidence is that the balancer considers it up."""
        replica, size = self.change.replica, len(topology.replicas)
        up = await wait_until_member_up(topology, replica.name)
        return Evidence(up, {"replica": replica.name, "boot": replica.boot, "replicas": size})


@dataclass(frozen=True)
class PlatformRetire(PlatformChange):
    """It removed a replica, of its own choice."""

    kind: ClassVar[str] = "retire"

    @property
    def begun(self) -> float:
        """A moment before any client can have noticed it: its node and the balancer may know it before the harness."""
        return self.change.t - _REPORTED_WITHIN_S

    async def inject(self, topology: FaultTopology) -> Evidence:
        """The evidence is that it is gone."""
        return await self.change.replica.wait_until_gone(self.change.t)


@dataclass(frozen=True)
class NextChange(Observation):
    """Waits until the platform changes the number of replicas, for ``within_s`` at most."""

    autoscaler: PlatformAutoscaler
    within_s: float
    seen: list[SizeChange] = field(default_factory=list)
    kind: ClassVar[str] = "look"
    target: ClassVar[str] = REPLICAS

    async def look(self, topology: FaultTopology) -> None:
        """Keep what it did."""
        if change := await self.autoscaler.next_change(self.within_s):
            self.seen.append(change)


def let_scale(autoscaler: PlatformAutoscaler, rule: ScalingRule, lasting_s: float) -> Iterator[At]:
    """The steps of a timeline: the platform scales for so long, and each change is one of them."""
    end, scaling = time.monotonic() + lasting_s, PlatformAutoscale(autoscaler, rule)
    yield At("0s", scaling)
    while (left := end - time.monotonic()) > 0:
        yield from _next(autoscaler, left)
    yield At("0s", Heal(scaling))
    while (yield from _next(autoscaler, 0)):  # what it did last
        pass


def _next(autoscaler: PlatformAutoscaler, within_s: float) -> Generator[At, None, bool]:
    """The next change, if there is one in that time; returns whether there was."""
    look = NextChange(autoscaler, within_s)
    yield At("0s", look)
    for change in look.seen:
        yield At("0s", (PlatformGrow if change.added else PlatformRetire)(change))
    return bool(look.seen)
