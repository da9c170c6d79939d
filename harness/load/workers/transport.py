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
from harness.load.control.channel import Deed, Enlisted, Hello, Joined, Start, Tick, Tock, Word, decode_deed, encode
from harness.load.control.plan import Recruit
from harness.load.workers.control_socket import Speaker, leave
from harness.load.workers.reliable_channel import AGAIN_S, LETTER, RECEIPT, Letter, Post

#: A master that says nothing for so long is gone, and its load with it.
ALONE_S = 20.0
PIECE = 1 << 18
#: Pieces on their way; further ones wait.
_WINDOW = 16
_TICKS = 9
_FLUSH_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bearing:
    """How far ahead the master's clock is, and by how much that may be wrong (ns)."""

    ahead: int = 0
    error: int = 0

    @classmethod
    def of(cls, looks: Iterable[tuple[int, int, int]]) -> "Bearing":
        """From looks at it: when it was asked for, what it read, when that was known here (Cristian 1989).

        The look that took least time tells most: the reading lies somewhere within it.
        """
        sent, there, back = min(looks, key=lambda look: look[2] - look[0])
        return cls(there - (sent + back) // 2, (back - sent + 1) // 2)


def machine() -> str:
    """What tells machines apart: two processes that read the same here have one monotonic clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else socket.gethostname()


class Courier(Speaker):
    """Deeds in, words out, and in the end what was recorded."""

    def __init__(self, runner: Any, recruit: Recruit) -> None:
        self._recruit = recruit
        self._deeds: Queue[Deed] = Queue()
        self._enlisted: AsyncResult[Enlisted] = AsyncResult()
        self._tock: AsyncResult[tuple[Tock, int]] = AsyncResult()
        self._post = Post(runner.send_message, self._deliver)
        self._sends = False
        self.bearing = Bearing()
        runner.register_message(LETTER, lambda environment, msg: self._post.take(msg.data))
        runner.register_message(RECEIPT, lambda environment, msg: self._post.acknowledged(msg.data))
        gevent.spawn(self._keep_in_touch)

    def enlist(self) -> Enlisted:
        """Say hello, and wait to be told one's part; then compare the clocks."""
        self.say(Hello(self._recruit.nth, socket.gethostname(), machine(), __version__))
        enlisted: Enlisted = self._enlisted.get()
        self._sends = enlisted.sends
        if enlisted.machine != machine():
            self.bearing = Bearing.of(self._look() for _ in range(_TICKS))
        return enlisted

    def join(self) -> None:
        """Tell that everything is prepared for the users."""
        self.say(Joined("", socket.gethostname(), self.bearing.error / 1e6))

    def _look(self) -> tuple[int, int, int]:
        self._tock = AsyncResult()
        self.say(Tick(time.monotonic_ns()))
        tock, back = self._tock.get()
        return tock.sent, tock.there, back

    def deeds(self) -> Iterator[Deed]:
        """What the master asks for, times by this machine's clock."""
        while True:
            yield self._deeds.get()

    def say(self, word: Word) -> None:
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
                while piece := file.read(PIECE):
                    self._when_there_is_room({"file": path.name, "piece": piece})
            path.unlink()

    def _when_there_is_room(self, letter: Letter) -> None:
        while self._post.waiting > _WINDOW:
            gevent.sleep(0.005)
        self._post.post(letter)

    def _deliver(self, letter: Letter) -> None:
        try:
            self._hear(decode_deed(letter["deed"]))
        except Exception as problem:
            self.died(problem)

    def _hear(self, deed: Deed) -> None:
        if isinstance(deed, Enlisted):
            self._enlisted.set(deed)
        elif isinstance(deed, Tock):
            self._tock.set((deed, time.monotonic_ns()))
        elif isinstance(deed, Start):
            ours = deed.t0 - self.bearing.ahead
            self._deeds.put(Start(ours, deed.duration, deed.warmup, deed.url))
        else:
            self._deeds.put(deed)

    def _keep_in_touch(self) -> None:
        while self._post.silent_s < ALONE_S:
            gevent.sleep(AGAIN_S)
            self._post.again()
        log.error("the master has said nothing for %g s", ALONE_S)
        leave(3)
