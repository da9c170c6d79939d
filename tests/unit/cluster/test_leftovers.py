import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from harness.cluster import leftovers
from harness.cluster.leftovers import OrphanProcess, orphan_directories, orphan_processes, remove
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor, start_supervisor
from harness.cluster.supervisor.main import OWNER_FILE, identity, owner_identity, place, read_stat

ROOT = Path(__file__).resolve().parents[3]
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
    orphaned = {"HARNESS_SUPERVISOR": f"1:1@{place()}", "HARNESS_RUN": "old"}
    lost = await supervisor.spawn(ProcessSpec("lost", "replica", FOREVER, tmp_path / "lost.log", orphaned))
    orphans = [orphan for orphan in orphan_processes() if orphan.pid in (kept.pid, lost.pid)]
    assert orphans == [OrphanProcess(lost.pid, identity(lost.pid), "old", "sleep 1000")]
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
    assert orphans == [OrphanProcess(worker, identity(worker), "", "sleep 1000")]
    remove(orphans, [supervisor.scratch])
    await until(lambda: not lives(worker))
    assert not supervisor.scratch.exists()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scratch directories are looked for."""
    monkeypatch.setattr(leftovers, "SCRATCH_PREFIX", str(tmp_path / "harness-"))
    return tmp_path


def make_scratch(home: Path, name: str, owner: str) -> Path:
    path = home / f"harness-{name}"
    path.mkdir()
    (path / OWNER_FILE).write_text(f"{owner} run")
    return path


def test_a_directory_of_another_kind_is_not_touched(scratch: Path) -> None:
    (scratch / "harness-notes").mkdir()
    old = make_scratch(scratch, "old", f"1:1@{place()}")
    make_scratch(scratch, "mine", owner_identity())
    elsewhere = scratch / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / OWNER_FILE).write_text(f"1:1@{place()} run")
    (scratch / "harness-link").symlink_to(elsewhere)
    (scratch / "harness-noise").mkdir()
    (scratch / "harness-noise" / OWNER_FILE).write_bytes(b"\xff\x00")
    assert orphan_directories() == (old,)


@pytest.mark.parametrize("where", ["", "another-boot.pid:[4026531836]", f"{place()[:36]}.pid:[1]"])
def test_what_belongs_to_another_namespace_or_boot_is_left_alone(scratch: Path, where: str) -> None:
    make_scratch(scratch, "theirs", f"1:1@{where}")
    make_scratch(scratch, "older", "1:1")
    assert orphan_directories() == ()


def test_a_container_that_shares_the_scratch_directories_leaves_those_of_the_host_alone(scratch: Path) -> None:
    """The same directories, seen from another PID namespace, where none of their owners is to be seen."""
    make_scratch(scratch, "live", owner_identity())
    script = f"""
from harness.cluster import leftovers
from harness.cluster.supervisor import main
leftovers.SCRATCH_PREFIX = "{scratch}/harness-"
if main.place() == "{place()}":
    main.place = lambda: "elsewhere"
print(leftovers.orphan_directories())
"""
    new = ("--pid", "--fork", "--mount-proc")
    for namespace in (("unshare", *new), ("unshare", "--user", "--map-root-user", *new), ()):  # as this machine allows
        inside = [*namespace, sys.executable, "-c", script]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, cwd=ROOT)
        if not done.returncode:
            break
    assert done.stdout == "()\n", done.stderr


def test_a_process_that_took_the_pid_of_an_orphan_is_not_killed() -> None:
    with subprocess.Popen(FOREVER) as process:
        remove([OrphanProcess(process.pid, f"{process.pid}:1", "old", "sleep 1000")], ())
        assert process.poll() is None
        remove([OrphanProcess(process.pid, identity(process.pid), "old", "sleep 1000")], ())
        assert process.wait(10) == -signal.SIGKILL
