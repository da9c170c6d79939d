"""The load process's end of the control channel."""

import base64
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gevent import socket

from harness.common.version import __version__
from harness.load.control.channel import (
    ClockReply,
    ClockRequest,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    LineSplitter,
    Records,
    StartLoad,
    decode_command,
    encode,
)
from harness.load.control.machine import host_name, machine_id
from harness.load.control.plan import ProcessConfig
from harness.load.workers.clock_offset import ROUNDS, ClockOffset
from harness.load.workers.reporter import Reporter
from harness.observations.events import LOAD

_CHUNK_BYTES = 65536
_RECORDS_BYTES = 1 << 18  # of a file in one line

log = logging.getLogger(__name__)


class ControlSocket(Reporter):
    """Commands in, events out, over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = self._receive_lines()

    def commands(self) -> Iterator[ControlCommand]:
        """What the harness asks for, until it ends the channel."""
        yield from map(decode_command, self._lines)

    def _receive_lines(self) -> Iterator[bytes]:
        splitter, data = LineSplitter(), b""
        while True:
            yield from splitter.feed(data)
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except OSError:
                return
            if not data:
                return

    def send(self, event: ControlEvent) -> None:
        """Report to the harness; if it listens no longer, the event is dropped."""
        try:
            self._socket.sendall(encode(event))
        except OSError:
            log.warning("the harness no longer listens on the control channel")


class ForwardedSocket(ControlSocket):
    """The end of a process that shares nothing with the harness: neither files nor, on another machine, the clock.

    Once the harness is connected, an empty line greets it: before that, a connection may lead nowhere. Then the clocks
    are compared, if this is not ``machine``. What was recorded in ``spool`` goes over the channel, too.
    """

    def __init__(self, connection: socket.socket, spool: Path, machine: str) -> None:
        super().__init__(connection)
        self._spool = spool
        self._early: list[ControlCommand] = []  # commands that came while the clocks were compared
        self._socket.sendall(b"\n")
        self.send(Hello(0, host_name(), machine_id(), __version__))
        same = machine == machine_id()
        self._offset = ClockOffset() if same else ClockOffset.of(self._read_clock() for _ in range(ROUNDS))
        self.send(Joined(LOAD, host_name(), self._offset.error / 1e6))

    def _read_clock(self) -> tuple[int, int, int]:
        self.send(ClockRequest(time.monotonic_ns()))
        for command in super().commands():
            if isinstance(command, ClockReply):
                return command.sent, command.there, time.monotonic_ns()
            self._early.append(command)
        raise ConnectionError("the harness has left")

    def commands(self) -> Iterator[ControlCommand]:
        """What the harness asks for, with times of this machine's clock."""
        yield from self._early
        for command in super().commands():
            yield replace(command, t0=command.t0 - self._offset.ahead) if isinstance(command, StartLoad) else command

    def upload_records(self) -> None:
        """Send every file of the spool."""
        for path in sorted(path for path in self._spool.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                while chunk := file.read(_RECORDS_BYTES):
                    self.send(Records(str(path.relative_to(self._spool)), base64.b64encode(chunk).decode()))


def open_channel(config: ProcessConfig) -> ControlSocket:
    """The channel to the harness: an inherited descriptor, or the first connection to a port of the loopback."""
    if config.channel is not None:
        os.set_inheritable(config.channel, False)
        return ControlSocket(socket.socket(fileno=config.channel))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", config.port))
        listening.listen(1)
        connection, _ = listening.accept()
    return ForwardedSocket(connection, config.spool, config.machine)
