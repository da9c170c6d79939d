"""An autoscaler of the platform: what it does is recorded with its times, however late it is noticed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from harness.cluster.capabilities import Evidence, ScalingRule, SizeChange
from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.faults import Autoscale
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.observations.faults import FaultLog, FaultRecord
from harness.scenario.faults import At
from tests.support.clocks_and_topology import FakeReplica, FakeTopology

SCALING = Autoscale(at=0.25, least=1, most=3, lasting="50ms", every="50ms", cooldown="2s", drain=False)


@dataclass
class Scaled(FakeReplica):
    async def wait_until_gone(self, begin: float) -> Evidence:
        return Evidence(self.lands, {"boot": self.boot})


@dataclass
class FakeAutoscaler:
    """Does what is in ``plan``, the last of it only when it is asked to end. ``figures`` is whether it has any."""

    plan: list[SizeChange]
    figures: bool = True
    rules: list[ScalingRule] = field(default_factory=list)
    ended: int = 0

    async def begin(self, rule: ScalingRule) -> Evidence:
        self.rules.append(rule)
        return Evidence(self.figures)

    async def end(self) -> Evidence:
        self.ended += 1
        return Evidence(True, {"decisions": "New size: 1"})

    async def next_change(self, timeout_s: float) -> SizeChange | None:
        return self.plan.pop(0) if len(self.plan) > 1 or (self.plan and self.ended) else None


async def play(autoscaler: FakeAutoscaler, replicas: Sequence[FakeReplica]) -> list[FaultRecord]:
    """What is recorded of a run of the autoscaler that began ten seconds ago."""
    topology, log = FakeTopology([*replicas]), FaultLog()
    topology.autoscaler = autoscaler
    events: list[Event] = []
    clock = Clock(time.monotonic_ns() - 10**10)
    async with timeline([At("0s", SCALING)], topology, clock, events.append):
        pass
    for event in events:
        log.add(event)
    return list(log.records)


async def test_all_that_it_does_is_recorded_at_the_time_when_it_was_done() -> None:
    first, second = Scaled("r0"), Scaled("r1")
    now = time.monotonic()
    autoscaler = FakeAutoscaler([SizeChange(second, True, now - 6), SizeChange(first, False, now - 2)])
    records = await play(autoscaler, [first, second])
    assert [(record.kind, record.target) for record in records] == [
        ("autoscale", "replicas"),
        ("grow", "r1"),
        ("retire", "r0"),
    ]
    scaling, grown, retired = records
    assert grown.commanded == pytest.approx(4, abs=0.1)
    assert 6.5 < retired.commanded < 7.9, "clients may notice it before it is reported"
    assert retired.evidence["boot"] == first.boot and retired.healed is not None
    assert scaling.healed is not None and scaling.evidence["healed_decisions"] == "New size: 1"
    assert autoscaler.rules == [ScalingRule(0.25, 1, 3, 2.0)] and autoscaler.ended == 1


async def test_without_figures_it_did_not_land_and_is_ended_all_the_same() -> None:
    autoscaler = FakeAutoscaler([], figures=False)
    with pytest.raises(UntrustedError, match="autoscale on replicas did not land"):
        await play(autoscaler, [Scaled("r0")])
    assert autoscaler.ended == 1


async def test_a_pod_that_never_goes_is_no_retirement() -> None:
    stuck = Scaled("r0", lands=False)
    now = time.monotonic()
    with pytest.raises(UntrustedError, match="retire on r0 did not land"):
        await play(FakeAutoscaler([SizeChange(stuck, False, now), SizeChange(stuck, False, now)]), [stuck])
