"""An arm whose requests were aggregated: what counts and histograms give, and what they cannot."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.metrics.fold import fold
from harness.observations.aggregates import AggregateStats, Histogram
from harness.observations.samples import Sample
from harness.results.summary import ArmFigures, Bytes, EndpointStats, RequestCounts, Throughput
from tests.support.clocks_and_topology import kill_at, observed


def _times(*ms: int) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(ms, dtype=np.int64) * 10**6)
    return histogram


def _figures(warmup: float = 2.0, **counts: Any) -> ArmFigures:
    """Of an arm of ten seconds with a kill."""
    known = {
        "latency": _times(*range(1, 101)),
        "service": _times(*range(1, 11)),
        "ok": 80,
        "failed": 15,
        "in_doubt": 5,
        "correct": 40,
        "bytes_sent": 8012,
        "bytes_received": 16_004,
        "moved": 7,
        "wrong": 3,
        "per_replica": {"r0": 60, "r1": 20},
        **counts,
    }
    return fold(replace(observed([], kill_at(4.0, healed=5.0)), aggregates=AggregateStats(**known), warmup=warmup))


def test_counts_rates_bytes_and_replicas_come_from_the_aggregates() -> None:
    arm = _figures()
    assert arm.requests == RequestCounts(attempted=100, ok=80, failed=15, in_doubt=5)
    assert arm.throughput == Throughput(mean=10.0, correct=5.0), "over the eight measured seconds"
    assert arm.bytes == Bytes(100.2, 200.1)
    assert arm.spread.per_replica == {"r0": 60, "r1": 20} and arm.spread.max_over_mean == 1.5
    assert (arm.availability.overall, arm.availability.during_fault) == (0.4, None)
    assert (arm.sessions.moved, arm.sessions.wrong) == (7, 3)


def test_percentiles_come_from_the_histograms() -> None:
    arm = _figures()
    latency = (arm.latency_ms.p50, arm.latency_ms.p90, arm.latency_ms.p99, arm.latency_ms.p999, arm.latency_ms.max)
    assert latency == pytest.approx((50, 90, 99, 100, 100), rel=1e-3)
    service = (arm.service_ms.p50, arm.service_ms.p90, arm.service_ms.max)
    assert service == pytest.approx((5, 9, 10), rel=1e-3)
    assert not arm.latency_is_lower_bound


def test_a_percentile_of_a_thousand_times_has_one_above_it() -> None:
    assert _figures(latency=_times(*range(1, 1001))).latency_ms.p999 == pytest.approx(999, rel=5e-4)


def test_dropped_arrivals_make_the_latency_a_lower_bound_and_no_service_time() -> None:
    arm = _figures(dropped=1, failed=16)
    assert arm.requests.dropped == 1 and arm.latency_is_lower_bound
    many = _figures(dropped=100, failed=115)
    assert many.latency_ms.p50 == pytest.approx(100, rel=1e-3) and many.service_ms.p50 == pytest.approx(5, rel=1e-3)


def test_what_aggregates_cannot_give_is_unknown() -> None:
    arm = _figures()
    assert (arm.phases.before, arm.phases.during, arm.phases.after) == (None, None, None)
    assert (arm.sessions.at_risk, arm.sessions.lost_not_at_risk, arm.sessions.at_risk_not_lost) == (None, None, None)
    (fault,) = arm.faults
    assert (fault.detect_s, fault.recover_s, fault.gray_s, fault.surge) == (None, None, None, None)
    assert fault.effective == 4.0


def test_without_a_request_or_any_time_there_are_no_rates() -> None:
    none = _figures(ok=0, failed=0, in_doubt=0, correct=0, latency=_times(), service=_times(), per_replica=None)
    assert none.bytes == Bytes(None, None) and none.availability.overall is None
    assert none.spread.per_replica == {} and none.latency_ms.p50 is None
    assert _figures(warmup=10.0).throughput == Throughput(None, None)


def test_names_are_reported_with_the_most_frequent_first() -> None:
    counts = {
        "requests GET /a": 2,
        "ok GET /a": 2,
        "requests POST /b": 9,
        "ok POST /b": 5,
        "anomalies POST /b": 3,
        "correct POST /b": 2,
        "wrong POST /b": 1,
        "status 200 POST /b": 5,
        "status 503 POST /b": 4,
        "failure 503 POST /b": 4,
    }
    names = _figures(by_name=counts).names
    assert list(names) == ["POST /b", "GET /a"]
    assert names["GET /a"] == EndpointStats(2, 2, 0, {}, None, None, None, None)
    assert names["POST /b"] == EndpointStats(
        9, 5, 3, {"200": 5, "503": 4}, None, None, None, None, correct=2, wrong=1, failures={"503": 4}
    )


def test_a_name_that_was_never_counted_whole_has_no_requests() -> None:
    assert list(_figures(by_name={"ok GET /a": 2, "requests GET /b": 1}).names) == ["GET /b", "GET /a"]
    assert _figures(by_name={"wrong GET /a": 2}).names["GET /a"].requests == 0
    assert _figures(by_name={"requests GET /a": 2}).names["GET /a"].ok == 0


def test_the_load_process_is_judged_by_the_aggregated_times() -> None:
    assert _figures().driver.saturated is None, "it was not sampled"
    assert _figures().driver.own_p50_ms == 1.0


def test_resources_are_shared_among_the_aggregated_requests() -> None:
    aggregates = AggregateStats(_times(1), _times(1), ok=50)
    samples = (Sample(1.0, "replica", "r0", 0.5, 1.0),)
    assert (
        fold(
            replace(observed([], kill_at(4.0, healed=5.0)), aggregates=aggregates, samples=samples)
        ).resources.cpu_ms_per_request
        == 100.0
    )
