"""The measurements of a run in order: the controls, then every arm of a scenario, into one run directory.

``ArmRunner.measure`` measures one arm, in nested scopes.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.common.errors import UntrustedError
from harness.results.run import ControlRecords, Run
from harness.runner.arm_runner import ArmRunner
from harness.runner.controls import ECHO, ECHO_USERS, calibrate
from harness.runner.driver import start_warm_load
from harness.runner.preflight import require_running
from harness.runner.progress import Progress
from harness.scenario.arm import Arm
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
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
    access: ClusterAccess = DEFAULT_ACCESS,
    first_measured: Callable[[str], None] = lambda design: None,
) -> None:
    """Run the calibration, then round by round the echo and every arm of a scenario, in interleaved order.

    ``users`` is the file that defines their behaviour, ``repeat`` the number of rounds. The arms are driven by
    ``drivers``, the controls by one process where those are. ``first_measured`` gets the first design once its arms are
    measured, between two loads. If the measurement of an arm is aborted, its records are kept; the next arm begins.

    Raises:
        HarnessError: the environment lacks something, or the run directory cannot be written.
    """
    await require_running(scenario.designs)
    async with (
        start_supervisor(into.plan.run) as supervisor,
        open_backend(backend, supervisor, into.plan.run, access) as opened_backend,
    ):
        warm = None if drivers.inside else await start_warm_load(supervisor)
        controls = ArmRunner(opened_backend, supervisor, into.plan.seed, progress, warm, drivers.controls)
        arms, index, total = replace(controls, drivers=drivers), itertools.count(), len(into.plan.arms)
        pair, measured = sum(arm.design == scenario.designs[0] for arm in scenario.arms()), itertools.count(1)
        progress.stage("checking the judge against known bugs")
        into.keep_controls(ControlRecords(calibration=await calibrate(controls, into)))
        for number in range(1, repeat + 1):
            progress.stage("measuring a service that does nothing, the floor under every latency")
            await _measure(controls, ECHO, ECHO_USERS, into, number)
            for arm in scenario.round(number, repeat):
                progress.arm_started(arm.design.name, arm.name, next(index), total, arm.seconds, warmup=arm.warmup)
                progress.arm_ended(await _measure(arms, arm, users, into, number))
                if next(measured) == pair:
                    await asyncio.to_thread(first_measured, arm.design.name)


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
