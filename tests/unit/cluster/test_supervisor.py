import asyncio
import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import remove
from harness.cluster.supervisor import Child, Death, ProcessSpec, Supervisor, start_supervisor
from harness.cluster.supervisor.main import processes, read_stat
from harness.cluster.supervisor.pinning import cpus_by_role
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError, UntrustedError

FOREVER = ("sleep", "1000")
IGNORES_TERM = ("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done")

# Its parent ends once it has left the session and printed its pid.
ORPHAN = """
import os, time
reader, writer = os.pipe()
if os.fork():
    os.read(reader, 1)
    os._exit(0)
os.setsid()
print(os.getpid(), flush=True)
os.write(writer, b".")
time.sleep(1000)
"""


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("unit") as started:
        yield started


def command(tmp_path: Path, *argv: str, name: str = "r0", cpus: tuple[int, ...] = ()) -> ProcessSpec:
    return ProcessSpec(name, "replica", argv, tmp_path / "logs" / f"{name}.log", cpus=cpus)


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - neither files nor other processes set an event
            await asyncio.sleep(0.005)


async def wait_for_output(child: Child, text: str) -> None:
    await until(lambda: text in child.log_tail())


def lives(pid: int) -> bool:
    process = read_stat(pid)
    return process is not None and process.state not in "ZX"


async def test_both_outputs_go_to_the_log_and_the_input_is_empty(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, "sh", "-c", "cat; echo out; echo err >&2; exit 3"))
    assert await child.wait() == 3
    assert sorted(child.log_tail().split()) == ["err", "out"]
    assert child.log_tail(1) in ("err", "out")


async def test_children_get_no_proxy_and_know_their_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://nowhere:1")
    monkeypatch.setenv("http_proxy", "http://nowhere:1")
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    async with start_supervisor("unit-env") as supervisor:
        child = await supervisor.spawn(ProcessSpec("r0", "replica", ("env",), tmp_path / "env.log", {"OWN": "yes"}))
        await child.wait()
    lines = dict(line.split("=", 1) for line in child.log_tail(1000).splitlines() if "=" in line)
    assert lines["HARNESS_RUN"] == "unit-env"
    assert lines["NO_PROXY"] == "*"
    assert lines["OWN"] == "yes"
    assert not {"HTTPS_PROXY", "http_proxy", "LOCUST_SKIP_MONKEY_PATCH"} & set(lines)


async def test_a_descriptor_is_inherited_and_its_number_is_passed(supervisor: Supervisor, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as readable:
        child = await supervisor.spawn(
            command(tmp_path, *python("import os; os.write(int(os.environ['CHANNEL']), b'hello')")), {"CHANNEL": writer}
        )
        os.close(writer)
        assert await child.wait() == 0, child.log_tail()
        assert readable.read() == "hello"  # and it ends: no other process holds the other end


async def test_a_missing_program_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match="no-such-program"):
        await supervisor.spawn(command(tmp_path, "no-such-program"))


async def test_a_log_that_cannot_be_written_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "logs" / "r0.log").mkdir(parents=True)
    with pytest.raises(EnvironmentLacksError, match=r"r0\.log cannot be written"):
        await supervisor.spawn(command(tmp_path, *FOREVER))


async def test_a_full_disk_is_reported(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(EnvironmentLacksError, match="disk is full"):
        await supervisor.spawn(command(tmp_path, *FOREVER))


async def test_kill_ends_the_whole_group_and_is_not_reported_as_a_death(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, "sh", "-c", "sleep 1000 & echo up; wait"))
    await wait_for_output(child, "up")
    assert len([p for p in processes() if p.group == child.pid]) == 2
    evidence = await kill_child(child)
    assert evidence.confirmed
    assert not [p for p in processes() if p.group == child.pid and p.state not in "ZX"]
    assert not child.alive
    assert supervisor.deaths.empty()
    assert not (await kill_child(child)).confirmed  # nothing there to kill


async def test_stop_lets_a_child_end_on_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(
        command(tmp_path, "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done")
    )
    await wait_for_output(child, "up")
    assert await child.stop() == 7
    assert supervisor.deaths.empty()


async def test_stop_kills_a_child_that_ignores_sigterm(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, *IGNORES_TERM))
    await wait_for_output(child, "deaf")
    assert await child.stop(grace=0.1) == -signal.SIGKILL


async def test_stop_resumes_a_frozen_child_before_it_sends_sigterm(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, *FOREVER))
    assert (await pause_child(child)).confirmed
    assert await child.stop(grace=60) == -signal.SIGTERM


async def test_pause_and_resume_show_in_the_kernel(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, *FOREVER))
    evidence = await pause_child(child)
    process = read_stat(child.pid)
    assert evidence.confirmed
    assert process is not None
    assert process.state == "T"
    assert (await resume_child(child)).confirmed
    process = read_stat(child.pid)
    assert process is not None
    assert process.state != "T"


async def test_an_unexpected_death_is_reported_with_its_exit_code(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, "sh", "-c", "exit 5"))
    death = await asyncio.wait_for(supervisor.deaths.get(), 10)
    assert (death.name, death.role, death.code, death.log) == ("r0", "replica", 5, child.log)


async def test_what_a_child_leaves_in_its_group_ends_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(command(tmp_path, "sh", "-c", "sleep 1000 & exit 0"))
    await child.wait()
    await until(lambda: not any(p.group == child.pid for p in processes()))


async def test_children_lists_those_alive(supervisor: Supervisor, tmp_path: Path) -> None:
    first = await supervisor.spawn(command(tmp_path, *FOREVER, name="r0"))
    second = await supervisor.spawn(command(tmp_path, *FOREVER, name="r1"))
    assert list(supervisor.children) == [first, second]
    await first.kill()
    assert list(supervisor.children) == [second]


async def test_a_start_that_is_cancelled_leaves_no_process(supervisor: Supervisor, tmp_path: Path) -> None:
    starting = asyncio.create_task(supervisor.spawn(command(tmp_path, *FOREVER)))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    other = await supervisor.spawn(command(tmp_path, *FOREVER, name="r1"))
    await until(lambda: supervisor.children == (other,))
    assert supervisor.deaths.empty()


async def test_the_end_of_the_scope_ends_even_processes_that_left_the_session(tmp_path: Path) -> None:
    async with start_supervisor("unit-orphan") as supervisor:
        child = await supervisor.spawn(command(tmp_path, *python(ORPHAN)))
        await child.wait()
        left = int(child.log_tail())
        assert read_stat(left) is not None
        scratch = supervisor.scratch
        (scratch / "sub").mkdir()
        (scratch / "sub" / "socket").touch()
    assert read_stat(left) is None
    assert not scratch.exists()


async def test_the_scratch_path_leaves_room_for_a_socket(supervisor: Supervisor) -> None:
    assert supervisor.scratch.is_dir()
    assert len(str(supervisor.scratch)) < 40


async def test_a_killed_supervisor_takes_its_children_along_and_is_reported(tmp_path: Path) -> None:
    async with start_supervisor("unit-killed") as supervisor:
        child = await supervisor.spawn(command(tmp_path, *FOREVER))
        process = read_stat(child.pid)
        assert process is not None
        os.kill(process.parent, signal.SIGKILL)
        death = await asyncio.wait_for(supervisor.deaths.get(), 10)
        assert death.name == "supervisor"
        assert await child.wait() == -signal.SIGKILL
        assert await child.stop() == -signal.SIGKILL  # a scope that ends now has nothing to add
        with pytest.raises(UntrustedError, match="supervisor"):
            await supervisor.spawn(command(tmp_path, *FOREVER))
    await until(lambda: not lives(child.pid))
    remove((), [supervisor.scratch])


def handles_ctrl_c(pid: int) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


async def test_ctrl_c_during_its_imports_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class InterruptedWhenPythonIsUp(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            while not handles_ctrl_c(self.pid):
                pass
            self.send_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", InterruptedWhenPythonIsUp)
    with contextlib.suppress(UntrustedError, EnvironmentLacksError):
        async with start_supervisor("unit"):
            pass
    assert capfd.readouterr().err == ""


async def test_a_child_runs_on_its_assigned_cores(supervisor: Supervisor, tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    child = await supervisor.spawn(command(tmp_path, *FOREVER, cpus=(core,)))
    assert os.sched_getaffinity(child.pid) == {core}


async def test_a_role_decides_where_a_child_does_not_say(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    async with start_supervisor("unit-cpus", {"replica": (core,)}) as supervisor:
        child = await supervisor.spawn(command(tmp_path, *FOREVER))
        assert os.sched_getaffinity(child.pid) == {core}


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_a_small_machine_pins_nothing(cores: int) -> None:
    assert cpus_by_role(range(cores)) == {}


@pytest.mark.parametrize(("cores", "own"), [(4, 1), (7, 1), (8, 2), (64, 2)])
def test_the_driver_shares_no_core_with_what_it_measures(cores: int, own: int) -> None:
    pinned = cpus_by_role(range(cores))
    measured = set(pinned["replica"]) | set(pinned["balancer"]) | set(pinned["store"])
    assert len(pinned["driver"]) == own
    assert not measured & set(pinned["driver"])
    assert measured | set(pinned["driver"]) == set(range(cores))


@pytest.mark.parametrize(("role", "argv"), [("waiter", FOREVER), ("replica", ())])
def test_a_command_checks_itself(role: str, argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"role|program"):
        ProcessSpec("r0", role, argv, Path("log"))


@pytest.mark.parametrize(("last", "runs"), [(True, True), (False, False)])
async def test_the_last_command_runs_when_everything_else_has_ended(tmp_path: Path, last: bool, runs: bool) -> None:
    done = tmp_path / "done"
    async with start_supervisor("unit") as supervisor:
        child = await supervisor.spawn(command(tmp_path, *FOREVER))
        await supervisor.run_at_end(("sh", "-c", f"kill -0 {child.pid} 2>/dev/null || touch {done}"))
        if not last:
            await supervisor.run_at_end(())
        assert not done.exists()
    assert done.exists() == runs


async def test_a_last_command_that_cannot_run_does_not_keep_the_rest_from_ending(tmp_path: Path) -> None:
    async with start_supervisor("unit") as supervisor:
        scratch = supervisor.scratch
        await supervisor.run_at_end((str(tmp_path / "nothing"),))
    assert not scratch.exists()


def test_a_death_without_a_log_is_described(tmp_path: Path) -> None:
    assert Death("load", "driver", -9, tmp_path / "none").describe().endswith("(exit -9); its log is empty")
