"""What a balancer needs to come up, and its process while it is up."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.errors import EnvironmentLacksError, HarnessError
from harness.parts import Member
from harness.scenario import Balancing
from harness.supervisor import Child, Command

_START_S = 10.0  # either is up in under 0.2 s on an idle machine
_POLL_S = 0.01
_GRACE_S = 2.0


class Starter(Protocol):
    """Whoever starts processes and sees to it that none outlives the harness: the supervisor."""

    async def spawn(self, command: Command) -> Child:
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
    setup: Setup, name: str, argv: tuple[str, ...], ready: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Child]:
    """A balancer's process from when it is ready until it has been stopped.

    Raises:
        EnvironmentLacksError: its port is taken.
        HarnessError: it ended at once, or never became ready.
    """
    child = await setup.starter.spawn(Command(name, "balancer", argv, setup.logs / f"{name}.log", cwd=setup.scratch))
    try:
        await until(ready, child, f"{name} to listen on port {setup.port}")
        yield child
    finally:
        await child.stop(_GRACE_S)


async def until(holds: Callable[[], Awaitable[bool]], child: Child, what: str) -> None:
    """Wait for a fact that a live process will bring about.

    Raises:
        EnvironmentLacksError: the process ended because its port is taken.
        HarnessError: the process ended for another reason, or ten seconds passed.
    """
    deadline = time.monotonic() + _START_S
    while not await holds():
        if not child.alive:
            raise _ended(child.log_tail(5), what)
        if time.monotonic() > deadline:
            raise HarnessError(f"waited {_START_S:g} s in vain for {what}", f"its log ends: {child.log_tail(5)}")
        await asyncio.sleep(_POLL_S)


def _ended(tail: str, what: str) -> HarnessError:
    if re.search(r"Address (already )?in use", tail):  # glibc's words, and musl's
        return EnvironmentLacksError(f"the port is taken (waiting for {what})", "stop what listens there and try again")
    return HarnessError(f"the process ended (waiting for {what})", f"its log ends: {tail}")
