"""The harness's side of the load: starts the load processes and talks to them over the control channel."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.supervisor import Child, Death, ProcessSupervisor, Spawner, Supervisor, start_warm
from harness.common.durations import parse_seconds
from harness.common.errors import (
    EnvironmentLacksError,
    HarnessError,
    UntrustedError,
    UsageError,
    explain_os_error,
)
from harness.common.ports import Reservation
from harness.common.version import __version__
from harness.load.control.channel import (
    Broken,
    ChannelError,
    ClockReply,
    ClockRequest,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    Ready,
    Records,
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
from harness.runner.driver_commands import DriverCommands
from harness.runner.load_log import find_start_error
from harness.runner.load_place import find_place, python_environment
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses

#: How long after now a load starts, so that the command arrives in time; and how much longer with workers or in pods.
LEAD_NS = 50_000_000
WORKERS_LEAD_NS = 450_000_000
READY_TIMEOUT_S = 60.0
#: Time for the user to start workers on other machines.
WORKERS_TIMEOUT_S = 600.0
#: Time after its duration in which the load must finish its pending requests.
STOP_TIMEOUT_S = 20.0
SWEEP_TIMEOUT_S = 180.0
#: Time to transfer the records of a load elsewhere.
UPLOAD_TIMEOUT_S = 1200.0
SWEEP_RATE = 2000.0
EXIT_TIMEOUT_S = 5.0
_KILL_GRACE_S = 1.0
#: What every load process imports: a second of CPU time.
_MODULES = ("locust.main", "harness.load.locustfiles.session_user")
_LOG_LINES = 200
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
        spool: Path,
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.sessions = 0  # read by the sweep
        self._load = arm.load
        self._processes = processes
        self._spool = spool
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
        """Watch a worker that the harness started: if it dies, the load continues."""
        worker.end_expected = True
        self._workers[worker.name] = worker
        self._watchers.append(asyncio.create_task(self._report_exit(worker)))

    def _stop_watching(self) -> None:
        """The end of a worker is no loss from now on."""
        for watcher in self._watchers:
            watcher.cancel()

    async def _report_exit(self, worker: Child) -> None:
        code = await worker.wait()
        self._send(WorkerExited(worker.name, f"its process ended on its own (exit code {code}), see {worker.log}"))

    # Commands

    async def wait_until_ready(self) -> None:
        """Wait until its users are ready.

        Raises:
            UsageError: Locust cannot import the scenario, or refuses it.
            UntrustedError: it ended, or took too long.
        """
        await self._wait_for(Ready, WORKERS_TIMEOUT_S if self._processes.elsewhere else READY_TIMEOUT_S)

    def start(self, url: str) -> int:
        """Start the load on ``url`` after a short lead; returns T0 (CLOCK_MONOTONIC, ns)."""
        distant = self._processes.workers or self._processes.inside
        t0 = time.monotonic_ns() + LEAD_NS + (WORKERS_LEAD_NS if distant else 0)
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
            UsageError: it ended before its first request: Locust refuses the scenario.
            EnvironmentLacksError: it could not continue, for example because the disk is full.
        """
        await self._wait_for(Stopped, parse_seconds(self._load.duration) + STOP_TIMEOUT_S)

    async def sweep(self) -> int:
        """Have every session read once more; returns how many there are. After that the spool is complete.

        Raises:
            As ``wait_until_stopped``.
        """
        self._send(StartSweep(SWEEP_RATE))
        await self._wait_for(Swept, SWEEP_TIMEOUT_S + (UPLOAD_TIMEOUT_S if self._processes.uploads else 0))
        self._stop_watching()
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
        except OSError:  # its end of the channel is closed, with commands that it has not read
            pass
        except (ValueError, ChannelError) as problem:
            self._fail(UntrustedError(f"the load process sends nonsense: {problem}", self._last_lines()))
        await self._on_channel_end()

    def _dispatch(self, event: ControlEvent) -> None:
        if isinstance(event, Snapshot):
            self.snapshots.append(event)
            self._callbacks.snapshot(event)
        elif isinstance(event, Hello) and event.version != __version__:
            what = f"the load in {event.host} is harness {event.version}, and this is {__version__}"
            self._fail(UsageError(what, "make image IMAGE_ARGS=--locust; or --load-image REF"))
        elif isinstance(event, ClockRequest):
            self._send(ClockReply(event.sent, time.monotonic_ns()))
        elif isinstance(event, Records):
            self._keep_records(event)
        elif isinstance(event, Joined):
            self._callbacks.joined(event)
        elif isinstance(event, WorkerLost):
            self._callbacks.lost(event)
        elif isinstance(event, Broken):
            self._fail(_ERRORS.get(event.code, HarnessError)(event.message, event.hint))
        elif type(event) in self._events:
            if isinstance(event, Swept):
                self.sessions = event.sessions
            self._events[type(event)].set()

    def _keep_records(self, records: Records) -> None:
        file = (self._spool / records.file).resolve()
        if not file.is_relative_to(self._spool.resolve()):
            raise ChannelError(f"{records.file!r} is not a file of the spool")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as kept:
                kept.write(base64.b64decode(records.chunk))
        except OSError as problem:
            self._fail(explain_os_error(problem) or EnvironmentLacksError(f"{file} cannot be written: {problem}"))

    async def _on_channel_end(self) -> None:
        code: int | None = None
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self._child.wait(), EXIT_TIMEOUT_S)
        self._fail(self._end_error(code))

    def _end_error(self, code: int | None) -> HarnessError:
        """Why there is no load: Locust ended before the first request, which it explains itself, or later."""
        if code is None:
            return UntrustedError("the load process has closed its channel, but still runs", self._last_lines())
        begun = any(snapshot.sent for snapshot in self.snapshots)
        reason = find_start_error(self._child.log_tail(_LOG_LINES)) if code > 0 and not begun else ""
        if reason:
            return UsageError(f"Locust does not start: {reason}", f"its whole log is {self._child.log}")
        death = Death(self._child.name, self._child.role, code, self._child.log)
        return UntrustedError(death.describe(), self._last_lines(), subject=death.name)

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

    def hang_up(self) -> None:
        """Close the channel, which ends the process."""
        self._child.end_expected = True
        self._listener.cancel()
        self._stop_watching()
        self._writer.close()

    async def close(self) -> None:
        """Hang up, and wait until the process has ended."""
        self.hang_up()
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
    warm: Spawner | None = None,
) -> AsyncIterator[Driver]:
    """Run a load process, or several, for the length of a scope. They warm up at once; ``Driver.start`` sends the URL.

    Args:
        scenario_path: a scenario, or any locustfile.
        spool: the directory for the records, with a subdirectory for each of several workers; created if missing.
        log: the file for the output; a worker's has its name in it.
        supervisor: starts and ends them, where they run; ``warm``, if given, starts the first (``start_warm_load``).
        seed: for the arrivals, the waiting times and the write ids.
        processes: how many there are.
        callbacks: called with their reports.

    Raises:
        EnvironmentLacksError: they cannot be started.
        UsageError: there are fewer sessions than workers.
    """
    with Reservation() as reserved:
        place = find_place(scenario_path, spool, processes, supervisor.scratch, reserved.port)
        commands = DriverCommands(place, LoadPlan.from_load(arm.load), processes, log, seed)
        child, channel = await (warm or supervisor).spawn_with_channel(commands.first(), CHANNEL)
        reader, writer = await asyncio.open_connection(sock=channel, limit=_MAX_LINE_BYTES)
        driver = Driver(arm, child, reader, writer, processes=processes, callbacks=callbacks, spool=spool)
        try:
            workers = commands.workers(supervisor.address(child.name, child.role))
            for worker in await asyncio.gather(*map(supervisor.spawn, workers)):
                driver.watch(worker)
            yield driver
        finally:
            await driver.close()


async def start_warm_load(supervisor: ProcessSupervisor) -> Spawner:
    """Start what imports Locust once for all loads of a run; it ends with the supervisor."""
    return await start_warm(supervisor, "driver", _MODULES, python_environment())
