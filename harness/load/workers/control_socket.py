"""The load process's end of the control channel, and how that process ends."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import gevent
from gevent import socket

from harness.common.errors import HarnessError
from harness.load.control.channel import (
    Broken,
    ControlCommand,
    ControlEvent,
    LineSplitter,
    Stopped,
    decode_command,
    encode,
)
from harness.observations.samples import Snapshot

INTERVAL_S = 0.2

log = logging.getLogger(__name__)


class Reporter:
    """Whoever tells of the load that this process drives."""

    def say(self, word: ControlEvent) -> None:
        """Tell a word."""
        raise NotImplementedError

    def said(self) -> None:
        """Wait until what was told has come over, for a moment at most."""

    def hand_over(self) -> None:
        """Bring what was recorded to the harness, where it is not there already."""

    def report(self, t0: int, snapshot: Callable[[], Snapshot], ended: Callable[[], bool]) -> None:
        """Say a snapshot every 200 ms from T0 until ``ended``; then a last one, and that the load has stopped."""
        due = t0 / 1e9 + INTERVAL_S
        while not ended():
            gevent.sleep(min(0.02, max(0.0, due - time.monotonic())))
            if time.monotonic() >= due:
                self.say(snapshot())
                due += INTERVAL_S
        self.say(snapshot())
        self.say(Stopped())

    def died(self, problem: BaseException) -> NoReturn:
        """Tell what went wrong, and end the process."""
        known = isinstance(problem, HarnessError)
        if not known:
            log.error("the load process has a defect", exc_info=problem)
        message = problem.message if isinstance(problem, HarnessError) else f"a defect of the load process: {problem!r}"
        hint = problem.hint if isinstance(problem, HarnessError) else "its log has the details"
        code = problem.code if isinstance(problem, HarnessError) else 70
        log.error("%s", message)
        self.say(Broken(message, hint, code))
        self.said()
        exit_process(code)


class ControlSocket(Reporter):
    """Deeds in, words out, over an inherited socket."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)

    def deeds(self) -> Iterator[ControlCommand]:
        """What the harness asks for, until it ends the channel."""
        lines = LineSplitter()
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            for line in lines.feed(data):
                yield decode_command(line)

    def say(self, word: ControlEvent) -> None:
        """Tell the harness; nobody listens any more: nothing."""
        try:
            self._socket.sendall(encode(word))
        except OSError:
            log.warning("nobody listens at the control channel")


def exit_process(code: int) -> NoReturn:
    """End the process at once: no harness is there to wait for, and Locust's own ending takes its time."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def quit_locust(environment: Any) -> None:
    """End Locust the way it ends itself, so that its table is printed."""
    environment.process_exit_code = 0
    gevent.spawn_later(3, exit_process, 0)
    environment.runner.quit()
