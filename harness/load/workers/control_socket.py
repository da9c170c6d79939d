"""The load process's end of the control channel."""

import logging
import os
from collections.abc import Iterator

from gevent import socket

from harness.load.control.channel import ControlCommand, ControlEvent, LineSplitter, decode_command, encode
from harness.load.workers.reporter import Reporter

_CHUNK_BYTES = 65536

log = logging.getLogger(__name__)


class ControlSocket(Reporter):
    """Commands in, events out, over an inherited socket."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)

    def commands(self) -> Iterator[ControlCommand]:
        """What the harness asks for, until it ends the channel."""
        lines = LineSplitter()
        while data := self._receive():
            for line in lines.feed(data):
                yield decode_command(line)

    def _receive(self) -> bytes:
        try:
            received: bytes = self._socket.recv(_CHUNK_BYTES)
        except OSError:
            return b""
        return received

    def send(self, event: ControlEvent) -> None:
        """Report to the harness; if it listens no longer, the event is dropped."""
        try:
            self._socket.sendall(encode(event))
        except OSError:
            log.warning("the harness no longer listens on the control channel")
