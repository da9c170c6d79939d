"""What every supervisor offers, whether it starts processes or containers."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.cluster.supervisor import main
from harness.cluster.supervisor.child import Child, Death
from harness.cluster.supervisor.process_spec import ProcessSpec
from harness.common.ports import LOOPBACK


class Supervisor(ABC):
    """Starts the parts of a run and makes sure that none outlives the harness.

    ``listen`` is the address on which its children have to listen. ``deaths`` collects their unexpected ends. If it
    ``shares_files``, its children see the scratch directory; if not, only the files of their working directory as they
    were at the start.
    """

    listen: str = LOOPBACK
    shares_files: bool = True
    deaths: "asyncio.Queue[Death]"

    @property
    @abstractmethod
    def scratch(self) -> Path:
        """A directory with a short path, for unix sockets and configurations; it is always removed at the end."""

    @property
    @abstractmethod
    def children(self) -> tuple[Child, ...]:
        """The children that are alive."""

    @abstractmethod
    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program. It inherits the descriptors ``fds``; the variable of that name holds each number.

        Raises:
            EnvironmentLacksError: no such program, or its log cannot be written (a full disk).
        """

    async def spawn_with_channel(self, spec: ProcessSpec, variable: str) -> tuple[Child, socket.socket]:
        """Start a program with one end of a connection, whose descriptor ``variable`` holds; returns it and the other.

        Raises:
            As ``spawn``.
        """
        own_end, child_end = socket.socketpair()
        with child_end:
            try:
                return await self.spawn(spec, fds={variable: child_end.fileno()}), own_end
            except BaseException:
                own_end.close()
                raise

    @abstractmethod
    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child, given by its number; return whether it was delivered."""

    async def send_file(self, child: Child, file: Path) -> None:  # noqa: B027 - nothing to do where files are shared
        """Have a child see a file of its working directory as it is now, if they do not share it anyway.

        Raises:
            HarnessError: the child cannot be reached.
        """

    def state(self, child: Child) -> str:
        """Return the state of a child, as ``Child.state``."""
        process = main.read_stat(child.pid)
        return process.state if process else "X"

    def program(self, name: str, locate: Callable[[], str]) -> str:
        """Return the command that runs a program: where ``locate`` finds it, or its name if it is in an image.

        Raises:
            EnvironmentLacksError: ``locate`` finds none.
        """
        return locate()

    def address(self, name: str, role: str = "replica") -> str:
        """Return the host by which other parts reach the part of that name and role."""
        return LOOPBACK

    def reach(self, name: str, port: int) -> tuple[str, int]:
        """Return the address by which the harness reaches a port of the part of that name."""
        return LOOPBACK, port
