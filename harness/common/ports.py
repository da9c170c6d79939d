"""Ports of this machine that are ours for as long as a run lives."""

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

    Nobody else is given it, neither another run nor an outgoing connection, while a program that sets SO_REUSEPORT (or,
    on Linux, SO_REUSEADDR) can listen on it: so a part that was killed comes back at its own address. Other systems do
    not let a program with SO_REUSEADDR alone in: see ``lend``.
    """

    def __init__(self, port: int = 0) -> None:
        if port:
            _require_free(port)
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]

    def take_back(self) -> None:
        """Hold the port again that was closed; where somebody listens on it, it stays theirs."""
        self.close()
        with contextlib.suppress(EnvironmentLacksError):
            self._socket = _bound(self.port)

    def lend(self) -> int:
        """The port, for a program that sets SO_REUSEADDR alone: let go where the system wants that."""
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
    """A port that the system gives to nobody by itself, so that it may be let go for a moment.

    Programs that set neither SO_REUSEADDR nor SO_REUSEPORT can listen only on a port that nobody holds.
    """
    low = _ephemeral_from()
    for _ in range(_TRIES):
        with contextlib.suppress(EnvironmentLacksError):
            return Reservation(random.randrange(low // 2, low))
    return Reservation()


_TRIES = 50


def _ephemeral_from() -> int:
    """The first port that the system gives away: on Linux it says so, elsewhere IANA's."""
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
    """Sockets with SO_REUSEPORT share a port: one without tells whether anybody has it.

    Raises:
        EnvironmentLacksError: somebody does.
    """
    with socket.socket() as plain:
        try:
            plain.bind((LOOPBACK, port))
        except OSError as problem:
            raise EnvironmentLacksError(
                f"port {port} on {LOOPBACK} is taken: {problem.strerror}", "end what holds it, or choose another port"
            ) from problem
