"""The harness's side of the load: starts the load process and speaks to it over the control channel."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
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
from harness.load.control.plan import CHANNEL, LoadPlan, WorkerConfig, environment
from harness.observations.samples import Snapshot
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, Address, DriverProcesses

AHEAD_NS = 50_000_000
#: Beyond that, for the start to reach the workers.
AHEAD_OF_WORKERS_NS = 450_000_000
READY_TIMEOUT_S = 60.0
#: For whoever starts workers elsewhere.
WORKERS_TIMEOUT_S = 600.0
#: Beyond its duration the load has this long to end what is under way.
STOP_TIMEOUT_S = 20.0
SWEEP_TIMEOUT_S = 180.0
#: For the records of workers elsewhere to come over.
UPLOAD_TIMEOUT_S = 1200.0
SWEEP_RATE = 2000.0
EXIT_TIMEOUT_S = 5.0
ANYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104 - what a master is bound to by the user's own wish
_MAX_LINE_BYTES = 1 << 20
_ERRORS: dict[int, type[HarnessError]] = {
    kind.code: kind for kind in (UsageError, UntrustedError, EnvironmentLacksError)
}


@dataclass(frozen=True)
class LoadCallbacks:
    """Who hears what the load says: a snapshot about every 200 ms; a worker that takes part, or is lost."""

    snapshot: Callable[[Snapshot], None] = lambda snapshot: None
    joined: Callable[[Joined], None] = lambda joined: None
    lost: Callable[[WorkerLost], None] = lambda lost: None


#: Nobody.
NO_CALLBACKS = LoadCallbacks()


class Driver:
    """One load process, or the master of several: ``ready``, ``start``, ``until_done``, ``sweep``, in this order."""

    def __init__(
        self,
        arm: Arm,
        child: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        driving: DriverProcesses,
        ears: LoadCallbacks,
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.sessions = 0  # swept
        self._load = arm.load
        self._driving = driving
        self._child = child
        self._workers: dict[str, Child] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._reader = reader
        self._writer = writer
        self._ears = ears
        self._said: dict[type[ControlEvent], asyncio.Event] = {
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
        """The workers of this machine that live, by their names."""
        return {name: child.pid for name, child in self._workers.items() if child.alive}

    def watch(self, worker: Child) -> None:
        """Look after a worker of this machine: one that dies is not the end of the load."""
        worker.end_expected = True
        self._workers[worker.name] = worker
        self._watchers.append(asyncio.create_task(self._until_gone(worker)))

    async def _until_gone(self, worker: Child) -> None:
        code = await worker.wait()
        self._tell(WorkerExited(worker.name, f"its process ended by itself (exit code {code}), see {worker.log}"))

    async def ready(self) -> None:
        """Wait until its users are there.

        Raises:
            UsageError: the scenario does not load there.
            UntrustedError: it ended, or took too long.
        """
        await self._heard(Ready, WORKERS_TIMEOUT_S if self._driving.elsewhere else READY_TIMEOUT_S)

    def start(self, url: str) -> int:
        """Begin the load on ``url`` a little ahead; returns T0 (CLOCK_MONOTONIC, ns)."""
        t0 = time.monotonic_ns() + AHEAD_NS + (AHEAD_OF_WORKERS_NS if self._driving.workers else 0)
        self._tell(StartLoad(t0, parse_seconds(self._load.duration), parse_seconds(self._load.warmup), url))
        return t0

    def booting(self, replica: str, boot: str) -> None:
        """Tell the boot id of a replica that does not say it itself, before it starts."""
        self._tell(ReplicaStarting(replica, boot))

    def stop(self) -> None:
        """End the load before its time."""
        self._tell(StopLoad())

    async def until_done(self) -> None:
        """Wait until the last request has ended.

        Raises:
            UntrustedError: it ended by itself.
            EnvironmentLacksError: it could not go on, such as on a full disk.
        """
        await self._heard(Stopped, parse_seconds(self._load.duration) + STOP_TIMEOUT_S)

    async def sweep(self) -> int:
        """Have every session read once more; returns how many there are. The spool is complete then.

        Raises:
            As ``until_done``.
        """
        self._tell(StartSweep(SWEEP_RATE))
        await self._heard(Swept, SWEEP_TIMEOUT_S + (UPLOAD_TIMEOUT_S if self._driving.elsewhere else 0))
        return self.sessions

    def _tell(self, deed: ControlCommand) -> None:
        self._writer.write(encode(deed))

    async def _heard(self, kind: type[ControlEvent], within: float) -> None:
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
                self._hear(decode_event(line))
        except (OSError, ValueError, ChannelError) as problem:
            self._fail(UntrustedError(f"the load process talks nonsense: {problem}", self._last_lines()))
        await self._ended()

    def _hear(self, word: ControlEvent) -> None:
        if isinstance(word, Snapshot):
            self.snapshots.append(word)
            self._ears.snapshot(word)
        elif isinstance(word, Joined):
            self._ears.joined(word)
        elif isinstance(word, WorkerLost):
            self._ears.lost(word)
        elif isinstance(word, Broken):
            self._fail(_ERRORS.get(word.code, HarnessError)(word.message, word.hint))
        else:
            if isinstance(word, Swept):
                self.sessions = word.sessions
            self._said[type(word)].set()

    async def _ended(self) -> None:
        code: int | str = "still running"
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self._child.wait(), EXIT_TIMEOUT_S)
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
        self._child.end_expected = True
        for task in (self._listener, *self._watchers):
            task.cancel()
        self._writer.close()
        await asyncio.gather(*(_left(child) for child in (self._child, *self._workers.values())))


async def _left(child: Child) -> None:
    """Wait for a process that is about to end; not for long."""
    try:
        await asyncio.wait_for(child.wait(), EXIT_TIMEOUT_S)
    except TimeoutError:
        await child.stop(1.0)


@asynccontextmanager
async def start_driver(
    arm: Arm,
    scenario_path: Path,
    *,
    spool: Path,
    log: Path,
    supervisor: Supervisor,
    seed: int,
    by: DriverProcesses = ONE_PROCESS,
    ears: LoadCallbacks = NO_CALLBACKS,
) -> AsyncIterator[Driver]:
    """A load process, or several, for the length of a scope. They warm up at once; the URL comes with ``Driver.start``.

    Args:
        arm: whose load it is.
        scenario_path: a scenario, or any locustfile.
        spool: the directory for the records, with one inside for each of several workers; made where it is not there.
        log: the file for the output; a worker's has its name in it.
        supervisor: starts and ends them.
        seed: of the arrivals, the waiting times and the write ids.
        by: how many there are.
        ears: who hears what they say.

    Raises:
        EnvironmentLacksError: it cannot be started.
        UsageError: there are fewer sessions than workers.
    """
    with Reservation() as reserved:
        address = _free(by.bind) if by.bind else Address(LOOPBACK, reserved.port)
        launch = _Launch(scenario_path, LoadPlan.from_load(arm.load), by, address, spool, log, seed)
        ours, theirs = socket.socketpair()
        try:
            child = await supervisor.spawn(launch.first(), fds={CHANNEL: theirs.fileno()})
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=_MAX_LINE_BYTES)
        driver = Driver(arm, child, reader, writer, driving=by, ears=ears)
        try:
            for command in launch.workers():
                driver.watch(await supervisor.spawn(command))
            yield driver
        finally:
            await driver.leave()


def _free(address: Address) -> Address:
    """The address, on which nobody listens; of what listened there before, connections may still be about to end."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("" if address.host in ANYWHERE else address.host, address.port))
        except OSError as problem:
            what = f"no master can listen on {address}: {problem.strerror}"
            raise EnvironmentLacksError(what, "choose another --master-bind") from problem
    return address


@dataclass(frozen=True)
class _Launch:
    """How the processes of one load are started."""

    scenario: Path
    plan: LoadPlan
    by: DriverProcesses
    address: Address
    spool: Path
    log: Path
    seed: int

    def first(self) -> ProcessSpec:
        """The one that has the channel: it drives by itself, or is the master."""
        users = str(self.plan.users_for(self.by.workers))
        options = ["--headless", "--only-summary", "-u", users, "-r", users, "--exit-code-on-error", "0"]
        if self.by.workers:
            bind = ("--master-bind-host", self.address.host, "--master-bind-port", str(self.address.port))
            options += ["--master", "--expect-workers", str(self.by.workers), *bind]
        env = environment(self.spool, self.plan, self.seed, self.by)
        return ProcessSpec(
            "load", "driver", (*_locust(self._files), *options), self.log, {**env, **python_environment()}
        )

    def workers(self) -> Iterator[ProcessSpec]:
        """Those of this machine under a master."""
        for nth in range(1, self.by.here + 1) if self.by.workers else ():
            recruit, log = WorkerConfig(self.spool / f"worker-{nth}", nth), self.log.with_stem(f"{self.log.stem}-{nth}")
            yield worker_command(f"worker-{nth}", recruit, self._files, self.address, log)

    @property
    def _files(self) -> str:
        return f"{self.scenario},{Path(__file__).parents[1] / 'load' / 'locustfiles' / 'adapter.py'}"


def worker_command(name: str, recruit: WorkerConfig, files: str, master: Address, log: Path) -> ProcessSpec:
    """A worker of a master; with ``-`` for the files it is given those by the master."""
    host = LOOPBACK if master.host in ANYWHERE else master.host
    options = ("--worker", "--master-host", host, "--master-port", str(master.port), "--exit-code-on-error", "0")
    return ProcessSpec(
        name, "driver", (*_locust(files), *options), log, {**recruit.environment(), **python_environment()}
    )


def _locust(files: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "locust", "-f", files)


def python_environment() -> dict[str, str]:
    """Where this harness is, before what the environment says: the load process imports the same one."""
    ours = str(Path(__file__).parents[2])
    theirs = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{ours}{os.pathsep}{theirs}" if theirs else ours, "PYTHONUNBUFFERED": "1"}
