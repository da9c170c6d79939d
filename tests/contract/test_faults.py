"""What every fault promises, checked for each of them on fakes that only record."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from harness import BuiltIn, faults
from harness.cluster.capabilities import Keys
from harness.common.clock import Clock
from harness.common.errors import UntrustedError, UsageError
from harness.common.waiting import wait_until
from harness.faults.fault import Compound, Reversible
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.services import Command
from tests.support.clocks_and_topology import FakeReplica, FakeTopology


@dataclass(frozen=True)
class Case:
    """A fault, the class that ends it if it has its own, and what it does to the topology while it lasts."""

    fault: Fault
    broken: Callable[[FakeTopology], bool]
    end: Fault | None = None
    stays: Callable[[FakeTopology], bool] = lambda topology: topology.whole and len(topology.replicas) == 3


def _actions(*expected: str) -> Callable[[FakeTopology], bool]:
    return lambda topology: [action for part in topology.parts for action in part.actions] == list(expected)


CASES = {
    "Kill": Case(faults.Kill(1), lambda t: not t.replicas[1].up, faults.Restart(1)),
    "CrashLoop": Case(faults.CrashLoop(1, every="1ms", times=3), _actions(*["kill", "restart"] * 3)),
    "LoseVolume": Case(faults.LoseVolume(1), _actions("lose_volume")),
    "TruncateTail": Case(faults.TruncateTail(1, cut=9), _actions("tear_volume 9")),
    "Pause": Case(faults.Pause(1), lambda t: t.replicas[1].paused, faults.Resume(1)),
    "Slow": Case(faults.Slow(1, by="50ms"), lambda t: t.replicas[1].slow_by == 0.05),
    "Terminate": Case(
        faults.Terminate(1), lambda t: not t.replicas[1].up and "r1" not in t.balancer.believed, faults.Start(1)
    ),
    "RollingDeploy": Case(faults.RollingDeploy(), _actions(*["terminate", "restart"] * 3)),
    "ScaleOut": Case(
        faults.ScaleOut(to=5),
        lambda t: len(t.replicas) == 5,
        stays=lambda t: t.whole and [replica.name for replica in t.replicas] == ["r0", "r1", "r2", "r3", "r4"],
    ),
    "ScaleIn": Case(
        faults.ScaleIn(to=1),
        lambda t: len(t.replicas) == 1,
        stays=lambda t: t.whole and [replica.name for replica in t.replicas] == ["r0"],
    ),
    "KillStore": Case(faults.KillStore(), lambda t: t.store is not None and not t.store.up),
    "KillPrimary": Case(faults.KillPrimary(), lambda t: t.store is not None and not t.store.leader_up),
    "CutReplication": Case(faults.CutReplication(), lambda t: t.store is not None and t.store.replicas_cut),
    "PauseStore": Case(faults.PauseStore(), lambda t: t.store is not None and t.store.paused),
    "Evict": Case(faults.Evict(share=0.3), lambda t: t.store is not None and t.store.limited),
    "ReloadBalancer": Case(faults.ReloadBalancer(), _actions("reload")),
    "KillBalancer": Case(faults.KillBalancer(), lambda t: not t.balancer.up),
    "RollingRestart": Case(faults.RollingRestart(), _actions("restart")),
    "Resize": Case(faults.Resize(to=5), lambda t: t.workload.size == 5),
    "LoseNode": Case(
        faults.LoseNode(faults.Shell('test "$NODE" = node2', undo='test "$NODE" = node2')),
        lambda t: t.workload.lost == "node2",
    ),
    "DrainNode": Case(faults.DrainNode(1), lambda t: t.workload.drained == {"r1"}),
}
CASES["RotateKeys"] = Case(
    faults.RotateKeys(overlap=False),
    lambda t: [replica.signing for replica in t.replicas] == [(2, 2)] * 3,
    stays=lambda t: t.whole and [replica.signing for replica in t.replicas] == [(2, 1, 2)] * 3,
)
for kind in (
    faults.Partition,
    faults.HoldReplies,
    faults.DropReplies,
    faults.ResetConnections,
    faults.Latency,
    faults.Bandwidth,
):
    CASES[kind.__name__] = Case(
        kind("balancer-r1"), lambda t: [name for name, link in t.links.items() if not link.well] == ["balancer-r1"]
    )
TIMEOUT_S = 20
#: The faults that leave something broken, so that their undo can be waited for.
LASTING = [name for name, case in CASES.items() if not case.fault.passes]


def _topology() -> FakeTopology:
    return FakeTopology([FakeReplica(f"r{number}") for number in range(3)])


def _clock() -> Clock:
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    return clock


def _is_healed(events: list[Event]) -> bool:
    return any(event.kind == "fault_healed" for event in events)


async def _until(holds: Callable[[], bool]) -> None:
    assert await wait_until(holds, TIMEOUT_S, 0.002), "the condition never held"


async def _play(case: Case, topology: FakeTopology, events: list[Event]) -> None:
    """Play the fault alone until its effect is visible."""
    async with timeline([At("0s", case.fault)], topology, _clock(), events.append):
        await _until(lambda: case.broken(topology))


def test_every_fault_is_in_this_suite() -> None:
    endings = {"Heal", *(type(case.end).__name__ for case in CASES.values() if case.end is not None)}
    commands = {"Shell"}  # it runs your own commands: tests/unit/faults/test_shell.py
    loops = {"Autoscale"}  # what it does depends on what it sees: tests/unit/faults/test_autoscale.py
    assert set(CASES) | endings | commands | loops == set(faults.__all__)


@pytest.mark.parametrize("name", CASES)
async def test_it_takes_effect_with_evidence_and_is_undone(name: str) -> None:
    topology, events = _topology(), list[Event]()
    await _play(CASES[name], topology, events)
    assert CASES[name].stays(topology)
    kinds = [event.kind for event in events]
    assert kinds == ["fault_commanded", "fault_effective", "fault_healed"] * (len(kinds) // 3) and kinds


@pytest.mark.parametrize("name", CASES)
async def test_it_is_undone_when_the_load_breaks_in_the_middle(name: str) -> None:
    topology = _topology()
    with pytest.raises(RuntimeError, match="load"):
        async with timeline([At("0s", CASES[name].fault)], topology, _clock(), lambda event: None):
            await _until(lambda: CASES[name].broken(topology))
            raise RuntimeError("load")
    assert CASES[name].stays(topology)


@pytest.mark.parametrize("name", CASES)
async def test_it_is_undone_when_it_is_interrupted(name: str) -> None:
    """Ctrl-C cancels what is in progress."""
    topology = _topology()

    async def under_load() -> None:
        async with timeline([At("0s", CASES[name].fault)], topology, _clock(), lambda event: None):
            await asyncio.sleep(60)

    running = asyncio.create_task(under_load())
    await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert topology.whole


@pytest.mark.parametrize("name", LASTING)
async def test_without_evidence_it_is_undone_and_not_trusted(name: str) -> None:
    topology = _topology()
    for part in topology.parts:
        part.lands = False
    with pytest.raises(UntrustedError, match="did not land"):
        async with timeline([At("0s", CASES[name].fault)], topology, _clock(), lambda event: None):
            await asyncio.sleep(0.03)
    assert topology.whole


@pytest.mark.parametrize("name", LASTING)
async def test_it_can_be_ended_before_the_load(name: str) -> None:
    case = CASES[name]
    assert isinstance(case.fault, Reversible)
    for end in filter(None, (case.end, faults.Heal(case.fault))):
        assert (end.ends, end.target) == (case.fault.kind, case.fault.target)
        topology, events = _topology(), list[Event]()
        async with timeline([At("0s", case.fault), At("10ms", end)], topology, _clock(), events.append):
            await _until(partial(_is_healed, events))
            assert topology.whole


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_an_immutable_value(name: str) -> None:
    """Equal faults compare equal, and none can be changed: a timeline is data."""
    fault = CASES[name].fault
    assert hash(fault) == hash(fault) and fault == CASES[name].fault
    with pytest.raises(AttributeError):
        fault.kind = "other"  # type: ignore[misc]  # that it cannot be set is the point


@pytest.mark.parametrize("name", CASES)
def test_no_other_fault_has_its_kind(name: str) -> None:
    kinds = [case.fault.kind for case in CASES.values()]
    assert kinds.count(CASES[name].fault.kind) == 1
    assert CASES[name].fault.target


async def test_a_failed_undo_does_not_prevent_the_others() -> None:
    topology = _topology()
    played = [At("0s", faults.Pause(1)), At("0s", faults.KillStore())]
    with pytest.raises(UsageError, match="no part 'store'"):
        async with timeline(played, topology, _clock(), lambda event: None):
            await asyncio.sleep(0.03)
            topology.store = None
    assert not topology.replicas[1].paused


async def test_with_an_overlap_all_replicas_accept_the_new_key_before_any_signs_with_it() -> None:
    topology, fault = _topology(), faults.RotateKeys(overlap=True)
    seen = []

    class ObservedReplica(FakeReplica):
        async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
            keys = await super().use_keys(signing, accepted)
            seen.append({replica.signing for replica in topology.replicas})
            return keys

    topology.replicas = [ObservedReplica(f"r{number}") for number in range(3)]
    for rotation in (2, 3):
        assert (await fault.inject(topology)).confirmed
        assert {replica.signing for replica in topology.replicas} == {(rotation, *range(1, rotation + 1))}
    signing = [{keys[0] for keys in state} for state in seen]
    accepting = [set.intersection(*(set(keys[1:]) for keys in state)) for state in seen]
    assert all(numbers <= accepted for numbers, accepted in zip(signing, accepting, strict=True))


async def test_the_evidence_of_a_rotation_is_the_id_of_the_new_key() -> None:
    evidence = await faults.RotateKeys().inject(_topology())
    assert evidence.facts == {"overlap": True, "old_key": "k1", "r0": "k2", "r1": "k2", "r2": "k2"}


def test_a_rotation_applies_only_to_designs_that_sign() -> None:
    assert faults.RotateKeys().applies(Design("one", BuiltIn(state="token")))
    assert not faults.RotateKeys().applies(Design("one", BuiltIn(state="memory")))
    assert not faults.RotateKeys().applies(Design("one", Command("x {port}")))


async def test_a_store_fault_without_a_store_is_a_usage_error() -> None:
    topology = FakeTopology([FakeReplica("r0")], store=None)
    with pytest.raises(UsageError, match="no part 'store'"):
        async with timeline([At("0s", faults.PauseStore())], topology, _clock(), lambda event: None):
            await asyncio.sleep(0.03)


async def test_a_fault_of_the_store_link_concerns_the_links_of_all_replicas() -> None:
    topology = _topology()
    evidence = await faults.Partition("store").inject(topology)
    assert [name for name, link in topology.links.items() if not link.well] == ["r0-store", "r1-store", "r2-store"]
    assert evidence.facts["connections"] == 6


async def test_a_deploy_continues_only_when_the_previous_replica_is_up() -> None:
    topology, seen = _topology(), list[int]()

    def down(event: Event) -> None:
        seen.append(sum(not replica.up for replica in topology.replicas))

    async with timeline([At("0s", faults.RollingDeploy())], topology, _clock(), down):
        await asyncio.sleep(0.05)
    assert max(seen) == 1 and seen[-1] == 0
    assert [replica.boots for replica in topology.replicas] == [2, 2, 2]


async def test_a_drained_replica_leaves_the_balancer_before_it_is_stopped() -> None:
    topology, order = _topology(), list[str]()
    replica, balancer = topology.replicas[1], topology.balancer

    class ObservedReplica(FakeReplica):
        async def terminate(self):  # type: ignore[no-untyped-def]  # as in FakeReplica
            order.append(f"stopped while {balancer.believed.get('r1', 'out')}")
            return await super().terminate()

    topology.replicas[1] = ObservedReplica(replica.name)
    for drain in (True, False):
        await faults.Terminate(1, drain=drain).inject(topology)
        await faults.Terminate(1, drain=drain).undo(topology)
    assert order == ["stopped while out", "stopped while up"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: faults.Pause(3).check(3), "there are 3 replicas"),
        (lambda: faults.Terminate(-1).check(3), "there are 3 replicas"),
        (lambda: faults.ScaleOut(to=3).check(3), "3 replicas already"),
        (lambda: faults.ScaleIn(to=3).check(3), "there are 3 replicas"),
        (lambda: faults.ScaleIn(to=0).check(3), "there are 3 replicas"),
        (lambda: faults.Slow(1, by="0s"), "above 0"),
        (lambda: faults.Slow(1, by="3s"), "at most 2s"),
        (lambda: faults.Evict(share=0.0), "above 0"),
        (lambda: faults.Partition("r1"), "no link 'r1'"),
        (lambda: faults.Partition("r3-store").check(3), "there are 3 replicas"),
        (lambda: faults.Latency("store", by="0s"), "above 0"),
        (lambda: faults.Bandwidth("store", rate=0), "above 0"),
        (lambda: faults.TruncateTail(1, cut=0), "at least 1 byte"),
        (lambda: faults.LoseVolume(3).check(3), "there are 3 replicas"),
        (lambda: faults.CrashLoop(1, times=0), "times at least 1"),
    ],
)
def test_an_impossible_fault_is_refused_when_made_or_checked(make: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_compounds_consist_of_faults_that_can_stand_alone() -> None:
    for case in CASES.values():
        if isinstance(case.fault, Compound):
            steps = list(case.fault.steps(_topology()))
            assert steps and all(isinstance(step.fault, Reversible) or step.fault.ends for step in steps)
