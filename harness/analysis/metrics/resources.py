"""What an arm used of the machine, and whether the load process kept up."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.observations.events import LOAD, EventKind
from harness.observations.samples import LATE_NS, Sample
from harness.results.arm_files import ArmObservations
from harness.results.summary import DriverFigures, Percentiles, Resources

#: A load process that uses more of a core than this cannot be trusted with times.
SATURATED_CPU = 0.9
#: Nor can one whose own delays may be more than this share of a percentile; shorter delays (ms) never matter.
OWN_SHARE = 0.5
NEGLIGIBLE_MS = 1.0
#: A p99 that is in doubt by delays up to this (ms) is not trusted itself. Longer ones put all times in doubt.
SHORT_MS = 5.0
#: The times of a design are in doubt if its parts wait more than this share of the time for cores that others use.
STARVED_SHARE = 0.05
_DESIGN = ("replica", "balancer", "store")  # the roles of its parts


def compute_resources(observed: ArmObservations, start: float, end: float, requests: int) -> Resources:
    """Means over the measured time, from ``start`` to ``end`` in seconds; ``requests`` were attempted in it."""
    samples = [sample for sample in observed.samples if start <= sample.t <= end]
    cpu = {role: _average_role(samples, role, "cpu") for role in ("driver", "replica", "balancer", "store")}
    serving = _sum_known(cpu[role] for role in _DESIGN)
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
        processes=len({(sample.role, sample.name) for sample in samples if sample.role in _DESIGN}) or None,
        ports=_read_footprint(observed, "ports"),
        config_lines=_read_footprint(observed, "config_lines"),
        **_measure_contention(samples),
    )


def _measure_contention(samples: Sequence[Sample]) -> dict[str, Any]:
    """How often the parts of the design had no core, and who else used the cores; empty where that is not known.

    Of what they wait, others cause the share that they have in all use of the cores. A request passes one part of each
    role, so of a role the mean of its parts counts. What a hypervisor takes is waited for by all.
    """
    machine = [sample for sample in samples if sample.role == "machine"]
    if not machine:
        return {}
    busy, stolen = (float(np.mean([getattr(sample, name) for sample in machine])) for name in ("cpu", "waited"))
    other = max(0.0, busy - sum(sample.cpu for sample in samples if sample.role != "machine") / len(machine))
    waited = sum(
        float(np.mean(values)) for role in _DESIGN if (values := [s.waited for s in samples if s.role == role])
    )
    lacking = waited * other / busy + stolen / (os.cpu_count() or 1) if busy else 0.0
    figures = {"waited": waited, "other_cpu": other, "stolen_cpu": stolen}
    return {**{name: round(value, 4) for name, value in figures.items()}, "starved": lacking > STARVED_SHARE}


def _sum_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _read_footprint(observed: ArmObservations, key: str) -> int | None:
    """What was counted once all parts were up."""
    counted = (event.detail.get(key) for event in observed.events if event.kind == EventKind.BROUGHT_UP)
    return next((count for count in counted if isinstance(count, int)), None)


def _average_role(samples: Sequence[Sample], role: str, quantity: str) -> float | None:
    """The mean over time of a role's sum over its parts."""
    by_time: dict[float, float] = {}
    for sample in samples:
        if sample.role == role:
            by_time[sample.t] = by_time.get(sample.t, 0.0) + getattr(sample, quantity)
    return round(sum(by_time.values()) / len(by_time), 4) if by_time else None


def compute_driver_figures(
    observed: ArmObservations, reported: Mapping[str, Percentiles], attempted: int
) -> DriverFigures:
    """Whether the load process kept up, by its own figures and by its samples.

    ``reported`` are the percentiles of latency of the arm (under ``""``), of which ``attempted`` requests were
    measured, and of its phases: ``before``, ``during`` and ``after`` the fault. They contain its own delays.
    """
    own = observed.driver
    lag, core = to_float(own.get("lag_p99_ms")), own.get("core")
    busiest = max(_compute_median_cpu(observed), default=None)
    late = to_int(own.get("late")) or 0

    def own_part(key: str, share: float) -> float | None:
        delay = to_float(own.get(key, own.get("lag_p99_ms")))  # older runs have the p99 of the delays only
        return delay if delay is None or late <= max(1, share * attempted) else max(delay, LATE_NS / 1e6)

    joined = [event for event in observed.events if event.kind == EventKind.WORKER_JOINED]
    workers = [event for event in joined if event.subject != LOAD] or joined  # their master drives nothing
    own_p50, own_p90, own_p99 = (own_part(key, share) for key, _, share in _PERCENTILES)
    figures = DriverFigures(
        None,
        lag,
        to_int(own.get("late")),
        to_int(own.get("dropped")),
        None if busiest is None else round(busiest, 2),
        None if core is None else str(core),
        own_p50,
        own_p90,
        own_p99,
        longest_stall_ms=to_float(own.get("longest_stall_ms")),
        hosts=tuple(str(event.detail.get("host", "")) for event in workers),
    )
    return figures if busiest is None or lag is None else _judge(figures, reported)


#: The own part of each percentile, the percentile, and the share of requests beyond it.
_PERCENTILES = (("own_p50_ms", "p50", 0.5), ("own_p90_ms", "p90", 0.1), ("own_p99_ms", "p99", 0.01))


@dataclass(frozen=True)
class _OwnDelay:
    """A percentile of which more than half may be delays of the load process itself; times in milliseconds."""

    percentile: str
    own_ms: float
    reported_ms: float
    when: str  # the phase in which it is the least; "" for the whole arm

    def __str__(self) -> str:
        whole = f"a {self.percentile} of {self.reported_ms:.3g} ms" + (f" {self.when} the fault" if self.when else "")
        return f"up to {self.own_ms:.3g} ms of {whole} may be its own delay"


def _judge(driver: DriverFigures, reported: Mapping[str, Percentiles]) -> DriverFigures:
    """With what its figures put in doubt: all times, or one percentile."""
    own = tuple(_find_own_delays(driver, reported))
    is_full = driver.cpu_median is not None and driver.cpu_median > SATURATED_CPU
    full = [f"it used {driver.cpu_median} of {driver.core or 'a core'} in the median second"] if is_full else []
    return replace(
        driver,
        saturated=is_full or any(delay.percentile != "p99" or delay.own_ms > SHORT_MS for delay in own),
        doubts=(*full, *map(str, own)),
        doubtful=tuple(delay.percentile for delay in own),
    )


def _find_own_delays(driver: DriverFigures, reported: Mapping[str, Percentiles]) -> Iterator[_OwnDelay]:
    for key, name, _ in _PERCENTILES:
        own = getattr(driver, key)
        values = [(value, when) for when, times in reported.items() if (value := getattr(times, name)) is not None]
        least, when = min(values, default=(None, ""))
        if own is not None and least is not None and own > max(NEGLIGIBLE_MS, OWN_SHARE * least):
            yield _OwnDelay(name, own, least, when)


def _compute_median_cpu(observed: ArmObservations) -> list[float]:
    """The median use of each load process, in cores: as sampled from outside, and by its own account."""
    used: dict[str, list[float]] = {}
    for sample in observed.samples:
        if sample.role == "driver" and sample.t >= observed.warmup:
            used.setdefault(sample.name, []).append(sample.cpu)
    own = observed.driver.get("cpu_median")
    return [float(np.median(values)) for values in used.values()] + ([] if own is None else [float(own)])


def to_float(value: float | str | None) -> float | None:
    """A quantity of the load process's own figures; None stays None."""
    return None if value is None else float(value)


def to_int(value: float | str | None) -> int | None:
    """A count of the load process's own figures; None stays None."""
    return None if value is None else int(value)
