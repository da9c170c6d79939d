"""Ports of this machine that are reserved for as long as a run lives."""

import contextlib
import random
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.common.errors import EnvironmentLacksError

LOOPBACK = "127.0.0.1"


class Reservation:
    """A free port on loopback, held by a socket that is bound and never listens.

    The system gives it to no other run and no outgoing connection, while a program that sets SO_REUSEPORT (or,
    on Linux, SO_REUSEADDR) can listen on it: so a part that was killed comes back at its own address. Other systems do
    not let a program with SO_REUSEADDR alone in: see ``lend``.
    """

    def __init__(self, port: int = 0) -> None:
        if port:
            _require_free(port)
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]

    def take_back(self) -> None:
        """Hold the closed port again, unless a program listens on it."""
        self.close()
        with contextlib.suppress(EnvironmentLacksError):
            self._socket = _bound(self.port)

    def lend(self) -> int:
        """The port, for a program that sets SO_REUSEADDR alone: closed where the system requires that."""
        if sys.platform != "linux":
            self.close()
        return self.port

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def non_ephemeral_port() -> Reservation:
    """A port that the system does not assign on its own, so that it can be released for a moment.

    A program that sets neither SO_REUSEADDR nor SO_REUSEPORT can listen only on a port that is not held.
    """
    low = _ephemeral_from()
    for _ in range(_TRIES):
        with contextlib.suppress(EnvironmentLacksError):
            return Reservation(random.randrange(low // 2, low))
    return Reservation()


_TRIES = 50


def _ephemeral_from() -> int:
    """The first ephemeral port: on Linux as the system says, elsewhere IANA's."""
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        low = 49152
    return max(low, 4096)


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((LOOPBACK, port))
    except OSError as problem:
        held.close()
        raise EnvironmentLacksError(
            f"no free port on {LOOPBACK}: {problem.strerror}", "end what holds them"
        ) from problem
    return held


def _require_free(port: int) -> None:
    """Check with a socket without SO_REUSEPORT that the port is free; sockets with it would share the port.

    Raises:
        EnvironmentLacksError: the port is taken.
    """
    with socket.socket() as plain:
        try:
            plain.bind((LOOPBACK, port))
        except OSError as problem:
            raise EnvironmentLacksError(
                f"port {port} on {LOOPBACK} is taken: {problem.strerror}", "end what holds it, or choose another port"
            ) from problem
