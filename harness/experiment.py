"""The story of a run, top to bottom: the controls, then every arm of a scenario, into one run directory."""

import secrets
from pathlib import Path

from harness.bench import Bench
from harness.controls import calibration, echo
from harness.errors import UntrustedError
from harness.observations import Event
from harness.progress import Progress
from harness.runs import Run
from harness.scenario import Arm, Scenario
from harness.supervisor import supervised
from harness.topology.process import ProcessBackend


async def run(scenario: Scenario, users: Path, into: Run, repeat: int, progress: Progress) -> None:
    """Run the controls and every arm of a scenario, in interleaved order.

    ``users`` is the file of their behaviour. An arm whose measurement breaks is kept as far as it came;
    the others go on.

    Raises:
        HarnessError: the environment lacks something, or nothing can be written any more.
    """
    async with supervised(into.plan.run) as supervisor:
        backend = ProcessBackend(supervisor, nonce=into.plan.run, secret=secrets.token_hex(16))
        bench = Bench(backend, supervisor, into.plan.seed, progress)
        into.keep_controls({"echo": await echo(bench, into), "calibration": await calibration(bench, into)})
        for index, (arm, nth) in enumerate(scenario.rounds(repeat)):
            progress.arm_started(arm.design.name, arm.name, index, len(into.plan.arms), arm.seconds)
            await _measured(bench, arm, users, into, nth)
            progress.arm_ended(f"{arm.design.name} {arm.name}")


async def _measured(bench: Bench, arm: Arm, users: Path, into: Run, nth: int) -> None:
    async with bench.recording(arm, into.arm(arm.design.name, arm.name, nth)) as told:
        try:
            await bench.measure(told, users)
        except UntrustedError as problem:
            told.event(Event(told.now, "part_died", problem.subject, {"why": problem.message}))
