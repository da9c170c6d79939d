"""The measurements of a run in order: the controls, then every arm of a scenario, into one run directory.

``ArmRunner.measure`` measures one arm, in nested scopes.
"""

import itertools
from dataclasses import replace
from pathlib import Path

from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.common.errors import UntrustedError
from harness.results.run import Run
from harness.runner.arm_runner import ArmRunner
from harness.runner.controls import ECHO, ECHO_USERS, calibrate
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
    drivers: DriverProcesses = ONE_PROCESS,
    backend: str = "process",
) -> None:
    """Run the calibration, then round by round the echo and every arm of a scenario, in interleaved order.

    ``users`` is the file that defines their behaviour, ``repeat`` the number of rounds. The arms are driven by
    ``drivers``, the controls by one process on this machine. If the measurement of an arm is aborted, its records are
    kept, and the next arm begins.

    Raises:
        HarnessError: the environment lacks something, or the run directory cannot be written.
    """
    async with (
        start_supervisor(into.plan.run) as supervisor,
        open_backend(backend, supervisor, into.plan.run) as opened_backend,
    ):
        controls = ArmRunner(opened_backend, supervisor, into.plan.seed, progress)
        arms, index = replace(controls, drivers=drivers), itertools.count()
        into.keep_controls({"calibration": await calibrate(controls, into)})
        for number in range(1, repeat + 1):
            await _measure(controls, ECHO, ECHO_USERS, into, number)
            for arm in scenario.round(number, repeat):
                progress.arm_started(
                    arm.design.name, arm.name, next(index), len(into.plan.arms), arm.seconds, warmup=arm.warmup
                )
                progress.arm_ended(await _measure(arms, arm, users, into, number))


async def _measure(runner: ArmRunner, arm: Arm, users: Path, into: Run, number: int) -> str:
    """Measure one arm in the round of this number, and keep its records even if the measurement is aborted.

    Returns a line about its outcome.
    """
    async with runner.record(arm, into.arm(arm.design.name, arm.name, number)) as recorder:
        try:
            await runner.measure(recorder, users)
        except UntrustedError as problem:
            recorder.record_failure(problem)
    return recorder.outcome
