"""The master between a harness and workers that are letters only."""

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
from harness.load.control.plan import LoadPlan, ProcessConfig
from harness.load.workers import greenlets
from harness.load.workers.clock_offset import machine_id
from harness.load.workers.master import Master
from harness.load.workers.reliable_channel import MESSAGE, ReliableChannel
from harness.observations.samples import Snapshot

PLAN = LoadPlan("closed", concurrent=4)


class Net:
    """Locust's messages between a master and its workers, and the channel to the harness."""

    def __init__(self, spool: Path, workers: int) -> None:
        self.heard: dict[str, Callable[..., None]] = {}
        self.sent_away: list[str] = []
        self.workers: dict[str, Worker] = {}
        ours, self.harness = socket.socketpair()
        self.harness.setblocking(False)
        self._lines = LineSplitter()
        self.said: list[ControlEvent] = []
        self.master = Master(SimpleNamespace(runner=self), ProcessConfig(ours.detach(), spool, PLAN, 7, workers))

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        self.heard[kind] = listener

    def send_message(self, kind: str, data: Any, client: str) -> None:
        if kind == "quit":
            self.sent_away.append(client)
        else:
            self.workers[client].get(kind, data)

    def tell(self, deed: ControlCommand) -> None:
        self.harness.send(encode(deed))

    def until(self, word: type[ControlEvent]) -> Any:
        """The first word of this kind that the harness is told."""
        end = time.monotonic() + 10
        while True:
            found = [one for one in self.said if isinstance(one, word)]
            if found:
                return found[0]
            assert time.monotonic() < end, self.said
            gevent.sleep(0.005)
            with contextlib.suppress(BlockingIOError):
                self.said += [decode_event(line) for line in self._lines.feed(self.harness.recv(65536))]


class Worker:
    """One that says what it is told to, and keeps what it is asked."""

    def __init__(self, net: Net, name: str, hello: Hello) -> None:
        self.commands: list[ControlCommand] = []
        self._net, self._name = net, name
        self.post = ReliableChannel(self._put, lambda payload: self.commands.append(decode_command(payload["command"])))
        net.workers[name] = self
        self.say(hello)

    def _put(self, kind: str, data: Any) -> None:
        self._net.heard[kind](environment=None, msg=SimpleNamespace(node_id=self._name, data=data))

    def get(self, kind: str, data: Any) -> None:
        if kind == MESSAGE:
            self.post.on_message(data)
        else:
            self.post.on_ack(data)
            self.post.retransmit()  # as a real one does once a second

    def say(self, word: ControlEvent) -> None:
        self.post.send({"event": encode(word)})


def hello(nth: int = 0, there: str = "") -> Hello:
    return Hello(nth, "there" if there else "here", there or machine_id(), __version__)


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
    gevent.killall(working)  # with the process, they would end by themselves
    net.harness.close()


def both(net: Net, *hellos: Hello) -> list[Worker]:
    workers = [Worker(net, f"w{n}", one) for n, one in enumerate(hellos or (hello(1), hello(2)))]
    for worker in workers:
        worker.say(Joined("", "here", 0))
        worker.say(Ready())
    assert isinstance(net.until(Ready), Ready)
    return workers


def test_each_worker_is_told_its_part_and_all_are_ready_together(net: Net) -> None:
    workers = both(net)
    assert [w.commands for w in workers] == [
        [Assignment(n, 2, PLAN.to_dict(), 7, machine_id(), False, True)] for n in (0, 1)
    ]
    assert [word.worker for word in net.said if isinstance(word, Joined)] == ["worker-1", "worker-2"]


def test_the_harness_hears_the_sum_and_the_end_when_both_have_told_theirs(net: Net) -> None:
    workers = both(net)
    net.tell(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://127.0.0.1:1"))
    for ok, worker in enumerate(workers, 10):
        worker.say(Snapshot(1, 0.2, sent=ok, ok=ok, core="core 1"))
    workers[0].say(Stopped())
    gevent.sleep(0.05)
    assert not any(isinstance(word, Stopped) for word in net.said)
    workers[1].say(Stopped())
    net.until(Stopped)
    last = [word for word in net.said if isinstance(word, Snapshot)][-1]
    assert (last.ok, last.core) == (21, "core 1 of worker-1 on here")
    net.tell(StartSweep(1000.0))
    for worker in workers:
        worker.say(Swept(3))
    assert net.until(Swept) == Swept(6)
    assert [deed.rate for deed in workers[0].commands if isinstance(deed, StartSweep)] == [500.0]


def test_a_worker_that_is_gone_is_lost_and_the_other_suffices(net: Net, ends: list[int]) -> None:
    workers = both(net)
    net.tell(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://127.0.0.1:1"))
    workers[1].say(Snapshot(1, 0.2, sent=4, ok=4, sessions=3))
    net.tell(WorkerExited("worker-2", "its process ended by itself"))
    assert net.until(WorkerLost) == WorkerLost("worker-2", "here", "its process ended by itself", 3)
    workers[0].say(Stopped())
    net.until(Stopped)
    net.tell(WorkerExited("worker-1", "killed"))
    told = net.until(Broken)
    assert "no load without worker-1" in told.message and ends == [3]


def test_a_worker_that_says_nothing_is_lost(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.workers.master.SILENCE_TIMEOUT_S", 0.2)
    workers = both(net)
    net.tell(StartLoad(time.monotonic_ns(), 60.0, 0.0, "http://127.0.0.1:1"))
    workers[1].get = lambda kind, data: None  # type: ignore[method-assign] # nothing arrives, nothing comes back
    lost = net.until(WorkerLost)
    assert (lost.worker, lost.why) == ("worker-2", "it has been silent for 0.2 s")
    assert not any(isinstance(word, Broken) for word in net.said), "the other one goes on"


def test_one_worker_too_many_is_sent_away(net: Net) -> None:
    both(net)
    Worker(net, "late", hello())
    assert net.sent_away == ["late"]


def test_a_worker_elsewhere_cannot_load_what_listens_here_alone(net: Net, ends: list[int]) -> None:
    both(net, hello(1), hello(0, there="another"))
    net.tell(StartLoad(time.monotonic_ns(), 5.0, 0.0, "http://localhost:8080"))
    told = net.until(Broken)
    assert "the worker on there cannot load it" in told.message and told.code == 2 and ends == [2]


def test_another_version_is_refused(net: Net, ends: list[int]) -> None:
    with pytest.raises(gevent.GreenletExit):
        Worker(net, "old", replace(hello(1), version="0.0.1"))
    assert "0.0.1" in net.until(Broken).message and ends == [2]


def test_records_from_elsewhere_are_put_together(net: Net, tmp_path: Path) -> None:
    worker = both(net, hello(1), hello(0, there="another"))[1]
    for chunk in (b"ab", b"cd"):
        worker.post.send({"file": "requests.bin", "chunk": chunk})
    worker.post.send({"file": "../../names.jsonl", "chunk": json.dumps({}).encode()})
    assert (tmp_path / "worker-2" / "requests.bin").read_bytes() == b"abcd"
    assert sorted(path.name for path in (tmp_path / "worker-2").iterdir()) == ["names.jsonl", "requests.bin"]


def test_the_end_of_the_channel_ends_the_master(net: Net, ends: list[int]) -> None:
    both(net)
    net.harness.close()
    end = time.monotonic() + 10
    while not ends:
        assert time.monotonic() < end
        gevent.sleep(0.01)
    assert ends == [0]
