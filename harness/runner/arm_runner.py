"""Measures one arm. Nested scopes clean up however the arm ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import Death, Spawner, Supervisor
from harness.cluster.topology import Topology
from harness.cluster.watch.footprint import measure_footprint
from harness.cluster.watch.member_states import watch_member_states
from harness.common.clock import Clock
from harness.common.errors import HarnessError, UntrustedError
from harness.faults.timeline import timeline
from harness.observations.events import Event, EventKind
from harness.results.arm_files import ArmFiles
from harness.runner.arm_recorder import ArmRecorder
from harness.runner.driver import Driver, LoadCallbacks, start_driver
from harness.runner.progress import Progress
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses

Afterwards = Callable[[Topology], Awaitable[None]]


@dataclass(frozen=True)
class ArmRunner:
    """The parts that every arm is measured with."""

    backend: ProcessBackend
    supervisor: Supervisor
    seed: int
    progress: Progress
    warm_load: Spawner | None = None
    drivers: DriverProcesses = ONE_PROCESS

    @asynccontextmanager
    async def record(self, arm: Arm, files: ArmFiles, clock: Clock | None = None) -> AsyncIterator[ArmRecorder]:
        """A recorder for the length of a scope; it is saved at the end, however that is reached."""
        files.create()
        recorder = ArmRecorder(arm, files, self.progress, clock or Clock())
        try:
            yield recorder
        finally:
            recorder.save()

    async def measure(self, recorder: ArmRecorder, users: Path, afterwards: Afterwards | None = None) -> None:
        """Bring up the arm's topology, load it, inject the faults, let it settle, and read every session a last time.

        ``afterwards`` is awaited while the topology is still up.

        Raises:
            UntrustedError: a part died on its own, a fault did not take effect, or the topology did not settle.
        """
        await self._fail_if_a_part_dies(self._measure(recorder, users, afterwards), recorder.clock)

    async def _measure(self, recorder: ArmRecorder, users: Path, afterwards: Afterwards | None) -> None:
        arm, clock = recorder.arm, recorder.clock
        async with (
            self._driver(recorder, users) as driver,
            self.backend.topology(arm.design, recorder.files.logs, clock, on_start=driver.announce_replica) as topology,
        ):
            recorder.record_topology(topology)
            footprint = measure_footprint(self.supervisor.children)
            recorder.record_event(Event(0.0, EventKind.BROUGHT_UP, arm.design.name, asdict(footprint)))
            await driver.wait_until_ready()
            clock.t0_ns = driver.start(topology.url)
            async with (
                watch_member_states(topology.balancer, clock, recorder.record_event),
                timeline(arm.faults, topology, clock, recorder.record_event),
            ):
                await driver.wait_until_stopped()
            await topology.wait_until_healthy()
            await driver.sweep()
            if afterwards is not None:
                await afterwards(topology)
            recorder.complete = True
            driver.hang_up()  # it ends while the topology goes down

    async def run_load(self, recorder: ArmRecorder, users: Path, topology: Topology) -> None:
        """Put one load on a topology that is already up; its sessions are not judged.

        Raises:
            UntrustedError: a part died on its own.
        """
        recorder.topology = topology
        await self._fail_if_a_part_dies(self._run_load(recorder, users, topology), recorder.clock)

    async def _run_load(self, recorder: ArmRecorder, users: Path, topology: Topology) -> None:
        async with self._driver(recorder, users) as driver:
            await driver.wait_until_ready()
            recorder.clock.t0_ns = driver.start(topology.url)
            recorder.earlier_samples = len(topology.samples)
            await driver.wait_until_stopped()
            if self.drivers.uploads:
                await driver.sweep()  # the records come after the final reads
            recorder.complete = True

    def _driver(self, recorder: ArmRecorder, users: Path) -> AbstractAsyncContextManager[Driver]:
        files = recorder.files
        return start_driver(
            recorder.arm,
            users,
            spool=files.spool,
            log=files.logs / "driver.log",
            supervisor=self.backend.inside if self.drivers.inside else self.supervisor,
            seed=self.seed,
            processes=self.drivers,
            warm=self.warm_load,
            callbacks=LoadCallbacks(
                recorder.record_snapshot, recorder.record_worker_joined, recorder.record_worker_lost
            ),
        )

    async def _fail_if_a_part_dies(self, work: Coroutine[Any, Any, None], clock: Clock) -> None:
        working = asyncio.create_task(work)
        dying = asyncio.create_task(self._first_death(clock))
        try:
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                death = dying.result()
                raise UntrustedError(death.describe(), subject=death.name)
            working.result()
        finally:
            broken_off = not working.done()
            for task in (working, dying):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(task, return_exceptions=True)
            left = working.exception() if broken_off and not working.cancelled() else None
            if isinstance(left, HarnessError):  # why it was broken off is said elsewhere
                self.progress.say(f"while it ended: {left.message}")

    async def _first_death(self, clock: Clock) -> Death:
        """The first part that dies under load. Its starter reports an earlier death, the driver that of its process."""
        while True:
            death = await self.supervisor.deaths.get()
            if clock.started and death.role != "driver":
                return death
