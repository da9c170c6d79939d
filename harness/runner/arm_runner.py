"""The Bench: measures one arm. Nested scopes do the cleaning up, whatever ends the arm."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import Death, Supervisor
from harness.cluster.topology import Topology
from harness.cluster.watch.footprint import measure_footprint
from harness.cluster.watch.member_states import watch_member_states
from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.faults.timeline import timeline
from harness.load.control.channel import Joined, WorkerLost
from harness.observations.events import Event, EventKind
from harness.observations.samples import Snapshot
from harness.results.arm_files import ArmFiles
from harness.runner.driver import Driver, LoadCallbacks, start_driver
from harness.runner.progress import Progress
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses

Afterwards = Callable[[Topology], Awaitable[None]]


@dataclass
class ArmRecorder:
    """What one arm has told so far."""

    arm: Arm
    files: ArmFiles
    progress: Progress
    clock: Clock = field(default_factory=Clock)
    events: list[Event] = field(default_factory=list)
    topology: Topology | None = None  # once it is up; what it told stays readable after it went down
    seen: int = 0  # its samples that belong to loads before this one
    last: Snapshot | None = None
    complete: bool = False

    @property
    def now(self) -> float:
        """Seconds from T0; 0 before it."""
        return self.clock.seconds() if self.clock.started else 0.0

    def up(self, topology: Topology) -> None:
        """Note that the parts are there."""
        self.topology = topology
        for replica in topology.replicas:
            self.event(Event(0.0, EventKind.REPLICA_READY, replica.name, {"boot": replica.boot}))

    @property
    def line(self) -> str:
        """What came of it, as far as the load process tells."""
        name = f"{self.arm.design.name}, {self.arm.name} arm"
        if self.last is None:
            return f"{name}: no load"
        share = f"{self.last.sessions_lost:,} of {self.last.sessions:,} sessions lost before the final read"
        return f"{name}: {self.last.ok:,} of {self.last.sent:,} requests ok, {share}"

    def event(self, event: Event) -> None:
        """Note an event, and show it."""
        self.events.append(event)
        self.progress.event(event)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Note what the load process says of itself, and show it."""
        self.last = snapshot
        self.progress.snapshot(snapshot)

    def joined(self, worker: Joined) -> None:
        """Note that a worker takes part."""
        error = worker.clock_error_ms
        self.event(
            Event(self.now, EventKind.WORKER_JOINED, worker.worker, {"host": worker.host, "clock_error_ms": error})
        )

    def lost(self, worker: WorkerLost) -> None:
        """Note that a worker is gone; the others go on."""
        host, why, sessions = worker.host, worker.why, worker.sessions
        self.event(
            Event(self.now, EventKind.WORKER_LOST, worker.worker, {"host": host, "why": why, "sessions": sessions})
        )

    def keep(self) -> None:
        """Write all of it down."""
        facts: dict[str, Any] = {
            "warmup": self.arm.warmup,
            "duration": self.arm.seconds,
            "complete": self.complete,
            "driver": asdict(self.last) if self.last else {},
        }
        samples = self.topology.samples[self.seen :] if self.topology else ()
        refusals = self.topology.balancer.refusals() if self.topology else ()
        self.files.keep(self.events, samples, {refusal.op for refusal in refusals}, facts)


@dataclass(frozen=True)
class ArmRunner:
    """What every arm is measured with."""

    backend: ProcessBackend
    supervisor: Supervisor
    seed: int
    progress: Progress
    by: DriverProcesses = ONE_PROCESS

    @asynccontextmanager
    async def recording(self, arm: Arm, files: ArmFiles, clock: Clock | None = None) -> AsyncIterator[ArmRecorder]:
        """What the arm tells is kept at the end of the scope, whatever ended it."""
        files.create()
        told = ArmRecorder(arm, files, self.progress, clock or Clock())
        try:
            yield told
        finally:
            told.keep()

    async def measure(self, told: ArmRecorder, users: Path, afterwards: Afterwards | None = None) -> None:
        """Bring it up, drive it, break it, let it settle, and read every session a last time.

        Raises:
            UntrustedError: a part died by itself, a fault did not land, or the steady state did not return.
        """
        await self._unless_a_part_dies(self._measure(told, users, afterwards), told.clock)

    async def _measure(self, told: ArmRecorder, users: Path, afterwards: Afterwards | None) -> None:
        arm = told.arm
        async with (
            self._load(told, users) as driver,
            self.backend.topology(arm.design, told.files.logs, told.clock, on_start=driver.booting) as topology,
        ):
            told.up(topology)
            told.event(
                Event(0.0, EventKind.BROUGHT_UP, arm.design.name, asdict(measure_footprint(self.supervisor.children)))
            )
            await driver.ready()
            told.clock.t0_ns = driver.start(topology.url)
            async with (
                watch_member_states(topology.balancer, told.clock, told.event),
                timeline(arm.faults, topology, told.clock, told.event),
            ):
                await driver.until_done()
            await topology.wait_until_healthy()
            await driver.sweep()
            if afterwards is not None:
                await afterwards(topology)
            told.complete = True

    def _load(self, told: ArmRecorder, users: Path) -> AbstractAsyncContextManager[Driver]:
        files = told.files
        return start_driver(
            told.arm,
            users,
            spool=files.spool,
            log=files.logs / "driver.log",
            supervisor=self.supervisor,
            seed=self.seed,
            by=self.by,
            ears=LoadCallbacks(told.snapshot, told.joined, told.lost),
        )

    async def offer(self, told: ArmRecorder, users: Path, topology: Topology) -> None:
        """One load on a topology that is up; its sessions are not judged.

        Raises:
            UntrustedError: a part died by itself.
        """
        told.topology = topology
        await self._unless_a_part_dies(self._offer(told, users, topology), told.clock)

    async def _offer(self, told: ArmRecorder, users: Path, topology: Topology) -> None:
        async with self._load(told, users) as driver:
            await driver.ready()
            told.clock.t0_ns = driver.start(topology.url)
            told.seen = len(topology.samples)
            await driver.until_done()
            told.complete = True

    async def _unless_a_part_dies(self, work: Coroutine[Any, Any, None], clock: Clock) -> None:
        working = asyncio.create_task(work)
        dying = asyncio.create_task(self._death(clock))
        try:
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise _part_died_error(dying.result())
            working.result()
        finally:
            for task in (working, dying):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(task, return_exceptions=True)

    async def _death(self, clock: Clock) -> Death:
        """The first death under load; who starts a part tells of one that dies before."""
        while True:
            death = await self.supervisor.deaths.get()
            if clock.started:
                return death


def _part_died_error(death: Death) -> UntrustedError:
    tail = death.log.read_text(errors="replace").splitlines()[-5:] if death.log else []
    last = f"; its log ends: {' | '.join(tail)}" if tail else "; its log is empty"
    return UntrustedError(f"{death.name} died by itself (exit {death.code}){last}", subject=death.name)
