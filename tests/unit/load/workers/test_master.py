"""The master between a harness and workers that consist of messages only."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from harness.common.version import __version__
from harness.load.control.channel import (
    Assignment,
    Broken,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    LineSplitter,
    Ready,
    StartLoad,
    StartSweep,
    Stopped,
    Swept,
    WorkerExited,
    WorkerLost,
    decode_command,
    decode_event,
    encode,
)
from harness.load.control.machine import machine_id
from harness.load.control.plan import LoadPlan, ProcessConfig
from harness.load.workers import greenlets
from harness.load.workers.master import Master
from harness.load.workers.reliable_channel import MESSAGE, ReliableChannel
from harness.observations.samples import Snapshot

PLAN = LoadPlan("closed", concurrent=4)


class Net:
    """Locust's messages between a master and its workers, and the channel to the harness."""

    def __init__(self, spool: Path, workers: int) -> None:
        self.listeners: dict[str, Callable[..., None]] = {}
        self.rejected: list[str] = []
        self.workers: dict[str, Worker] = {}
        ours, self.harness = socket.socketpair()
        self.harness.setblocking(False)
        self._lines = LineSplitter()
        self.events: list[ControlEvent] = []
        self.master = Master(SimpleNamespace(runner=self), ProcessConfig(ours.detach(), spool, PLAN, 7, workers))

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        self.listeners[kind] = listener

    def send_message(self, kind: str, data: Any, client: str) -> None:
        if kind == "quit":
            self.rejected.append(client)
        else:
            self.workers[client].get(kind, data)

    def command(self, command: ControlCommand) -> None:
        self.harness.send(encode(command))

    def wait_for(self, kind: type[ControlEvent]) -> Any:
        """The first event of this kind that reaches the harness."""
        deadline = time.monotonic() + 10
        while True:
            matches = [event for event in self.events if isinstance(event, kind)]
            if matches:
                return matches[0]
            assert time.monotonic() < deadline, self.events
            gevent.sleep(0.005)
            with contextlib.suppress(BlockingIOError):
                self.events += [decode_event(line) for line in self._lines.feed(self.harness.recv(65536))]


class Worker:
    """A worker that sends what the test makes it send, and keeps the commands that it gets."""

    def __init__(self, net: Net, name: str, hello: Hello) -> None:
        self.commands: list[ControlCommand] = []
        self._net, self._name = net, name
        self.channel = ReliableChannel(
            self._put, lambda payload: self.commands.append(decode_command(payload["command"]))
        )
        net.workers[name] = self
        self.report(hello)

    def _put(self, kind: str, data: Any) -> None:
        self._net.listeners[kind](environment=None, msg=SimpleNamespace(node_id=self._name, data=data))

    def get(self, kind: str, data: Any) -> None:
        if kind == MESSAGE:
            self.channel.on_message(data)
        else:
            self.channel.on_ack(data)
            self.channel.retransmit()  # as a real one does once a second

    def report(self, event: ControlEvent) -> None:
        self.channel.send({"event": encode(event)})


def hello(number: int = 0, there: str = "") -> Hello:
    return Hello(number, "there" if there else "here", there or machine_id(), __version__)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise gevent.GreenletExit

    monkeypatch.setattr("harness.load.workers.reporter.exit_process", end)
    monkeypatch.setattr("harness.load.workers.master.exit_process", end)
    return codes


@pytest.fixture
def net(tmp_path: Path, ends: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    working: list[gevent.Greenlet] = []

    def spawn(work: Callable[..., None], *args: Any, on_error: Callable[[BaseException], None]) -> None:
        working.append(greenlets.spawn(work, *args, on_error=on_error))

    monkeypatch.setattr("harness.load.workers.master.spawn", spawn)
    net = Net(tmp_path, 2)
    yield net
    gevent.killall(working)  # with the process, they would end on their own
    net.harness.close()


def both(net: Net, *hellos: Hello) -> list[Worker]:
    workers = [Worker(net, f"w{n}", greeting) for n, greeting in enumerate(hellos or (hello(1), hello(2)))]
    for worker in workers:
        worker.report(Joined("", "here", 0))
        worker.report(Ready())
    assert isinstance(net.wait_for(Ready), Ready)
    return workers


def test_each_worker_gets_its_part_and_all_are_ready_together(net: Net) -> None:
    workers = both(net)
    assert [w.commands for w in workers] == [
        [Assignment(n, 2, PLAN.to_dict(), 7, machine_id(), False, True)] for n in (0, 1)
    ]
    assert [event.worker for event in net.events if isinstance(event, Joined)] == ["worker-1", "worker-2"]


def test_the_harness_gets_the_sum_and_the_end_when_both_have_reported_theirs(net: Net) -> None:
    workers = both(net)
    net.command(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://127.0.0.1:1"))
    for ok, worker in enumerate(workers, 10):
        worker.report(Snapshot(1, 0.2, sent=ok, ok=ok, core="core 1"))
    workers[0].report(Stopped())
    gevent.sleep(0.05)
    assert not any(isinstance(event, Stopped) for event in net.events)
    workers[1].report(Stopped())
    net.wait_for(Stopped)
    last = [event for event in net.events if isinstance(event, Snapshot)][-1]
    assert (last.ok, last.core) == (21, "core 1 of worker-1 on here")
    net.command(StartSweep(1000.0))
    for worker in workers:
        worker.report(Swept(3))
    assert net.wait_for(Swept) == Swept(6)
    assert [command.rate for command in workers[0].commands if isinstance(command, StartSweep)] == [500.0]


def test_a_worker_that_has_exited_is_lost_and_the_load_goes_on_with_the_other(net: Net, ends: list[int]) -> None:
    workers = both(net)
    net.command(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://127.0.0.1:1"))
    workers[1].report(Snapshot(1, 0.2, sent=4, ok=4, sessions=3))
    net.command(WorkerExited("worker-2", "its process ended on its own"))
    assert net.wait_for(WorkerLost) == WorkerLost("worker-2", "here", "its process ended on its own", 3)
    workers[0].report(Stopped())
    net.wait_for(Stopped)
    net.command(WorkerExited("worker-1", "killed"))
    broken = net.wait_for(Broken)
    assert "no load without worker-1" in broken.message and ends == [3]


@pytest.mark.slow  # it takes seconds
def test_a_silent_worker_is_lost(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.workers.master.SILENCE_TIMEOUT_S", 0.2)
    workers = both(net)
    net.command(StartLoad(time.monotonic_ns(), 60.0, 0.0, "http://127.0.0.1:1"))
    workers[1].get = lambda kind, data: None  # type: ignore[method-assign] # nothing arrives, nothing comes back
    lost = net.wait_for(WorkerLost)
    assert (lost.worker, lost.why) == ("worker-2", "it has been silent for 0.2 s")
    assert not any(isinstance(event, Broken) for event in net.events), "the other one goes on"


def test_one_worker_too_many_is_rejected(net: Net) -> None:
    both(net)
    Worker(net, "late", hello())
    assert net.rejected == ["late"]


def test_a_worker_on_another_machine_cannot_load_a_loopback_address(net: Net, ends: list[int]) -> None:
    both(net, hello(1), hello(0, there="another"))
    net.command(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://localhost:8080"))
    broken = net.wait_for(Broken)
    assert "the worker on there cannot load it" in broken.message and broken.code == 2 and ends == [2]


def test_another_version_is_refused(net: Net, ends: list[int]) -> None:
    with pytest.raises(gevent.GreenletExit):
        Worker(net, "old", replace(hello(1), version="0.0.1"))
    assert "0.0.1" in net.wait_for(Broken).message and ends == [2]


def test_records_from_another_machine_are_put_together(net: Net, tmp_path: Path) -> None:
    worker = both(net, hello(1), hello(0, there="another"))[1]
    for chunk in (b"ab", b"cd"):
        worker.channel.send({"file": "requests.bin", "chunk": chunk})
    worker.channel.send({"file": "../../names.jsonl", "chunk": json.dumps({}).encode()})
    assert (tmp_path / "worker-2" / "requests.bin").read_bytes() == b"abcd"
    assert sorted(path.name for path in (tmp_path / "worker-2").iterdir()) == ["names.jsonl", "requests.bin"]


def test_the_end_of_the_channel_ends_the_master(net: Net, ends: list[int]) -> None:
    both(net)
    net.harness.close()
    deadline = time.monotonic() + 10
    while not ends:
        assert time.monotonic() < deadline
        gevent.sleep(0.01)
    assert ends == [0]
