"""The autoscaler: what it measures, what it wants, and what it changes in a fake topology."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from harness.cluster.capabilities import SlotUsage
from harness.common.clock import Clock
from harness.common.errors import UsageError
from harness.faults import Autoscale
from harness.faults.autoscale import Gauge, Look, cpu
from harness.faults.fault import Observation
from harness.faults.scale import Grow, Retire
from harness.faults.timeline import timeline
from harness.observations.samples import Sample
from harness.scenario.faults import At
from tests.support.clocks_and_topology import FakeReplica, FakeTopology

LOOP = Autoscale(at=0.5, least=1, most=4, lasting="1h", every="1ms", cooldown="1ms")


@dataclass
class Busy(FakeReplica):
    """A replica of two slots, of which ``share`` is in use from look to look."""

    share: float = 0.5
    looks: int = 0
    held: float = 0.0

    async def load(self) -> SlotUsage | None:
        self.looks += 1
        self.held += 2 * self.share
        return SlotUsage(self.held, slots=2, t=float(self.looks))


@dataclass
class Scaled(FakeTopology):
    """Replicas that share the work: ``work`` is how many of them it would fill."""

    replicas: list[FakeReplica] = field(default_factory=lambda: [Busy("r0")])
    work: float = 0.5

    async def grow(self) -> FakeReplica:
        self.replicas.append(Busy(f"r{len(self.replicas)}"))
        return self.replicas[-1]

    def spread(self) -> None:
        for replica in self.replicas:
            assert isinstance(replica, Busy)
            replica.share = min(1.0, self.work / len(self.replicas))


async def _run_loop(topology: Scaled, loop: Autoscale, works: Sequence[float]) -> list[str]:
    """The changes that the loop makes, with one look at each amount of work."""
    changes, left = list[str](), list(works)
    for at in loop.steps(topology):
        fault = at.fault
        if isinstance(fault, Observation):
            if not left:
                return changes
            topology.work = left.pop(0)
            topology.spread()
            await fault.look(topology)
            continue
        assert isinstance(fault, Grow | Retire)
        await fault.inject(topology)
        changes.append(fault.kind)
    return changes


async def test_it_grows_with_the_load_to_its_maximum_and_shrinks_one_by_one_to_its_minimum() -> None:
    topology = Scaled()
    assert await _run_loop(topology, LOOP, [0.5, 0.5, 0.5]) == []
    assert await _run_loop(topology, LOOP, [0.5, 1.0, 1.0, 2.0, 9.0, 9.0]) == ["grow"] * 3
    assert await _run_loop(topology, LOOP, [0.2] * 6) == ["retire"] * 3
    assert [replica.name for replica in topology.replicas] == ["r0"]
    assert topology.whole


async def test_it_waits_for_its_cooldown_before_it_shrinks() -> None:
    topology = Scaled(work=4.0)
    patient = Autoscale(at=0.5, least=1, most=4, lasting="10h", every="1ms", cooldown="1h")
    assert await _run_loop(topology, patient, [1.0, 1.0, *[0.1] * 50]) == ["grow"]


@pytest.mark.parametrize(
    ("replicas", "used", "wanted"),
    [(2, 0.5, 2), (2, 0.54, 2), (2, 0.6, 3), (2, 1.0, 4), (4, 0.1, 1), (2, 9.0, 4), (1, 0.0, 1)],
)
def test_it_wants_enough_replicas_to_meet_the_target(replicas: int, used: float, wanted: int) -> None:
    assert LOOP.choose_size(replicas, used) == wanted


async def test_a_new_replica_counts_from_its_second_observation() -> None:
    topology, gauge = Scaled(work=1.0), Gauge()
    topology.spread()
    await gauge.read(topology)
    assert gauge.utilisation is None
    topology.replicas.append(Busy("r1", share=0.0))
    await gauge.read(topology)
    assert gauge.utilisation == 1.0
    await gauge.read(topology)
    assert gauge.utilisation == 0.5


def test_without_slots_utilisation_is_the_cpu_of_the_last_second_of_replicas_that_are_old_enough() -> None:
    def sample(t: float, name: str, used: float) -> Sample:
        return Sample(t, "replica", name, used, 10.0)

    samples = [sample(0.5, "r0", 9.0), sample(1.5, "r0", 0.2), sample(2.0, "r0", 0.4), sample(2.0, "r1", 1.0)]
    assert cpu(samples, ["r0", "r1"]) == pytest.approx(0.3)
    assert cpu(samples, ["r1"]) is None
    assert cpu([], ["r0"]) is None


async def test_an_observation_on_the_timeline_records_no_event() -> None:
    topology, gauge, events = Scaled(work=1.0), Gauge(), list[object]()
    topology.spread()
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    async with timeline([At("0s", Look(gauge)), At("0s", Look(gauge))], topology, clock, events.append):
        pass
    assert gauge.utilisation == 1.0
    assert not events


@pytest.mark.parametrize("wrong", [{"at": 0}, {"least": 0}, {"most": 1}, {"every": "0s"}, {"every": "2h"}])
def test_limits_that_cannot_be_kept_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Autoscale(**{"at": 0.5, "least": 1, "most": 4, "lasting": "1h", **wrong})  # type: ignore[arg-type]  # that is the point


def test_it_begins_with_a_size_within_its_limits_and_ends_on_its_own() -> None:
    with pytest.raises(UsageError, match="there are 5"):
        LOOP.check(5)
    assert LOOP.passes
