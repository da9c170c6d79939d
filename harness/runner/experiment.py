"""The story of a run, top to bottom: the controls, then every arm of a scenario, into one run directory."""

from dataclasses import replace
from pathlib import Path

from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.common.errors import UntrustedError
from harness.observations.events import Event, EventKind
from harness.results.run import Run
from harness.runner.arm_runner import ArmRunner
from harness.runner.controls import ECHO, ECHO_USERS, calibration
from harness.runner.progress import Progress
from harness.scenario.arm import Arm
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.scenario import Scenario


async def run(
    scenario: Scenario,
    users: Path,
    into: Run,
    repeat: int,
    progress: Progress,
    *,
    by: DriverProcesses = ONE_PROCESS,
    backend: str = "process",
) -> None:
    """Run the calibration, then round by round the echo and every arm of a scenario, in interleaved order.

    ``users`` is the file of their behaviour; the arms are driven ``by`` so many processes, the controls by one of
    this machine. An arm whose measurement breaks is kept as far as it came;
    the others go on.

    Raises:
        HarnessError: the environment lacks something, or nothing can be written any more.
    """
    async with (
        start_supervisor(into.plan.run) as supervisor,
        open_backend(backend, supervisor, into.plan.run) as place,
    ):
        bench = ArmRunner(place, supervisor, into.plan.seed, progress)
        drivers = replace(bench, by=by)
        into.keep_controls({"calibration": await calibration(bench, into)})
        echoed = 0
        for index, (arm, nth) in enumerate(scenario.rounds(repeat)):
            if nth > echoed:
                await _measure_arm(bench, ECHO, ECHO_USERS, into, nth)
                echoed = nth
            total = len(into.plan.arms)
            progress.arm_started(arm.design.name, arm.name, index, total, arm.seconds, warmup=arm.warmup)
            progress.arm_ended(await _measure_arm(drivers, arm, users, into, nth))


async def _measure_arm(bench: ArmRunner, arm: Arm, users: Path, into: Run, nth: int) -> str:
    """Measure one arm, whatever becomes of it; a line on what came of it."""
    async with bench.recording(arm, into.arm(arm.design.name, arm.name, nth)) as told:
        try:
            await bench.measure(told, users)
        except UntrustedError as problem:
            kind = EventKind.PART_DIED if problem.subject else EventKind.BROKEN_OFF
            told.event(Event(told.now, kind, problem.subject or "the arm", {"why": problem.message}))
    return told.line
