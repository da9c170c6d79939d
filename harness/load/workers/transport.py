"""A worker's connection to its master, with the same methods as ``ControlSocket``, over Locust's own messages."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import Queue

from harness.common.version import __version__
from harness.load.control.channel import (
    Assignment,
    ClockReply,
    ClockRequest,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    StartLoad,
    decode_command,
    encode,
)
from harness.load.control.machine import host_name, machine_id
from harness.load.control.plan import WorkerConfig
from harness.load.workers.clock_offset import ROUNDS, ClockOffset
from harness.load.workers.process_exit import exit_process
from harness.load.workers.reliable_channel import ACK, MESSAGE, RETRANSMIT_INTERVAL_S, Payload, ReliableChannel
from harness.load.workers.reporter import Reporter

#: A master that has been silent for so long is gone, and its load with it.
MASTER_TIMEOUT_S = 20.0
CHUNK_BYTES = 1 << 18
#: Chunks on their way; further ones wait.
_WINDOW = 16
_FLUSH_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class WorkerTransport(Reporter):
    """Commands in, events out, and in the end what was recorded."""

    def __init__(self, runner: Any, config: WorkerConfig) -> None:
        self._config = config
        self._commands: Queue[ControlCommand] = Queue()
        self._assignment: AsyncResult[Assignment] = AsyncResult()
        self._clock_reply: AsyncResult[tuple[ClockReply, int]] = AsyncResult()
        self._channel = ReliableChannel(runner.send_message, self._deliver)
        self._must_upload = False
        self.clock_offset = ClockOffset()
        runner.register_message(MESSAGE, lambda environment, msg: self._channel.on_message(msg.data))
        runner.register_message(ACK, lambda environment, msg: self._channel.on_ack(msg.data))
        gevent.spawn(self._heartbeat)

    def enlist(self) -> Assignment:
        """Say hello, and wait for this worker's part of the load; then compare the clocks."""
        self.send(Hello(self._config.number, host_name(), machine_id(), __version__))
        assignment: Assignment = self._assignment.get()
        self._must_upload = assignment.sends
        if assignment.machine != machine_id():
            self.clock_offset = ClockOffset.of(self._read_master_clock() for _ in range(ROUNDS))
        return assignment

    def join(self) -> None:
        """Report that everything is prepared for the users."""
        self.send(Joined("", host_name(), self.clock_offset.error / 1e6))

    def _read_master_clock(self) -> tuple[int, int, int]:
        self._clock_reply = AsyncResult()
        self.send(ClockRequest(time.monotonic_ns()))
        reply, back = self._clock_reply.get()
        return reply.sent, reply.there, back

    def commands(self) -> Iterator[ControlCommand]:
        """What the master asks for, with times of this machine's clock."""
        while True:
            yield self._commands.get()

    def send(self, event: ControlEvent) -> None:
        """Report to the master."""
        self._channel.send({"event": encode(event)})

    def flush(self) -> None:
        """Wait until the master has all of it, for a moment at most."""
        deadline = time.monotonic() + _FLUSH_TIMEOUT_S
        while self._channel.unacknowledged and time.monotonic() < deadline:
            gevent.sleep(0.01)

    def upload_records(self) -> None:
        """Send every file of the spool if the master has no access to it; what was sent is removed."""
        for path in sorted(self._config.spool.iterdir()) if self._must_upload else ():
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    while self._channel.unacknowledged > _WINDOW:
                        gevent.sleep(0.005)
                    self._channel.send({"file": path.name, "chunk": chunk})
            path.unlink()

    def _deliver(self, payload: Payload) -> None:
        try:
            self._dispatch(decode_command(payload["command"]))
        except Exception as problem:
            self.report_failure(problem)

    def _dispatch(self, command: ControlCommand) -> None:
        if isinstance(command, Assignment):
            self._assignment.set(command)
        elif isinstance(command, ClockReply):
            self._clock_reply.set((command, time.monotonic_ns()))
        elif isinstance(command, StartLoad):
            self._commands.put(replace(command, t0=command.t0 - self.clock_offset.ahead))
        else:
            self._commands.put(command)

    def _heartbeat(self) -> None:
        while self._channel.silent_s < MASTER_TIMEOUT_S:
            gevent.sleep(RETRANSMIT_INTERVAL_S)
            self._channel.retransmit()
        log.error("the master has been silent for %g s", MASTER_TIMEOUT_S)
        exit_process(3)
