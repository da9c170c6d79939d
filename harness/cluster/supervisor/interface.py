"""What every supervisor offers, whether it starts processes or containers."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from harness.cluster.supervisor import main
from harness.cluster.supervisor.child import Child, Death
from harness.cluster.supervisor.process_spec import ProcessSpec
from harness.common.ports import LOOPBACK


class Supervisor(ABC):
    """Starts the parts of a run and makes sure that none outlives the harness.

    ``listen`` is the address on which its children have to listen. ``deaths`` collects their unexpected ends.
    """

    listen: str = LOOPBACK
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

    @abstractmethod
    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child, given by its number; return whether it was delivered."""

    def state(self, child: Child) -> str:
        """Return the state of a child, as ``Child.state``."""
        process = main.read_stat(child.pid)
        return process.state if process else "X"

    def address(self, name: str, role: str = "replica") -> str:
        """Return the host by which other parts reach the part of that name and role."""
        return LOOPBACK
