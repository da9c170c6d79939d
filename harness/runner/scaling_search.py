"""``harness scale``: the capacity of every design at every size, and the law that fits it."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.metrics.fold import fold
from harness.analysis.scaling.capacity import Capacity, Objectives, Trial, search_capacity
from harness.analysis.scaling.scaling_run import Size, keep_sizes
from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.durations import format_duration
from harness.common.errors import UsageError
from harness.observations.load_requests import LoadRequests
from harness.observations.samples import Sample
from harness.results.arm_files import ArmObservations
from harness.results.run import Run
from harness.runner.arm_runner import ArmRunner
from harness.runner.arm_state import OVERHEAD_S
from harness.runner.driver import start_warm_load
from harness.runner.progress import Progress
from harness.scenario.arm import Arm
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
from harness.scenario.design import Design
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Requests

#: A trial lasts until about this many requests have been offered, between these bounds.
_REQUESTS = 400
_MIN_TRIAL_S, _MAX_TRIAL_S = 3.5, 20.0
_WARMUP = "500ms"
#: The first demand if nothing is known: requests per second and replica.
_FIRST_DEMAND = 400.0
#: The first demand otherwise, as a share of the capacity expected from theory or from the last size.
_FIRST_SHARE = 0.9
#: How many trials a search usually takes; only the time that is left is estimated from it.
TYPICAL_TRIALS = 9


@dataclass(frozen=True)
class ScalePlan:
    """The parameters of the search: the sizes, and the SLOs that a demand must meet."""

    sizes: tuple[int, ...]
    objectives: Objectives

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1 or len(set(self.sizes)) < len(self.sizes):
            raise UsageError(f"sizes are different numbers from 1, not {self.sizes}", "--replicas 1,2,4,8")


async def scale(
    scenario: Scenario,
    users: Path,
    into: Run,
    plan: ScalePlan,
    progress: Progress,
    *,
    drivers: DriverProcesses = ONE_PROCESS,
    backend: str = "process",
    access: ClusterAccess = DEFAULT_ACCESS,
) -> None:
    """Find the capacity of every design at every size, and save the results after each search.

    All are loaded by ``drivers``.

    Raises:
        HarnessError: the environment lacks something, or the run directory cannot be written.
    """
    searches_planned = len(plan.sizes) * len(scenario.designs)
    usual = searches_planned * TYPICAL_TRIALS * (_MIN_TRIAL_S + OVERHEAD_S)
    progress.say(f"{searches_planned} searches, about {format_duration(usual)}")
    async with (
        start_supervisor(into.plan.run) as supervisor,
        open_backend(backend, supervisor, into.plan.run, access) as opened_backend,
    ):
        warm = None if drivers.inside else await start_warm_load(supervisor)
        runner = ArmRunner(opened_backend, supervisor, into.plan.seed, progress, warm, drivers)
        searches = itertools.count()
        for design in scenario.designs:
            done: list[Size] = []
            for size in sorted(plan.sizes):
                sized = replace(design, replicas=size)
                search = _Search(runner, into, users, sized, next(searches), searches_planned)
                done.append(Size(size, await search.run(_first_demand(sized, done), plan.objectives)))
                keep_sizes(into, design.name, done, plan.objectives)
                progress.arm_ended(f"{design.name} x {size}: {done[-1]}")


def _first_demand(design: Design, done: Sequence[Size]) -> float:
    """The starting demand: near the limit of the emulated service time, else the last size's capacity, scaled up."""
    emulated = slots_capacity(design)
    if emulated is not None:
        return _FIRST_SHARE * emulated
    last = done[-1] if done else None
    if last is None or not last.capacity.held:
        return _FIRST_DEMAND * (design.replicas or 1)
    return _FIRST_SHARE * last.capacity.held * (design.replicas or 1) / last.replicas


def slots_capacity(design: Design) -> float | None:
    """The requests per second that the emulated service time allows; None if none is emulated."""
    per_replica = design.target.capacity if isinstance(design.target, BuiltIn) else None
    return None if per_replica is None else (design.replicas or 1) * per_replica


@dataclass
class _Search:
    """The search for one size, on one topology."""

    runner: ArmRunner
    into: Run
    users: Path
    design: Design
    index: int  # among all searches, from 0
    total: int  # how many searches there are
    trials: int = 0

    async def run(self, first_demand: float, objectives: Objectives) -> Capacity:
        clock, logs = Clock(), self.into.arm(self.design.name, f"x{self.design.replicas}").logs
        async with self.runner.backend.topology(self.design, logs, clock) as topology:
            return await search_capacity(first_demand, lambda demand: self._trial(topology, clock, demand), objectives)

    async def _trial(self, topology: Topology, clock: Clock, demand: float) -> Trial:
        self.trials += 1
        length = min(_MAX_TRIAL_S, max(_MIN_TRIAL_S, _REQUESTS / demand))
        load = Requests(rate=demand, sessions=max(50, round(demand)), duration=f"{length:.1f}s", warmup=_WARMUP)
        arm = Arm(self.design, f"x{self.design.replicas}", load, ())
        files = self.into.arm(self.design.name, arm.name, self.trials)
        name = f"{self.design.name} x {self.design.replicas} at {demand:,.0f}/s"
        expected = (TYPICAL_TRIALS - self.trials + 1) * (length + OVERHEAD_S)
        self.runner.progress.trial_started(name, self.index, self.total, length, expected)
        async with self.runner.record(arm, files, clock) as recorder:
            await self.runner.run_load(recorder, self.users, topology)
        return trial(
            files.read_observations(self.design.name, arm.name, (arm.warmup, arm.seconds)),
            self.design,
            demand,
        )


def trial(observed: ArmObservations, design: Design, demand: float) -> Trial:
    """The outcome of offering one demand."""
    arm = fold(observed)
    length = observed.duration - observed.warmup
    answers = LoadRequests.select(observed.requests, ("t_end", "outcome"))
    # Answered ok within the measured time, whenever they were meant to start.
    answered = answers.ok & (answers.end >= observed.warmup) & (answers.end < observed.duration)
    offered, achieved = arm.requests.attempted / length, int(answered.sum()) / length
    bad = arm.requests.failed + arm.requests.in_doubt
    return Trial(
        demand=demand,
        offered=round(offered, 2),
        achieved=round(achieved, 2),
        p99_ms=arm.latency_ms.p99,
        errors=bad / max(1, arm.requests.attempted),
        driver_saturated=bool(arm.driver.saturated),
        use=utilisation(observed, design, achieved),
    )


def utilisation(observed: ArmObservations, design: Design, achieved: float) -> dict[str, float]:
    """How busy each resource was, from 0 to 1. A single-threaded part can use one core, the host all cores."""
    samples = [sample for sample in observed.samples if observed.warmup <= sample.t <= observed.duration]
    use = {f"{role} cpu": _busiest(samples, role) for role in ("replica", "balancer", "store")}
    use["driver"] = _busiest(samples, "driver")
    # All cores of the machine, and all programs on it, count: those of others leave the design less.
    use["host"] = _busiest(samples, "machine") / (os.cpu_count() or 1)
    slots = slots_capacity(design)
    if slots is not None:
        use["replica slots"] = achieved / slots
    return {name: round(value, 3) for name, value in use.items() if value > 0}


def _busiest(samples: Sequence[Sample], role: str) -> float:
    """The mean over time of the busiest part of a role, in cores."""
    by_name: dict[str, list[float]] = {}
    for sample in samples:
        if sample.role == role:
            by_name.setdefault(sample.name, []).append(sample.cpu)
    return max((sum(cpu) / len(cpu) for cpu in by_name.values()), default=0.0)
