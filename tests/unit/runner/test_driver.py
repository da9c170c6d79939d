"""The harness's side of the load: what it does with the reports of a process that shares nothing with it."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from harness.cluster.supervisor import Child
from harness.common.errors import UntrustedError, UsageError
from harness.common.version import __version__
from harness.load.control.channel import (
    ClockReply,
    ClockRequest,
    ControlEvent,
    Hello,
    Ready,
    Records,
    Swept,
    WorkerExited,
    decode_command,
    encode,
)
from harness.runner.driver import Driver, LoadCallbacks
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.driver_processes import DriverProcesses
from harness.scenario.workload import Sessions


@dataclass
class FakeChild:
    """A load process that runs until it is ended."""

    name: str = "load"
    role: str = "driver"
    log: Path = Path("driver.log")
    alive: bool = True
    end_expected: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> int:
        await self.ended.wait()
        return 1

    async def stop(self, grace: float) -> int:
        self.ended.set()
        return await self.wait()

    def log_tail(self, lines: int = 10) -> str:
        return ""


@dataclass
class Load:
    """The other end of the channel."""

    driver: Driver
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, *events: ControlEvent) -> None:
        for event in events:
            self.writer.write(encode(event))

    async def next_command(self) -> object:
        return decode_command(await self.reader.readline())


@pytest.fixture
async def load(tmp_path: Path) -> AsyncIterator[Load]:
    own, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=own)
    arm = Arm(Design("plain"), "control", Sessions(concurrent=1, duration="5s"), ())
    child = FakeChild()
    driver = Driver(
        arm,
        cast("Child", child),
        reader,
        writer,
        processes=DriverProcesses(inside=1),
        callbacks=LoadCallbacks(),
        spool=tmp_path / "spool",
    )
    yield Load(driver, *await asyncio.open_connection(sock=other))
    child.ended.set()
    await driver.close()


async def test_records_are_in_the_spool_once_the_sweep_has_ended(load: Load, tmp_path: Path) -> None:
    parts = [("requests.bin", b"12"), ("worker-1/names.jsonl", b"{}"), ("requests.bin", b"34")]
    load.say(*(Records(file, base64.b64encode(chunk).decode()) for file, chunk in parts), Swept(7))
    assert await load.driver.sweep() == 7
    assert (tmp_path / "spool" / "requests.bin").read_bytes() == b"1234"
    assert (tmp_path / "spool" / "worker-1" / "names.jsonl").read_bytes() == b"{}"


@pytest.mark.parametrize("file", ["../outside", "/tmp/outside", "a/../../outside"])  # noqa: S108 - it must not be written
async def test_a_file_outside_of_the_spool_is_nonsense(load: Load, tmp_path: Path, file: str) -> None:
    load.say(Records(file, "AAAA"))
    with pytest.raises(UntrustedError, match="nonsense"):
        await load.driver.sweep()
    assert not (tmp_path / "outside").exists()


async def test_another_version_in_the_image_is_named(load: Load) -> None:
    load.say(Hello(0, "load-1", "m", "0.0.0"), Ready())
    with pytest.raises(UsageError, match=r"load-1 is harness 0\.0\.0"):
        await load.driver.wait_until_ready()


async def test_the_same_version_is_ready(load: Load) -> None:
    load.say(Hello(0, "load-1", "m", __version__), Ready())
    await load.driver.wait_until_ready()


async def test_the_clock_is_read_for_who_asks(load: Load) -> None:
    load.say(ClockRequest(5))
    reply = await load.next_command()
    assert isinstance(reply, ClockReply) and reply.sent == 5 and reply.there > 0


async def test_the_end_of_a_worker_is_a_loss_until_the_sweep_has_ended(load: Load) -> None:
    during, after = FakeChild("worker-1"), FakeChild("worker-2")
    for worker in (during, after):
        load.driver.watch(cast("Child", worker))
    during.ended.set()
    exited = await load.next_command()
    assert isinstance(exited, WorkerExited) and exited.worker == "worker-1"
    load.say(Swept(0))
    await load.driver.sweep()
    after.ended.set()
    await load.next_command()  # the sweep
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(load.next_command(), 0.1)
