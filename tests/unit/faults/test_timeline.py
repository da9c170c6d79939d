import asyncio
import time

import pytest

from harness.cluster.capabilities import Evidence
from harness.common.clock import Clock
from harness.common.errors import UntrustedError, UsageError
from harness.faults import Kill, Restart, RollingRestart
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.scenario.faults import At
from tests.support.clocks_and_topology import FakeReplica, FakeTopology, FakeWorkload


def _parts(lands: bool = True) -> tuple[FakeReplica, FakeTopology]:
    victim = FakeReplica("r1", lands=lands)
    return victim, FakeTopology([FakeReplica("r0"), victim])


def _clock() -> Clock:
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    return clock


class SlowReplica(FakeReplica):
    """One whose restart takes until it may end."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.restarting, self.may_restart = asyncio.Event(), asyncio.Event()

    async def restart(self) -> Evidence:
        self.restarting.set()
        await self.may_restart.wait()
        return await super().restart()


async def test_a_kill_and_its_restart_are_recorded_as_one_fault_with_evidence() -> None:
    victim, topology = _parts()
    events: list[Event] = []
    faults = [At("0s", Kill(1)), At("10ms", Restart(1))]
    async with timeline(faults, topology, _clock(), events.append):
        await asyncio.sleep(0.05)
    assert [(event.kind, event.subject, event.detail["kind"]) for event in events] == [
        ("fault_commanded", "r1", "kill"),
        ("fault_effective", "r1", "kill"),
        ("fault_healed", "r1", "kill"),
    ]
    assert events[1].detail["boot"] != events[2].detail["boot"]
    assert victim.actions == ["kill", "restart"]


async def test_what_is_still_broken_at_the_end_is_undone() -> None:
    victim, topology = _parts()
    async with timeline([At("0s", Kill(1))], topology, _clock(), lambda event: None):
        await asyncio.sleep(0.02)
        assert not victim.up
    assert victim.up


async def test_a_fault_is_undone_when_the_load_fails() -> None:
    victim, topology = _parts()
    with pytest.raises(RuntimeError, match="load"):
        async with timeline([At("0s", Kill(1))], topology, _clock(), lambda event: None):
            await asyncio.sleep(0.02)
            raise RuntimeError("load")
    assert victim.up


async def test_all_is_undone_when_the_run_is_interrupted_meanwhile() -> None:
    slow, other = SlowReplica("r0"), FakeReplica("r1")

    async def play() -> None:
        faults = [At("0s", Kill(1)), At("0s", Kill(0))]
        async with timeline(faults, FakeTopology([slow, other]), _clock(), lambda event: None):
            await asyncio.sleep(0.02)

    playing = asyncio.create_task(play())
    await slow.restarting.wait()
    playing.cancel()
    await asyncio.sleep(0)
    slow.may_restart.set()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert slow.up and other.up


async def test_a_replica_that_others_took_away_is_no_wrong_use() -> None:
    with pytest.raises(UntrustedError, match="there is no r1; the replicas are r0"):
        async with timeline([At("0s", Kill(1))], FakeTopology([FakeReplica("r0")]), _clock(), lambda event: None):
            await asyncio.sleep(0.02)


async def test_a_fault_without_evidence_is_undone_and_not_trusted() -> None:
    victim, topology = _parts(lands=False)
    with pytest.raises(UntrustedError, match="did not land"):
        async with timeline([At("0s", Kill(1))], topology, _clock(), lambda event: None):
            await asyncio.sleep(0.02)
    assert victim.actions == ["kill", "restart"]


async def test_a_workload_that_was_not_ready_in_time_may_need_more_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def settle(workload: FakeWorkload) -> Evidence:
        return Evidence(False, {"waits_for": "1 of 2 pods are ready"})

    monkeypatch.setattr(FakeWorkload, "settle", settle)
    with pytest.raises(UntrustedError, match=r"rolling_restart .*1 of 2 pods are ready.*; --ready-within") as late:
        async with timeline([At("0s", RollingRestart())], _parts()[1], _clock(), lambda event: None):
            await asyncio.sleep(0.02)
    assert "ready_within= in a scenario" in late.value.message


async def test_an_end_without_its_fault_is_refused() -> None:
    _, topology = _parts()
    with pytest.raises(UsageError, match="nothing to end"):
        async with timeline([At("0s", Restart(1))], topology, _clock(), lambda event: None):
            await asyncio.sleep(0.02)


def test_a_fault_on_a_replica_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="there are 3 replicas"):
        Kill(7).check(3)
