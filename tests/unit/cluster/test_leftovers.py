import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from harness.cluster.leftovers import OrphanProcess, old_runs, orphan_directories, orphan_processes, remove
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor, start_supervisor
from harness.cluster.supervisor.main import read_stat

FOREVER = ("sleep", "1000")
BARE_BELOW = (
    "sh",
    "-c",
    "env -i sleep 1000 & echo $!; wait",
)  # as nginx's workers: no environment, outlive their master


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("unit-leftovers") as started:
        yield started


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - neither files nor other processes set an event
            await asyncio.sleep(0.005)


def words(pid: str | int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def lives(pid: int) -> bool:
    process = read_stat(pid)
    return process is not None and process.state not in "ZX"


async def below(child: Child) -> int:
    """The process below, once it has become what it is to be."""
    await until(lambda: bool(child.log_tail()) and words(child.log_tail())[0] == "sleep")
    return int(child.log_tail())


async def test_an_orphan_is_recognized_by_its_owner_and_can_be_removed(supervisor: Supervisor, tmp_path: Path) -> None:
    kept = await supervisor.spawn(ProcessSpec("kept", "replica", FOREVER, tmp_path / "kept.log"))
    orphaned = {"HARNESS_SUPERVISOR": "1:1", "HARNESS_RUN": "old"}
    lost = await supervisor.spawn(ProcessSpec("lost", "replica", FOREVER, tmp_path / "lost.log", orphaned))
    orphans = [orphan for orphan in orphan_processes() if orphan.pid in (kept.pid, lost.pid)]
    assert orphans == [OrphanProcess(lost.pid, "old", "sleep 1000")]
    remove(orphans, ())
    assert await lost.wait() == -signal.SIGKILL
    assert kept.alive


async def test_a_killed_supervisor_leaves_its_scratch_directory_and_the_processes_that_work_in_it(
    tmp_path: Path,
) -> None:
    async with start_supervisor("unit-left") as supervisor:
        place = supervisor.scratch / "balancer"
        place.mkdir()
        child = await supervisor.spawn(ProcessSpec("nginx", "balancer", BARE_BELOW, tmp_path / "nginx.log", cwd=place))
        worker = await below(child)
        assert supervisor.scratch not in orphan_directories()
        assert worker not in [stray.pid for stray in orphan_processes()]
        master = read_stat(child.pid)
        assert master is not None
        os.kill(master.parent, signal.SIGKILL)
        await child.wait()
        # Even before anybody has waited for it; its files are closed a moment before the kernel calls it a zombie.
        await until(lambda: supervisor.scratch in orphan_directories())
    orphans = [orphan for orphan in orphan_processes() if orphan.pid == worker]
    assert orphans == [OrphanProcess(worker, "", "sleep 1000")]
    remove(orphans, [supervisor.scratch])
    await until(lambda: not lives(worker))
    assert not supervisor.scratch.exists()


async def test_a_directory_of_another_kind_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cluster.leftovers.SCRATCH_PREFIX", str(tmp_path / "harness-"))
    (tmp_path / "harness-notes").mkdir()
    for name, owner in (("harness-old", "1:1 run"), ("harness-mine", f"{identity_of_this()} run")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner").write_text(owner)
    assert orphan_directories() == (tmp_path / "harness-old",)


def identity_of_this() -> str:
    own = read_stat(os.getpid())
    assert own is not None
    return f"{own.pid}:{own.started}"


def test_old_runs_are_all_but_the_newest_of_each_scenario(tmp_path: Path) -> None:
    runs = (
        "kill/20260101T000000-a",
        "kill/20260102T000000-b",
        "drain/20260101T000000-c",
        "baselines/1-x",
        "baselines/2-y",
    )
    for run in runs:
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").touch()
    (tmp_path / "kill" / "latest").symlink_to("20260102T000000-b")
    (tmp_path / "kill" / "0-notes").mkdir()
    assert old_runs(tmp_path) == (tmp_path / "kill" / "20260101T000000-a",)
