"""What an arm used of the machine, and whether the load process kept up."""

from collections.abc import Iterable, Sequence

import numpy as np

from harness.observations.events import EventKind
from harness.observations.samples import Sample
from harness.results.arm_files import ArmObservations
from harness.results.summary import DriverFigures, Resources

#: A load process that uses more of a core than this, or whose loop is later than this, cannot be trusted with times.
SATURATED_CPU = 0.9
SATURATED_LAG_MS = 100.0
_OUTSIDE_DESIGN = ("driver", "harness")  # roles that are not part of the design


def compute_resources(observed: ArmObservations, start: float, end: float, requests: int) -> Resources:
    """Means over the measured time, from ``start`` to ``end`` in seconds; ``requests`` were attempted in it."""
    samples = [sample for sample in observed.samples if start <= sample.t <= end]
    cpu = {role: _average_role(samples, role, "cpu") for role in ("driver", "replica", "balancer", "store")}
    serving = _sum_known(value for role, value in cpu.items() if role != "driver")
    memory = _sum_known(_average_role(samples, role, "memory_mb") for role in ("replica", "store"))
    return Resources(
        driver_cpu=cpu["driver"],
        replica_cpu=cpu["replica"],
        balancer_cpu=cpu["balancer"],
        store_cpu=cpu["store"],
        memory_mb=memory or None,
        cpu_ms_per_request=None
        if serving is None or not requests
        else round(1e3 * serving * (end - start) / requests, 4),
        processes=len({(sample.role, sample.name) for sample in samples if sample.role not in _OUTSIDE_DESIGN}) or None,
        ports=_read_footprint(observed, "ports"),
        config_lines=_read_footprint(observed, "config_lines"),
    )


def _sum_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _read_footprint(observed: ArmObservations, key: str) -> int | None:
    """What was counted once all parts were up."""
    brought_up = (event for event in observed.events if event.kind == EventKind.BROUGHT_UP)
    return next((int(event.detail[key] or 0) for event in brought_up), None)


def _average_role(samples: Sequence[Sample], role: str, quantity: str) -> float | None:
    """The mean over time of a role's sum over its parts."""
    by_time: dict[float, float] = {}
    for sample in samples:
        if sample.role == role:
            by_time[sample.t] = by_time.get(sample.t, 0.0) + getattr(sample, quantity)
    return round(sum(by_time.values()) / len(by_time), 4) if by_time else None


def compute_driver_figures(observed: ArmObservations) -> DriverFigures:
    """Whether the load process kept up, by its own figures and by its samples."""
    own = observed.driver
    lag, core = own.get("lag_p99_ms"), own.get("core")
    busiest = max(_compute_median_cpu(observed), default=None)
    saturated = None
    if busiest is not None and lag is not None:
        saturated = busiest > SATURATED_CPU or float(lag) > SATURATED_LAG_MS
    return DriverFigures(
        saturated,
        None if lag is None else float(lag),
        to_int(own.get("late")),
        to_int(own.get("dropped")),
        None if busiest is None else round(busiest, 2),
        None if core is None else str(core),
    )


def _compute_median_cpu(observed: ArmObservations) -> list[float]:
    """The median use of each load process, in cores: as sampled from outside, and by its own account."""
    used: dict[str, list[float]] = {}
    for sample in observed.samples:
        if sample.role == "driver" and sample.t >= observed.warmup:
            used.setdefault(sample.name, []).append(sample.cpu)
    own = observed.driver.get("cpu_median")
    return [float(np.median(values)) for values in used.values()] + ([] if own is None else [float(own)])


def to_int(value: float | str | None) -> int | None:
    """A count of the load process's own figures; None stays None."""
    return None if value is None else int(value)
