"""The control channel of a load process that shares neither files nor the clock with the harness."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket as gevent_socket

from harness.common.version import __version__
from harness.load.control.channel import (
    ClockReply,
    ClockRequest,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    Records,
    ReplicaStarting,
    StartLoad,
    StopLoad,
    decode_event,
    encode,
)
from harness.load.control.machine import machine_id
from harness.load.control.plan import LoadPlan, ProcessConfig
from harness.load.workers.control_socket import ControlSocket, ForwardedSocket, open_channel

AHEAD = 3_600_000_000_000  # ns by which the clock of the harness differs
START = StartLoad(10_000_000_000, 5.0, 1.0, "http://10.0.0.1:8080")


class Harness:
    """The other end, in a thread: it answers for the clock, and keeps the other events."""

    def __init__(self, *commands: ControlCommand) -> None:
        self.events: list[ControlEvent] = []
        self.greeting = b""
        self._commands = commands
        self._own, self.process_end = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._own, self._own.makefile("rb") as lines:
            self.greeting = lines.readline()
            for command in self._commands:
                self._own.sendall(encode(command))
            for line in lines:
                event = decode_event(line)
                self.events.append(event)
                if isinstance(event, ClockRequest):
                    reply = ClockReply(event.sent, time.monotonic_ns() + AHEAD)
                    self._own.sendall(encode(reply))
                elif isinstance(event, Joined):
                    self._own.sendall(encode(START))
                    self._own.shutdown(socket.SHUT_WR)

    def join(self) -> None:
        self._thread.join(10)


def forwarded(harness: Harness, spool: Path, machine: str) -> ForwardedSocket:
    return ForwardedSocket(gevent_socket.socket(fileno=harness.process_end.detach()), spool, machine)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spool"


def test_it_greets_and_says_what_and_where_it_is(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_NODE", "node7")
    harness = Harness()
    list(forwarded(harness, spool, machine_id()).commands())
    harness.join()
    hello, joined = (next(event for event in harness.events if isinstance(event, kind)) for kind in (Hello, Joined))
    assert harness.greeting == b"\n" and isinstance(hello, Hello) and isinstance(joined, Joined)
    assert hello.version == __version__ and hello.host.endswith(" on node7")
    assert joined.clock_error_ms == 0.0, "it is the same clock"


def test_the_start_is_a_time_of_its_own_clock_on_another_machine(spool: Path) -> None:
    harness = Harness()
    (start,) = forwarded(harness, spool, "another").commands()
    harness.join()
    (joined,) = [event for event in harness.events if isinstance(event, Joined)]
    assert isinstance(start, StartLoad)
    assert abs(start.t0 - (START.t0 - AHEAD)) <= joined.clock_error_ms * 1e6


def test_the_start_is_untouched_on_the_machine_of_the_harness(spool: Path) -> None:
    harness = Harness()
    assert list(forwarded(harness, spool, machine_id()).commands()) == [START]
    harness.join()


def test_a_command_that_comes_while_the_clocks_are_compared_is_not_lost(spool: Path) -> None:
    early = (ReplicaStarting("r1", "r1.2"), StopLoad())
    harness = Harness(*early)
    commands = list(forwarded(harness, spool, "another").commands())
    harness.join()
    assert tuple(commands[:2]) == early and isinstance(commands[2], StartLoad)


def test_every_file_of_the_spool_is_sent_whole(spool: Path) -> None:
    contents = {"requests.bin": bytes(range(256)) * 3000, "worker-1/names.jsonl": b"{}\n"}
    for name, content in contents.items():
        (spool / name).parent.mkdir(parents=True, exist_ok=True)
        (spool / name).write_bytes(content)
    harness = Harness()
    control = forwarded(harness, spool, machine_id())
    assert list(control.commands()) == [START]
    control.upload_records()
    control._socket.close()
    harness.join()
    sent: dict[str, bytes] = {}
    for event in harness.events:
        if isinstance(event, Records):
            sent[event.file] = sent.get(event.file, b"") + base64.b64decode(event.chunk)
    assert sent == contents


def test_an_inherited_descriptor_is_no_forwarded_channel(spool: Path) -> None:
    ours, other = socket.socketpair()
    with other:
        control = open_channel(ProcessConfig(ours.detach(), spool, LoadPlan("closed", concurrent=1), 1))
        assert type(control) is ControlSocket
        control.upload_records()
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)


def test_the_environment_says_how_the_harness_is_reached() -> None:
    load = {"HARNESS_SPOOL": "/spool", "HARNESS_LOAD": '{"kind": "closed", "concurrent": 1}', "HARNESS_SEED": "1"}
    assert ProcessConfig.from_environment(load) is None
    inherited = ProcessConfig.from_environment({**load, "HARNESS_CHANNEL": "3"})
    assert inherited is not None and (inherited.channel, inherited.port) == (3, 0)
    waits = ProcessConfig.from_environment({**load, "HARNESS_CHANNEL_PORT": "5558", "HARNESS_MACHINE": "m"})
    assert waits is not None and (waits.channel, waits.port, waits.machine) == (None, 5558, "m")
