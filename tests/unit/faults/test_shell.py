"""A fault made of shell commands."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.cluster.capabilities import Evidence
from harness.faults import Heal, LoseNode, Shell
from harness.faults.fault import Reversible
from tests.support.clocks_and_topology import FakeTopology, FakeWorkload


def nothing() -> FakeTopology:
    return FakeTopology([])


async def test_it_is_confirmed_by_the_command_and_the_evidence(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    fault = Shell(f"touch {flag}; echo done", undo=f"rm {flag}", evidence=f"test -e {flag}", name="db")
    broken = await fault.inject(nothing())
    assert broken.confirmed and flag.exists()
    assert (broken.facts["exit"], broken.facts["said"], fault.target) == (0, "done", "db")
    undone = await fault.undo(nothing())
    assert undone.confirmed and not flag.exists()


class Watching(FakeWorkload):
    """A workload whose pods a command may end."""

    async def break_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        return Evidence(True, {**(await command()).facts, "boots": "b1"})

    async def undo_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        return Evidence(False, {**(await command()).facts, "waits_for": "1 of 2 pods are ready"})


async def test_a_workload_is_asked_which_of_its_pods_a_command_ended() -> None:
    fault, topology = Shell("echo done", undo="echo undone"), FakeTopology([], workload=Watching("workload"))
    assert (await fault.inject(topology)).facts == {"exit": 0, "said": "done", "boots": "b1"}
    undone = await fault.undo(topology)
    assert not undone.confirmed
    assert undone.facts == {"exit": 0, "said": "undone", "waits_for": "1 of 2 pods are ready"}


async def test_a_command_that_fails_is_no_evidence() -> None:
    evidence = await Shell("echo no such service; exit 3", undo="true").inject(nothing())
    assert not evidence.confirmed
    assert (evidence.facts["exit"], evidence.facts["said"]) == (3, "no such service")


async def test_evidence_that_never_appears_or_never_disappears_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.shell._EVIDENCE_TIMEOUT_S", 0.05)
    assert not (await Shell("true", undo="true", evidence="false").inject(nothing())).confirmed
    assert not (await Shell("true", undo="true", evidence="true").undo(nothing())).confirmed


async def test_a_command_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.shell._COMMAND_TIMEOUT_S", 0.05)
    assert (await Shell("sleep 100", undo="true").inject(nothing())).facts["exit"] == 124


async def test_it_does_not_wait_for_background_processes(tmp_path: Path) -> None:
    evidence = await Shell(f"sleep 5 & echo $! > {tmp_path / 'pid'}", undo=f"kill $(cat {tmp_path / 'pid'})").inject(
        nothing()
    )
    assert evidence.confirmed
    assert (await Shell("true", undo=f"kill $(cat {tmp_path / 'pid'})").undo(nothing())).confirmed


def test_a_fault_lists_all_its_commands_in_advance() -> None:
    fault = Shell("a", undo="b", evidence="c")
    assert fault.commands == LoseNode(fault).commands == ("a", "c", "b")
    assert isinstance(fault, Reversible) and Heal(fault).ends == fault.kind
