from pathlib import Path

import pytest

from harness.faults import Heal, Shell
from harness.faults.fault import Reversible
from tests.support.clocks_and_topology import FakeTopology


def nothing() -> FakeTopology:
    return FakeTopology([])


async def test_it_landed_when_the_command_and_the_evidence_say_so(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    fault = Shell(f"touch {flag}; echo done", undo=f"rm {flag}", evidence=f"test -e {flag}", name="db")
    broken = await fault.inject(nothing())
    assert broken.confirmed and flag.exists()
    assert (broken.facts["exit"], broken.facts["said"], fault.target) == (0, "done", "db")
    mended = await fault.undo(nothing())
    assert mended.confirmed and not flag.exists()


async def test_a_command_that_fails_did_not_land() -> None:
    evidence = await Shell("echo no such service; exit 3", undo="true").inject(nothing())
    assert not evidence.confirmed
    assert (evidence.facts["exit"], evidence.facts["said"]) == (3, "no such service")


async def test_evidence_that_never_comes_or_never_goes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.shell._EVIDENCE_TIMEOUT_S", 0.05)
    assert not (await Shell("true", undo="true", evidence="false").inject(nothing())).confirmed
    assert not (await Shell("true", undo="true", evidence="true").undo(nothing())).confirmed


async def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.shell._COMMAND_TIMEOUT_S", 0.05)
    assert (await Shell("sleep 100", undo="true").inject(nothing())).facts["exit"] == 124


async def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    evidence = await Shell(f"sleep 5 & echo $! > {tmp_path / 'pid'}", undo=f"kill $(cat {tmp_path / 'pid'})").inject(
        nothing()
    )
    assert evidence.confirmed
    assert (await Shell("true", undo=f"kill $(cat {tmp_path / 'pid'})").undo(nothing())).confirmed


def test_all_its_commands_are_known_beforehand() -> None:
    fault = Shell("a", undo="b", evidence="c")
    assert fault.commands == ("a", "c", "b")
    assert isinstance(fault, Reversible) and Heal(fault).ends == fault.kind
