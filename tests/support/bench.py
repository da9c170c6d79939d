"""Runs one arm on the real bench, without the controls and the report, and returns what its sessions did."""

from pathlib import Path

from harness.analysis.metrics.fold import fold
from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.faults import Kill, Restart
from harness.results.arm_files import ArmFiles, ArmObservations
from harness.results.summary import ArmFigures as Figures
from harness.runner.arm_runner import ArmRunner
from harness.runner.progress import Silent
from harness.scenario.arm import Arm
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
from harness.scenario.design import Design
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.faults import At
from harness.scenario.workload import Sessions

#: Late enough that every session has written before, even if the machine stalls for a second.
KILL_AND_RESTART = (At("1800ms", Kill(replica=1)), At("2200ms", Restart(replica=1)))


async def benched(
    design: Design,
    users: Path,
    faults: tuple[At, ...],
    into: Path,
    duration: str,
    *,
    backend: str = "process",
    drivers: DriverProcesses = ONE_PROCESS,
    access: ClusterAccess = DEFAULT_ACCESS,
) -> tuple[ArmObservations, Figures]:
    """What was observed, and its figures."""
    arm = Arm(design, "fault", Sessions(concurrent=30, duration=duration, warmup="200ms"), faults)
    files = ArmFiles(into / "observations" / "arm")
    async with start_supervisor("benched") as supervisor, open_backend(backend, supervisor, "benched", access) as place:
        bench = ArmRunner(place, supervisor, 1, Silent(), drivers=drivers)
        async with bench.record(arm, files) as recorder:
            await bench.measure(recorder, users)
    seen = files.read_observations(design.name, "fault", (arm.warmup, arm.seconds))
    return seen, fold(seen)
