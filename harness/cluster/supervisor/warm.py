"""A warm process has imported what a kind of program needs, and starts each as a copy of itself (``main.py``)."""

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from harness.cluster.supervisor import main
from harness.cluster.supervisor.child import Child
from harness.cluster.supervisor.client import WARM_CHANNEL, ProcessSupervisor
from harness.cluster.supervisor.process_spec import ProcessSpec


class Spawner(Protocol):
    """Starts programs: a supervisor, or a warm process under one."""

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program. It inherits the descriptors ``fds``; the variable of that name holds each number."""

    async def spawn_with_channel(self, spec: ProcessSpec, variable: str) -> tuple[Child, socket.socket]:
        """Start a program with one end of a connection, as ``Supervisor.spawn_with_channel``."""


class WarmSpawner:
    """Starts ``python -m MODULE`` as copies of a warm process, which is started again if it has ended."""

    def __init__(self, supervisor: ProcessSupervisor, spec: ProcessSpec) -> None:
        self._supervisor = supervisor
        self._spec = spec
        self._copies: ProcessSupervisor | None = None
        self._starting = asyncio.Lock()

    async def warm_up(self) -> ProcessSupervisor:
        """Start the warm process if it does not run. It takes orders at once, and executes them after its imports."""
        async with self._starting:
            if self._copies is None or self._copies.has_ended:
                self._copies = await self._supervisor.spawn_warm(self._spec)
            return self._copies

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program, as a supervisor does.

        Raises:
            EnvironmentLacksError: its log cannot be written.
            UntrustedError: the warm process has just ended.
        """
        return await (await self.warm_up()).spawn(spec, fds)

    async def spawn_with_channel(self, spec: ProcessSpec, variable: str) -> tuple[Child, socket.socket]:
        """Start a program with a channel, as a supervisor does.

        Raises:
            As ``spawn``.
        """
        return await (await self.warm_up()).spawn_with_channel(spec, variable)


async def start_warm(
    supervisor: ProcessSupervisor, role: str, modules: Sequence[str], env: Mapping[str, str]
) -> WarmSpawner:
    """Start a warm process for programs of a role of ``ProcessSpec``; it ends with the supervisor.

    It imports the modules, one at least. ``env`` is its environment, in addition to that of the harness.
    """
    log = supervisor.scratch / f"warm-{role}.log"
    argv = (sys.executable, "-P", str(Path(main.__file__)), WARM_CHANNEL, *modules)
    warm = WarmSpawner(supervisor, ProcessSpec(f"warm-{role}", role, argv, log, env))
    await warm.warm_up()
    return warm
