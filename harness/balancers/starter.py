"""What a balancer needs to come up: somebody who starts processes, and the facts of one start."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.errors import EnvironmentLacksError, HarnessError
from harness.parts import Member
from harness.scenario import Balancing

START_S = 10.0  # both are up in under 0.2 s on an idle machine
POLL_S = 0.01


@dataclass(frozen=True)
class Command:
    """A process to start; its standard output and error go to ``log``."""

    name: str
    role: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cpus: Sequence[int] | None = None


class Process(Protocol):
    """A started process."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    async def signal(self, sig: signal.Signals) -> None:
        """Send it a signal."""

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after ``grace`` seconds."""

    def log_tail(self, n: int) -> str:
        """The last ``n`` lines that it wrote."""


class Starter(Protocol):
    """Whoever starts processes and sees to it that none outlives the harness."""

    async def spawn(self, command: Command) -> Process:
        """Start it; returns at once."""


@dataclass(frozen=True)
class Setup:
    """One balancer to bring up: what it does, before whom, and where it may write.

    ``port`` is held by the caller (SO_REUSEPORT); ``scratch`` takes configuration and sockets, ``logs`` what it says.
    """

    balancing: Balancing
    members: tuple[Member, ...]
    starter: Starter
    scratch: Path
    logs: Path
    port: int

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def running(
    setup: Setup, name: str, argv: Sequence[str], ready: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Process]:
    """A balancer's process from its start until it has been stopped.

    Raises:
        EnvironmentLacksError: its port is taken.
        HarnessError: it ended at once, or never became ready.
    """
    process = await setup.starter.spawn(Command(name, "balancer", argv, setup.logs / f"{name}.log", cwd=setup.scratch))
    try:
        await until(ready, process, f"{name} to listen on port {setup.port}")
        yield process
    finally:
        await process.stop(grace=2.0)


async def until(holds: Callable[[], Awaitable[bool]], process: Process, what: str, within: float = START_S) -> None:
    """Wait for a fact that a live process will bring about.

    Raises:
        EnvironmentLacksError: the process ended because its port is taken.
        HarnessError: the process ended for another reason, or ``within`` seconds passed.
    """
    deadline = time.monotonic() + within
    while not await holds():
        if not process.alive:
            raise _ended(process, what)
        if time.monotonic() > deadline:
            raise HarnessError(f"waited {within:g} s in vain for {what}", f"its log ends: {process.log_tail(5)}")
        await asyncio.sleep(POLL_S)


def _ended(process: Process, what: str) -> HarnessError:
    tail = process.log_tail(5)
    if "Address already in use" in tail:
        return EnvironmentLacksError(f"the port is taken (waiting for {what})", "stop what listens there and try again")
    return HarnessError(f"the process ended while waiting for {what}", f"its log ends: {tail}")
