"""What an arm used of the machine, and how it is decided that the load process did not keep up."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.fold import fold
from harness.observations.events import Event
from harness.observations.samples import Sample
from harness.results.summary import DriverFigures, Resources
from tests.support.clocks_and_topology import RequestRow, observed


def _used(samples: Sequence[Sample], requests: int = 1, events: Sequence[Event] = (), warmup: float = 0.0) -> Resources:
    """Of an arm of ten seconds with so many requests."""
    rows = [RequestRow(1, 9.0) for _ in range(requests)]
    return fold(replace(observed(rows, events), samples=tuple(samples), warmup=warmup)).resources


def test_the_use_of_a_role_is_the_mean_over_time_of_the_sum_of_its_parts() -> None:
    samples = [
        Sample(3.0, "replica", "r0", 0.2, 100.0),
        Sample(3.0, "replica", "r1", 0.3, 50.0),
        Sample(4.0, "replica", "r0", 0.4, 110.0),
        Sample(4.0, "replica", "r1", 0.5, 60.0),
        Sample(3.0, "balancer", "haproxy", 0.1, 999.0),
        Sample(4.0, "balancer", "haproxy", 0.2, 999.0),
        Sample(3.0, "store", "redis", 0.05, 30.0),
        Sample(3.0, "driver", "load", 0.6, 999.0),
    ]
    used = _used(samples, requests=100)
    cores = (used.driver_cpu, used.replica_cpu, used.balancer_cpu, used.store_cpu)
    assert cores == (0.6, 0.7, 0.15, 0.05)
    assert used.memory_mb == 190.0, "replicas and stores: where state is kept"
    assert used.cpu_ms_per_request == 90.0, "0.9 cores for ten seconds, of the design alone"
    assert used.processes == 4


def test_samples_of_the_measured_time_count_with_both_its_ends() -> None:
    samples = [Sample(t, "replica", "r0", cpu, 10.0) for t, cpu in ((1.9, 9.0), (2.0, 0.1), (10.0, 0.3), (10.1, 9.0))]
    used = _used(samples, warmup=2.0)
    assert used.replica_cpu == 0.2
    assert used.cpu_ms_per_request == 1600.0, "0.2 cores for the eight measured seconds"


def test_means_are_rounded_to_four_digits() -> None:
    samples = [Sample(float(t), "replica", "r0", cpu, 10.0) for t, cpu in enumerate((0.1, 0.1, 0.2))]
    used = _used(samples, requests=7)
    assert (used.replica_cpu, used.cpu_ms_per_request) == (0.1333, 190.4286)


def test_what_was_not_sampled_is_not_known() -> None:
    used = _used([])
    assert used == Resources(None, None, None, None, None, None)
    assert _used([Sample(1.0, "driver", "load", 0.5, 10.0)]).cpu_ms_per_request is None
    assert _used([Sample(1.0, "replica", "r0", 0.5, 10.0)], requests=0).cpu_ms_per_request is None


def test_the_footprint_is_what_was_counted_once_all_parts_were_up() -> None:
    def up(**detail: Any) -> Event:
        return Event(0.0, "brought_up", "topology", detail)

    used = _used([], events=[Event(0.0, "replica_ready", "r0", {"ports": 9}), up(ports=4, config_lines=0), up(ports=5)])
    assert (used.ports, used.config_lines) == (4, 0)
    assert _used([], events=[up(ports="many")]).ports is None
    assert _used([], events=[up(), up(ports=5)]).ports == 5


def _waiting(machine: Sequence[tuple[float, float]], *parts: Sample) -> Resources:
    """With samples of the machine: the cores in use, and those taken from it."""
    samples = (Sample(float(t), "machine", "machine", cpu, 0.0, stolen) for t, (cpu, stolen) in enumerate(machine))
    return _used([*parts, *samples])


def test_contention_is_the_mean_over_the_samples_of_the_machine() -> None:
    parts = [Sample(float(t), "replica", "r0", 0.25, 10.0, 0.1 * t) for t in (1, 2)]
    driver = Sample(1.0, "driver", "load", 0.5, 10.0, 9.0)
    used = _waiting([(1.0, 0.1), (2.0, 0.2)], *parts, driver)
    assert used.waited == 0.15, "a part waits for itself, in the mean of its samples"
    assert used.other_cpu == 1.0, "1.5 cores in use, of which the run's own parts used a half"
    assert used.stolen_cpu == 0.15
    assert used.starved is True


def test_roles_wait_one_after_the_other() -> None:
    parts = [Sample(1.0, role, role, 0.1, 10.0, 0.04) for role in ("replica", "balancer", "store")]
    used = _waiting([(0.6, 0.0)], *parts)
    assert used.waited == 0.12 and used.other_cpu == 0.3
    assert used.starved is True, "half of 12 %"
    assert _waiting([(0.45, 0.0)], *parts).starved is False, "a third of 12 %"


def test_parts_that_use_more_than_the_machine_was_seen_to_use_leave_nothing_to_others() -> None:
    used = _waiting([(0.4, 0.0)], Sample(1.0, "replica", "r0", 0.5, 10.0, 0.5))
    assert (used.other_cpu, used.starved) == (0.0, False)


def test_an_idle_machine_starves_nothing() -> None:
    used = _waiting([(0.0, 0.0)])
    assert (used.waited, used.other_cpu, used.stolen_cpu, used.starved) == (0.0, 0.0, 0.0, False)


@pytest.mark.parametrize(("share", "starved"), [(0.05, False), (0.0501, True)])
def test_a_twentieth_of_the_time_is_too_much_to_wait(share: float, starved: bool) -> None:
    stolen = share * (os.cpu_count() or 1)
    assert _waiting([(1.0, stolen)], Sample(1.0, "replica", "r0", 1.0, 10.0)).starved is starved


def _driver(samples: Sequence[Sample] = (), warmup: float = 0.0, requests: int = 1, **own: Any) -> DriverFigures:
    rows = [RequestRow(1, 5 + n / 1000) for n in range(requests)]
    arm = replace(observed(rows), samples=tuple(samples), warmup=warmup, driver={"lag_p99_ms": 0.1, **own})
    return fold(arm).driver


def _load(*cores: float, name: str = "load", begin: float = 0.0) -> list[Sample]:
    return [Sample(begin + t, "driver", name, cpu, 10.0) for t, cpu in enumerate(cores)]


def test_the_load_process_reports_its_own_figures() -> None:
    own: dict[str, Any] = {
        "late": 3,
        "dropped": 4,
        "own_p50_ms": 1.5,
        "own_p90_ms": 2.5,
        "own_p99_ms": 3.5,
        "longest_stall_ms": 7.25,
    }
    driver = _driver(_load(0.123, 0.126, 0.129), core="core 2", **own)
    assert driver == DriverFigures(
        True,
        0.1,
        3,
        4,
        0.13,
        "core 2",
        10.0,
        10.0,
        10.0,
        longest_stall_ms=7.25,
        doubts=driver.doubts,
        doubtful=driver.doubtful,
    )
    quiet = _driver(_load(0.1), **{**own, "late": 1})
    assert (quiet.own_p50_ms, quiet.own_p90_ms, quiet.own_p99_ms) == (1.5, 2.5, 3.5), "a single late start is none"


@pytest.mark.parametrize(
    ("joined", "hosts"),
    [
        ([], ()),
        ([("load", "load-1 on node1")], ("load-1 on node1",)),
        ([("load", "m"), ("worker-1", "a on node1"), ("worker-2", "b on node2")], ("a on node1", "b on node2")),
    ],
)
def test_the_hosts_are_those_of_the_processes_that_drive_the_load(
    joined: list[tuple[str, str]], hosts: tuple[str, ...]
) -> None:
    events = [Event(0.0, "worker_joined", name, {"host": host}) for name, host in joined]
    assert fold(observed([RequestRow(1, 9.0)], events)).driver.hosts == hosts


def test_a_load_process_that_says_nothing_is_not_known_to_have_kept_up() -> None:
    nothing = fold(replace(observed([RequestRow(1, 1)]), driver={}, samples=tuple(_load(0.5)))).driver
    assert nothing == DriverFigures(None, None, None, None, 0.5)
    assert _driver().saturated is None and _driver().cpu_median is None


def test_the_use_of_the_warm_up_does_not_count_and_that_of_its_end_does() -> None:
    assert _driver(_load(0.95, 0.95, 0.1, 0.2, 0.3), warmup=2.0).cpu_median == 0.2
    assert _driver(_load(0.1, 0.2, 0.3), warmup=2.0).cpu_median == 0.3


def test_the_busiest_of_several_load_processes_counts() -> None:
    samples = [*_load(0.1, 0.2, 0.3, name="a"), *_load(0.7, 0.8, 0.9, name="b"), Sample(1.0, "replica", "r0", 3.0, 1.0)]
    assert _driver(samples).cpu_median == 0.8
    assert _driver(samples, cpu_median=0.91).doubts == ("it used 0.91 of a core in the median second",)
    assert _driver(samples, cpu_median=0.91, core="core 3").doubts == ("it used 0.91 of core 3 in the median second",)
    assert _driver(samples, cpu_median=0.5).cpu_median == 0.8


@pytest.mark.parametrize(("cores", "saturated"), [(0.9, False), (0.91, True)])
def test_nine_tenths_of_a_core_are_enough_for_a_load_process(cores: float, saturated: bool) -> None:
    assert _driver(_load(cores)).saturated is saturated


@pytest.mark.parametrize(
    ("late", "own_p99_ms", "own_p90_ms", "own_p50_ms"),
    [(10, 0.1, 0.1, 0.1), (11, 10.0, 0.1, 0.1), (101, 10.0, 10.0, 0.1), (501, 10.0, 10.0, 10.0)],
)
def test_late_starts_count_in_the_percentiles_that_they_reach(
    late: int, own_p99_ms: float, own_p90_ms: float, own_p50_ms: float
) -> None:
    driver = _driver(_load(0.1), requests=1000, late=late)
    assert (driver.own_p99_ms, driver.own_p90_ms, driver.own_p50_ms) == (own_p99_ms, own_p90_ms, own_p50_ms)
    assert _driver(_load(0.1), requests=1000, late=late, own_p99_ms=25.0).own_p99_ms == 25.0, "the larger of both"


def test_a_load_process_that_had_half_of_a_percentile_is_named_with_it() -> None:
    driver = _driver(_load(0.1), own_p50_ms=5.0, own_p90_ms=5.1, own_p99_ms=1.0)
    assert driver.doubts == ("up to 5.1 ms of a p90 of 10 ms may be its own delay",)
