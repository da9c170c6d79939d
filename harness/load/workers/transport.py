"""A worker's end of the way to its master: it speaks as ``Link`` does, by Locust's own messages."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
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
from harness.load.control.plan import WorkerConfig
from harness.load.workers.control_socket import Reporter, exit_process
from harness.load.workers.reliable_channel import ACK, MESSAGE, RETRANSMIT_INTERVAL_S, Letter, ReliableChannel

#: A master that says nothing for so long is gone, and its load with it.
MASTER_TIMEOUT_S = 20.0
CHUNK_BYTES = 1 << 18
#: Pieces on their way; further ones wait.
_WINDOW = 16
_CLOCK_ROUNDS = 9
_FLUSH_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClockOffset:
    """How far ahead the master's clock is, and by how much that may be wrong (ns)."""

    ahead: int = 0
    error: int = 0

    @classmethod
    def of(cls, looks: Iterable[tuple[int, int, int]]) -> "ClockOffset":
        """From looks at it: when it was asked for, what it read, when that was known here (Cristian 1989).

        The look that took least time tells most: the reading lies somewhere within it.
        """
        sent, there, back = min(looks, key=lambda look: look[2] - look[0])
        return cls(there - (sent + back) // 2, (back - sent + 1) // 2)


def machine() -> str:
    """What tells machines apart: two processes that read the same here have one monotonic clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else socket.gethostname()


class WorkerTransport(Reporter):
    """Deeds in, words out, and in the end what was recorded."""

    def __init__(self, runner: Any, recruit: WorkerConfig) -> None:
        self._recruit = recruit
        self._deeds: Queue[ControlCommand] = Queue()
        self._enlisted: AsyncResult[Assignment] = AsyncResult()
        self._tock: AsyncResult[tuple[ClockReply, int]] = AsyncResult()
        self._post = ReliableChannel(runner.send_message, self._deliver)
        self._sends = False
        self.bearing = ClockOffset()
        runner.register_message(MESSAGE, lambda environment, msg: self._post.take(msg.data))
        runner.register_message(ACK, lambda environment, msg: self._post.acknowledged(msg.data))
        gevent.spawn(self._keep_in_touch)

    def enlist(self) -> Assignment:
        """Say hello, and wait to be told one's part; then compare the clocks."""
        self.say(Hello(self._recruit.number, socket.gethostname(), machine(), __version__))
        enlisted: Assignment = self._enlisted.get()
        self._sends = enlisted.sends
        if enlisted.machine != machine():
            self.bearing = ClockOffset.of(self._look() for _ in range(_CLOCK_ROUNDS))
        return enlisted

    def join(self) -> None:
        """Tell that everything is prepared for the users."""
        self.say(Joined("", socket.gethostname(), self.bearing.error / 1e6))

    def _look(self) -> tuple[int, int, int]:
        self._tock = AsyncResult()
        self.say(ClockRequest(time.monotonic_ns()))
        tock, back = self._tock.get()
        return tock.sent, tock.there, back

    def deeds(self) -> Iterator[ControlCommand]:
        """What the master asks for, times by this machine's clock."""
        while True:
            yield self._deeds.get()

    def say(self, word: ControlEvent) -> None:
        """Tell the master."""
        self._post.post({"word": encode(word)})

    def said(self) -> None:
        """Wait until the master has all of it, for a moment at most."""
        end = time.monotonic() + _FLUSH_S
        while self._post.waiting and time.monotonic() < end:
            gevent.sleep(0.01)

    def hand_over(self) -> None:
        """Send every file of the spool, where the master has no access to it; what was sent is removed."""
        for path in sorted(self._recruit.spool.iterdir()) if self._sends else ():
            with path.open("rb") as file:
                while piece := file.read(CHUNK_BYTES):
                    self._when_there_is_room({"file": path.name, "piece": piece})
            path.unlink()

    def _when_there_is_room(self, letter: Letter) -> None:
        while self._post.waiting > _WINDOW:
            gevent.sleep(0.005)
        self._post.post(letter)

    def _deliver(self, letter: Letter) -> None:
        try:
            self._hear(decode_command(letter["deed"]))
        except Exception as problem:
            self.died(problem)

    def _hear(self, deed: ControlCommand) -> None:
        if isinstance(deed, Assignment):
            self._enlisted.set(deed)
        elif isinstance(deed, ClockReply):
            self._tock.set((deed, time.monotonic_ns()))
        elif isinstance(deed, StartLoad):
            ours = deed.t0 - self.bearing.ahead
            self._deeds.put(StartLoad(ours, deed.duration, deed.warmup, deed.url))
        else:
            self._deeds.put(deed)

    def _keep_in_touch(self) -> None:
        while self._post.silent_s < MASTER_TIMEOUT_S:
            gevent.sleep(RETRANSMIT_INTERVAL_S)
            self._post.again()
        log.error("the master has said nothing for %g s", MASTER_TIMEOUT_S)
        exit_process(3)
