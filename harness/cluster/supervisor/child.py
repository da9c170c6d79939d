"""One started program, and the way it ended."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.cluster.supervisor.process_spec import ProcessSpec

_TAIL_BYTES = 8192


def read_tail(log: Path, lines: int) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True)
class Death:
    """The unexpected end of a part; ``code`` is negative if a signal ended it."""

    name: str
    role: str
    code: int
    log: Path | None = None

    def describe(self) -> str:
        """A sentence with the exit code and the last lines of the log."""
        tail = read_tail(self.log, 5).splitlines() if self.log else []
        last = f"its log ends: {' | '.join(tail)}" if tail else "its log is empty"
        return f"{self.name} died on its own (exit {self.code}); {last}"


class Signaller(Protocol):
    """What a child needs of the supervisor that started it."""

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child, given by its number; return whether it was delivered."""

    def state(self, child: "Child") -> str:
        """Return the state of the process, as ``Child.state``."""


class Child:
    """One started program, with the process group that it leads.

    ``own_pid`` is the pid that the program itself sees, which differs from ``pid`` inside a container.
    ``end_expected`` is set before the harness ends the child, so that its end does not count as a death.
    """

    def __init__(
        self, supervisor: Signaller, number: int, spec: ProcessSpec, pid: int, own_pid: int | None = None
    ) -> None:
        self._supervisor = supervisor
        self._number = number
        self._spec = spec
        self._exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.pid = pid
        self.own_pid = own_pid or pid
        self.end_expected = False

    @property
    def name(self) -> str:
        """The name in its ``ProcessSpec``."""
        return self._spec.name

    @property
    def role(self) -> str:
        """One of ``ROLES``."""
        return self._spec.role

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return self._spec.log

    @property
    def alive(self) -> bool:
        """Whether its end has not been reported yet."""
        return not self._exit_code.done()

    def mark_ended(self, code: int) -> None:
        """Record its exit code; called by the supervisor once the process was collected."""
        if self.alive:
            self._exit_code.set_result(code)

    @property
    def state(self) -> str:
        """The kernel's letter for its state: ``T`` is stopped, ``Z`` and ``X`` are dead."""
        return self._supervisor.state(self)

    async def wait(self) -> int:
        """Wait for its end and return its exit code; negative if a signal ended it."""
        return await asyncio.shield(self._exit_code)

    async def signal(self, number: int, *, group: bool = False) -> bool:
        """Send a signal to it, or to its whole process group; return whether the signal was delivered."""
        return self.alive and await self._supervisor.signal(self._number, number, group=group)

    async def kill(self) -> bool:
        """SIGKILL the whole group and wait until the process is gone; return whether this signal ended it."""
        self.end_expected = True
        await self.signal(signal.SIGKILL, group=True)
        return await self.wait() == -signal.SIGKILL

    async def stop(self, grace: float = 5.0) -> int:
        """Send SIGTERM, then SIGKILL if it still runs after ``grace`` seconds; return its exit code."""
        if not await self.ends_within(grace):
            await self.kill()
        return await self.wait()

    async def ends_within(self, grace: float) -> bool:
        """Send SIGTERM; return whether it has ended ``grace`` seconds later."""
        self.end_expected = True
        await self.signal(signal.SIGTERM)
        await self.signal(signal.SIGCONT, group=True)  # a stopped process would not receive SIGTERM
        try:
            await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            return False
        return True

    def log_tail(self, lines: int = 10) -> str:
        """Return the last lines of its log; empty if there is no log."""
        return read_tail(self.log, lines)
