"""The harness's side of the load: starts the load process and speaks to it over the control channel."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import harness
from harness.duration import seconds
from harness.errors import EnvironmentLacksError, HarnessError, UntrustedError, UsageError
from harness.load.channel import (
    Booting,
    Broken,
    ChannelError,
    Deed,
    Ready,
    Start,
    Stop,
    Stopped,
    Sweep,
    Swept,
    Word,
    decode_word,
    encode,
)
from harness.load.plan import CHANNEL, LoadPlan, environment
from harness.observations import Snapshot
from harness.scenario import Arm
from harness.supervisor import Child, Command, Supervisor

AHEAD_NS = 50_000_000
READY_S = 60.0
#: Beyond its duration the load has this long to end what is under way.
STOP_GRACE_S = 20.0
SWEEP_GRACE_S = 180.0
SWEEP_RATE = 2000.0
LEAVE_S = 5.0
_LONGEST_LINE = 1 << 20
_ERRORS: dict[int, type[HarnessError]] = {
    kind.code: kind for kind in (UsageError, UntrustedError, EnvironmentLacksError)
}


class Driver:
    """One load process: ``ready``, ``start``, ``until_done``, ``sweep``, in this order."""

    def __init__(
        self,
        arm: Arm,
        child: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_snapshot: Callable[[Snapshot], None],
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.sessions = 0  # swept
        self._load = arm.load
        self._child = child
        self._reader = reader
        self._writer = writer
        self._on_snapshot = on_snapshot
        self._said: dict[type[Word], asyncio.Event] = {kind: asyncio.Event() for kind in (Ready, Stopped, Swept)}
        self._problem: HarnessError | None = None
        self._listener = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """The load process."""
        return self._child.pid

    async def ready(self) -> None:
        """Wait until its users are there.

        Raises:
            UsageError: the scenario does not load there.
            UntrustedError: it ended, or took too long.
        """
        await self._heard(Ready, READY_S)

    def start(self, url: str) -> int:
        """Begin the load on ``url`` a little ahead; returns T0 (CLOCK_MONOTONIC, ns)."""
        t0 = time.monotonic_ns() + AHEAD_NS
        self._tell(Start(t0, seconds(self._load.duration), seconds(self._load.warmup), url))
        return t0

    def booting(self, replica: str, boot: str) -> None:
        """Tell the boot id of a replica that does not say it itself, before it starts."""
        self._tell(Booting(replica, boot))

    def stop(self) -> None:
        """End the load before its time."""
        self._tell(Stop())

    async def until_done(self) -> None:
        """Wait until the last request has ended.

        Raises:
            UntrustedError: it ended by itself.
            EnvironmentLacksError: it could not go on, such as on a full disk.
        """
        await self._heard(Stopped, seconds(self._load.duration) + STOP_GRACE_S)

    async def sweep(self) -> int:
        """Have every session read once more; returns how many there are. The spool is complete then.

        Raises:
            As ``until_done``.
        """
        self._tell(Sweep(SWEEP_RATE))
        await self._heard(Swept, SWEEP_GRACE_S)
        return self.sessions

    def _tell(self, deed: Deed) -> None:
        self._writer.write(encode(deed))

    async def _heard(self, kind: type[Word], within: float) -> None:
        try:
            await asyncio.wait_for(self._said[kind].wait(), within)
        except TimeoutError as problem:
            what = kind.__name__.lower()
            raise UntrustedError(f"the load process is not {what} after {within:g} s", self._last_lines()) from problem
        if self._problem is not None:
            raise self._problem

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._hear(decode_word(line))
        except (OSError, ValueError, ChannelError) as problem:
            self._fail(UntrustedError(f"the load process talks nonsense: {problem}", self._last_lines()))
        await self._ended()

    def _hear(self, word: Word) -> None:
        if isinstance(word, Snapshot):
            self.snapshots.append(word)
            self._on_snapshot(word)
        elif isinstance(word, Broken):
            self._fail(_ERRORS.get(word.code, HarnessError)(word.message, word.hint))
        else:
            if isinstance(word, Swept):
                self.sessions = word.sessions
            self._said[type(word)].set()

    async def _ended(self) -> None:
        code: int | str = "still running"
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self._child.wait(), LEAVE_S)
        self._fail(UntrustedError(f"the load process ended by itself (exit code {code})", self._last_lines()))

    def _fail(self, problem: HarnessError) -> None:
        self._problem = self._problem or problem
        for event in self._said.values():
            event.set()

    def _last_lines(self) -> str:
        tail = self._child.log_tail(10)
        return f"its log ({self._child.log}) ends:\n{tail}" if tail else f"its log is {self._child.log}"

    async def code(self) -> int:
        """The exit code of the load process, once it has ended."""
        return await self._child.wait()

    async def leave(self) -> None:
        """End the channel, which ends the process."""
        self._child.asked = True
        self._listener.cancel()
        self._writer.close()
        try:
            await asyncio.wait_for(self._child.wait(), LEAVE_S)
        except TimeoutError:
            await self._child.stop(1.0)


@asynccontextmanager
async def driving(
    arm: Arm,
    scenario_path: Path,
    *,
    spool: Path,
    log: Path,
    supervisor: Supervisor,
    seed: int,
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None,
) -> AsyncIterator[Driver]:
    """A load process for the length of a scope. It warms up from the start; its URL comes with ``Driver.start``.

    Args:
        arm: whose load it is.
        scenario_path: a scenario, or any locustfile.
        spool: the directory for its records; made where it is not there.
        log: the file for its output.
        supervisor: starts and ends it.
        seed: of the arrivals, the waiting times and the write ids.
        on_snapshot: called with each snapshot as it comes, about every 200 ms.

    Raises:
        EnvironmentLacksError: it cannot be started.
    """
    plan = LoadPlan.of(arm.load)
    ours, theirs = socket.socketpair()
    try:
        env = {**environment(spool, plan, seed), "PYTHONPATH": _python_path(), "PYTHONUNBUFFERED": "1"}
        command = Command("load", "driver", _argv(scenario_path, plan), log, env)
        child = await supervisor.spawn(command, fds={CHANNEL: theirs.fileno()})
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
    driver = Driver(arm, child, reader, writer, on_snapshot)
    try:
        yield driver
    finally:
        await driver.leave()


def _argv(scenario: Path, plan: LoadPlan) -> tuple[str, ...]:
    files = f"{scenario},{Path(__file__).with_name('plain.py')}"
    users = str(plan.users)
    options = ("--headless", "--only-summary", "-u", users, "-r", users, "--exit-code-on-error", "0")
    return (sys.executable, "-m", "locust", "-f", files, *options)


def _python_path() -> str:
    """Where this harness is, before what the environment says: the load process imports the same one."""
    ours = str(Path(harness.__file__).parent.parent)
    theirs = os.environ.get("PYTHONPATH")
    return f"{ours}{os.pathsep}{theirs}" if theirs else ours
