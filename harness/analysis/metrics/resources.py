"""TODO: harness.analysis.metrics.resources."""

from collections.abc import Sequence

import numpy as np

from harness.observations.samples import Sample
from harness.results.arm_files import ArmObservations
from harness.results.summary import (
    DriverFigures,
    Resources,
)

#: A driver busier than this, or whose loop is later than this, cannot be trusted with times.
SATURATED_CPU = 0.9


SATURATED_LAG_MS = 100.0


def _resources(observed: ArmObservations, start: float, end: float, requests: int) -> Resources:
    samples = [sample for sample in observed.samples if start <= sample.t <= end]
    cpu = {role: _mean_of_role(samples, role, "cpu") for role in ("driver", "replica", "balancer", "store")}
    memory = [_mean_of_role(samples, role, "memory_mb") for role in ("replica", "store")]
    serving = [value for role, value in cpu.items() if role != "driver" and value is not None]
    return Resources(
        driver_cpu=cpu["driver"],
        replica_cpu=cpu["replica"],
        balancer_cpu=cpu["balancer"],
        store_cpu=cpu["store"],
        memory_mb=sum(value for value in memory if value is not None) if any(memory) else None,
        cpu_ms_per_request=round(1e3 * sum(serving) * (end - start) / requests, 4) if serving and requests else None,
        processes=len({(one.role, one.name) for one in samples if one.role not in ("driver", "harness")}) or None,
        ports=_brought_up(observed, "ports"),
        config_lines=_brought_up(observed, "config_lines"),
    )


def _brought_up(observed: ArmObservations, what: str) -> int | None:
    """What was counted once all parts were up."""
    return next((int(e.detail[what] or 0) for e in observed.events if e.kind == "brought_up"), None)


def _mean_of_role(samples: Sequence[Sample], role: str, what: str) -> float | None:
    """The mean over time of a role's sum over its parts."""
    by_time: dict[float, float] = {}
    for sample in samples:
        if sample.role == role:
            by_time[sample.t] = by_time.get(sample.t, 0.0) + getattr(sample, what)
    return round(sum(by_time.values()) / len(by_time), 4) if by_time else None


def _driver_figures(observed: ArmObservations) -> DriverFigures:
    own = observed.driver
    cpu, lag = _cpu_of_drivers(observed), own.get("lag_p99_ms")
    busiest, core = max(cpu, default=None), own.get("core")
    saturated = None
    if busiest is not None and lag is not None:
        saturated = busiest > SATURATED_CPU or float(lag) > SATURATED_LAG_MS
    return DriverFigures(
        saturated,
        None if lag is None else float(lag),
        _whole(own.get("late")),
        _whole(own.get("dropped")),
        None if busiest is None else round(busiest, 2),
        None if core is None else str(core),
    )


def _cpu_of_drivers(observed: ArmObservations) -> list[float]:
    """The median of what each load process used, in cores: as seen from outside, and by what it says itself."""
    used: dict[str, list[float]] = {}
    for sample in observed.samples:
        if sample.role == "driver" and sample.t >= observed.warmup:
            used.setdefault(sample.name, []).append(sample.cpu)
    own = observed.driver.get("cpu_median")
    return [float(np.median(values)) for values in used.values()] + ([] if own is None else [float(own)])


def _whole(value: float | str | None) -> int | None:
    return None if value is None else int(value)
