"""The harness's side of the load: starts the load processes and talks to them over the control channel."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.supervisor import Child, Supervisor
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError, HarnessError, UntrustedError, UsageError
from harness.common.ports import LOOPBACK, Reservation
from harness.load.control.channel import (
    Broken,
    ChannelError,
    ControlCommand,
    ControlEvent,
    Joined,
    Ready,
    ReplicaStarting,
    StartLoad,
    StartSweep,
    StopLoad,
    Stopped,
    Swept,
    WorkerExited,
    WorkerLost,
    decode_event,
    encode,
)
from harness.load.control.plan import CHANNEL, LoadPlan
from harness.observations.samples import Snapshot
from harness.runner.driver_commands import DriverCommands, require_free
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, Address, DriverProcesses

#: How long after now a load starts, so that the command arrives in time; and how much longer with workers.
LEAD_NS = 50_000_000
WORKERS_LEAD_NS = 450_000_000
READY_TIMEOUT_S = 60.0
#: Time for the user to start workers on other machines.
WORKERS_TIMEOUT_S = 600.0
#: Time after its duration in which the load must finish its pending requests.
STOP_TIMEOUT_S = 20.0
SWEEP_TIMEOUT_S = 180.0
#: Time to transfer the records of workers on other machines.
UPLOAD_TIMEOUT_S = 1200.0
SWEEP_RATE = 2000.0
EXIT_TIMEOUT_S = 5.0
_KILL_GRACE_S = 1.0
_MAX_LINE_BYTES = 1 << 20
_ERRORS: dict[int, type[HarnessError]] = {
    kind.code: kind for kind in (UsageError, UntrustedError, EnvironmentLacksError)
}


@dataclass(frozen=True)
class LoadCallbacks:
    """Called with the reports of the load: a snapshot about every 200 ms, a worker that joins or is lost."""

    snapshot: Callable[[Snapshot], None] = lambda snapshot: None
    joined: Callable[[Joined], None] = lambda joined: None
    lost: Callable[[WorkerLost], None] = lambda lost: None


NO_CALLBACKS = LoadCallbacks()


class Driver:
    """One load process, or the master of several.

    Call ``wait_until_ready``, ``start``, ``wait_until_stopped`` and ``sweep``, in this order.
    """

    def __init__(
        self,
        arm: Arm,
        child: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        processes: DriverProcesses,
        callbacks: LoadCallbacks,
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.sessions = 0  # read by the sweep
        self._load = arm.load
        self._processes = processes
        self._child = child
        self._workers: dict[str, Child] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._reader = reader
        self._writer = writer
        self._callbacks = callbacks
        self._events: dict[type[ControlEvent], asyncio.Event] = {
            kind: asyncio.Event() for kind in (Ready, Stopped, Swept)
        }
        self._problem: HarnessError | None = None
        self._listener = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """The load process."""
        return self._child.pid

    @property
    def pids(self) -> dict[str, int]:
        """The live workers of this machine, by name."""
        return {name: child.pid for name, child in self._workers.items() if child.alive}

    def watch(self, worker: Child) -> None:
        """Watch a worker of this machine: if it dies, the load continues."""
        worker.end_expected = True
        self._workers[worker.name] = worker
        self._watchers.append(asyncio.create_task(self._report_exit(worker)))

    async def _report_exit(self, worker: Child) -> None:
        code = await worker.wait()
        self._send(WorkerExited(worker.name, f"its process ended on its own (exit code {code}), see {worker.log}"))

    # Commands

    async def wait_until_ready(self) -> None:
        """Wait until its users are ready.

        Raises:
            UsageError: the load process cannot import the scenario.
            UntrustedError: it ended, or took too long.
        """
        await self._wait_for(Ready, WORKERS_TIMEOUT_S if self._processes.elsewhere else READY_TIMEOUT_S)

    def start(self, url: str) -> int:
        """Start the load on ``url`` after a short lead; returns T0 (CLOCK_MONOTONIC, ns)."""
        t0 = time.monotonic_ns() + LEAD_NS + (WORKERS_LEAD_NS if self._processes.workers else 0)
        self._send(StartLoad(t0, parse_seconds(self._load.duration), parse_seconds(self._load.warmup), url))
        return t0

    def announce_replica(self, replica: str, boot: str) -> None:
        """Announce the boot id of a replica that does not report its own, before it starts."""
        self._send(ReplicaStarting(replica, boot))

    def stop(self) -> None:
        """End the load early."""
        self._send(StopLoad())

    async def wait_until_stopped(self) -> None:
        """Wait until the last request has ended.

        Raises:
            UntrustedError: it ended on its own.
            EnvironmentLacksError: it could not continue, for example because the disk is full.
        """
        await self._wait_for(Stopped, parse_seconds(self._load.duration) + STOP_TIMEOUT_S)

    async def sweep(self) -> int:
        """Have every session read once more; returns how many there are. After that the spool is complete.

        Raises:
            As ``wait_until_stopped``.
        """
        self._send(StartSweep(SWEEP_RATE))
        await self._wait_for(Swept, SWEEP_TIMEOUT_S + (UPLOAD_TIMEOUT_S if self._processes.elsewhere else 0))
        return self.sessions

    def _send(self, command: ControlCommand) -> None:
        self._writer.write(encode(command))

    # Events

    async def _wait_for(self, kind: type[ControlEvent], timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._events[kind].wait(), timeout_s)
        except TimeoutError as problem:
            what = f"the load process is not {kind.__name__.lower()} after {timeout_s:g} s"
            raise UntrustedError(what, self._last_lines()) from problem
        if self._problem is not None:
            raise self._problem

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._dispatch(decode_event(line))
        except (OSError, ValueError, ChannelError) as problem:
            self._fail(UntrustedError(f"the load process sends nonsense: {problem}", self._last_lines()))
        await self._on_channel_end()

    def _dispatch(self, event: ControlEvent) -> None:
        if isinstance(event, Snapshot):
            self.snapshots.append(event)
            self._callbacks.snapshot(event)
        elif isinstance(event, Joined):
            self._callbacks.joined(event)
        elif isinstance(event, WorkerLost):
            self._callbacks.lost(event)
        elif isinstance(event, Broken):
            self._fail(_ERRORS.get(event.code, HarnessError)(event.message, event.hint))
        else:
            if isinstance(event, Swept):
                self.sessions = event.sessions
            self._events[type(event)].set()

    async def _on_channel_end(self) -> None:
        code: int | str = "still running"
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self._child.wait(), EXIT_TIMEOUT_S)
        self._fail(UntrustedError(f"the load process ended on its own (exit code {code})", self._last_lines()))

    def _fail(self, problem: HarnessError) -> None:
        self._problem = self._problem or problem
        for event in self._events.values():
            event.set()

    def _last_lines(self) -> str:
        tail = self._child.log_tail(10)
        return f"its log ({self._child.log}) ends:\n{tail}" if tail else f"its log is {self._child.log}"

    # The end

    async def code(self) -> int:
        """The exit code of the load process, once it has ended."""
        return await self._child.wait()

    async def close(self) -> None:
        """Close the channel, which ends the process."""
        self._child.end_expected = True
        for task in (self._listener, *self._watchers):
            task.cancel()
        self._writer.close()
        await asyncio.gather(*(_wait_or_stop(child) for child in (self._child, *self._workers.values())))


async def _wait_or_stop(child: Child) -> None:
    """Wait for a process that should end soon; stop it if it takes too long."""
    try:
        await asyncio.wait_for(child.wait(), EXIT_TIMEOUT_S)
    except TimeoutError:
        await child.stop(_KILL_GRACE_S)


@asynccontextmanager
async def start_driver(
    arm: Arm,
    scenario_path: Path,
    *,
    spool: Path,
    log: Path,
    supervisor: Supervisor,
    seed: int,
    processes: DriverProcesses = ONE_PROCESS,
    callbacks: LoadCallbacks = NO_CALLBACKS,
) -> AsyncIterator[Driver]:
    """Run a load process, or several, for the length of a scope. They warm up at once; ``Driver.start`` sends the URL.

    Args:
        arm: the arm that they load.
        scenario_path: a scenario, or any locustfile.
        spool: the directory for the records, with a subdirectory for each of several workers; created if missing.
        log: the file for the output; a worker's has its name in it.
        supervisor: starts and ends them.
        seed: for the arrivals, the waiting times and the write ids.
        processes: how many there are.
        callbacks: called with their reports.

    Raises:
        EnvironmentLacksError: they cannot be started.
        UsageError: there are fewer sessions than workers.
    """
    with Reservation() as reserved:
        master = require_free(processes.bind) if processes.bind else Address(LOOPBACK, reserved.port)
        commands = DriverCommands(scenario_path, LoadPlan.from_load(arm.load), processes, master, spool, log, seed)
        child, reader, writer = await _spawn_with_channel(commands, supervisor)
        driver = Driver(arm, child, reader, writer, processes=processes, callbacks=callbacks)
        try:
            for command in commands.workers():
                driver.watch(await supervisor.spawn(command))
            yield driver
        finally:
            await driver.close()


async def _spawn_with_channel(
    commands: DriverCommands, supervisor: Supervisor
) -> tuple[Child, asyncio.StreamReader, asyncio.StreamWriter]:
    """Start the first process with one end of a socket pair; returns it and the other end."""
    own_end, child_end = socket.socketpair()
    try:
        child = await supervisor.spawn(commands.first(), fds={CHANNEL: child_end.fileno()})
    except BaseException:
        own_end.close()
        raise
    finally:
        child_end.close()
    reader, writer = await asyncio.open_connection(sock=own_end, limit=_MAX_LINE_BYTES)
    return child, reader, writer
