import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cluster.supervisor import Child, ProcessSpec, ProcessSupervisor, start_supervisor, start_warm
from harness.cluster.supervisor.main import read_stat
from harness.cluster.supervisor.warm import WarmSpawner
from harness.common.errors import EnvironmentLacksError

#: Leaves a line in a file whenever it is imported.
COSTLY = """
import os
with open(os.environ["IMPORTS"], "a") as file:
    file.write("imported\\n")
"""
PROGRAM = """
import os, sys, time
import costly
print("arguments", *sys.argv[1:], os.environ.get("GREETING"), os.getcwd(), flush=True)
{}
"""


class Bench:
    """Programs in a directory, and a warm process that has imported the module ``costly``."""

    def __init__(self, directory: Path, supervisor: ProcessSupervisor, warm: WarmSpawner) -> None:
        self.directory = directory
        self.supervisor = supervisor
        self.warm = warm

    async def start(self, program: str, *arguments: str, **fds: int) -> Child:
        """Start a program of this text."""
        (self.directory / "program.py").write_text(PROGRAM.format(program))
        argv = (sys.executable, "-P", "-m", "program", *arguments)
        spec = ProcessSpec("r0", "replica", argv, self.directory / "r0.log", {"GREETING": "hello"}, cwd=self.directory)
        return await self.warm.spawn(spec, fds)

    async def run(self, program: str, *arguments: str) -> tuple[int, str]:
        """The exit code and the output of a program."""
        child = await self.start(program, *arguments)
        child.end_expected = True
        code = await child.wait()
        return code, child.log_tail(20)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "costly.py").write_text(COSTLY)
    env = {"IMPORTS": str(tmp_path / "imports"), "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    async with start_supervisor("unit") as supervisor:
        yield Bench(tmp_path, supervisor, await start_warm(supervisor, "replica", ("costly",), env))


async def wait_for(child: Child, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in child.log_tail():  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(0.005)


async def test_copies_run_the_program_with_what_was_imported_once(bench: Bench) -> None:
    for _ in range(3):
        code, output = await bench.run("print('done')", "one", "two")
        assert code == 0 and output.splitlines()[-1] == "done"
    assert f"arguments one two hello {bench.directory}" in output
    assert (bench.directory / "imports").read_text().splitlines() == ["imported"]


@pytest.mark.parametrize(
    ("program", "code", "shown"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no such app')", 1, "no such app"),
        ("raise ConnectionError('gone')", 1, "ConnectionError: gone"),
        ("os.kill(os.getpid(), 9)", -9, ""),
    ],
)
async def test_a_copy_ends_as_the_program_does(bench: Bench, program: str, code: int, shown: str) -> None:
    ended, output = await bench.run(program)
    assert ended == code
    assert shown in output
    assert (await bench.run("print('next')"))[0] == 0


async def test_a_copy_is_a_child_like_any_other_and_the_warm_process_is_none(bench: Bench) -> None:
    assert bench.supervisor.children == ()
    child = await bench.start("time.sleep(1000)")
    assert list(bench.supervisor.children) == [child]
    stat = read_stat(child.pid)
    assert stat is not None and stat.group == child.pid
    await wait_for(child, "arguments")
    await child.signal(signal.SIGTERM)
    death = await asyncio.wait_for(bench.supervisor.deaths.get(), 10)
    assert (death.name, death.role, death.code) == ("r0", "replica", -signal.SIGTERM)
    assert bench.supervisor.children == ()


async def test_a_copy_inherits_the_descriptors_that_were_sent(bench: Bench) -> None:
    reader, writer = os.pipe()
    child = await bench.start("os.write(int(os.environ['OUT']), b'written')", OUT=writer)
    os.close(writer)
    child.end_expected = True
    await child.wait()
    assert os.read(reader, 100) == b"written"
    assert os.read(reader, 100) == b""  # nobody else holds it
    os.close(reader)


async def test_copies_end_with_the_warm_process_and_the_next_is_started_again(bench: Bench) -> None:
    child = await bench.start("time.sleep(1000)")
    stat = read_stat(child.pid)
    assert stat is not None
    os.kill(stat.parent, signal.SIGKILL)
    assert await asyncio.wait_for(child.wait(), 10) == -signal.SIGKILL
    death = await asyncio.wait_for(bench.supervisor.deaths.get(), 10)
    assert death.name == "r0"
    assert (await bench.run("print('again')"))[0] == 0


async def test_a_log_that_cannot_be_written_is_an_error_and_starts_nothing(bench: Bench) -> None:
    (bench.directory / "r0.log").mkdir()
    with pytest.raises(EnvironmentLacksError, match=r"r0\.log"):
        await bench.start("")
    assert bench.supervisor.children == ()


async def test_everything_ends_with_the_supervisor(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import time; time.sleep(1000)")
    async with start_supervisor("unit") as supervisor:
        warm = await start_warm(supervisor, "replica", ("json",), {"PYTHONPATH": str(tmp_path)})
        spec = ProcessSpec("r0", "replica", (sys.executable, "-m", "program"), tmp_path / "log")
        child = await warm.spawn(spec)
        own = read_stat(child.pid)
        assert own is not None
    assert not child.alive
    for pid in (child.pid, own.parent):
        left = read_stat(pid)
        assert left is None or left.state in "ZX"
