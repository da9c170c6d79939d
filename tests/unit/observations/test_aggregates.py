import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.observations.aggregates import UNIT_NS, AggregateStats, Histogram

HOUR = 3600 * 10**9
TIMES = st.lists(st.integers(0, HOUR), min_size=1, max_size=200)


def counted(times: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(times, np.int64))
    return histogram


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no failure
@given(TIMES)
def test_times_at_once_are_counted_as_one_by_one(times: list[int]) -> None:
    one_by_one = HdrHistogram(1, HOUR // UNIT_NS, 3)
    for time in times:
        assert one_by_one.record_value(time // UNIT_NS)
    assert counted(times).encode() == one_by_one.encode().decode()


@given(TIMES, TIMES, st.sampled_from([0, 50, 90, 99, 99.9, 100]))
def test_merged_histograms_are_that_of_all_times(some: list[int], others: list[int], percentile: float) -> None:
    merged = Histogram.decode(counted(some).encode())
    merged.merge(counted(others))
    assert merged.milliseconds(percentile) == counted(some + others).milliseconds(percentile)


@given(TIMES, st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_right_to_three_digits(times: list[int], percentile: float) -> None:
    exact = float(np.percentile(np.array(times) / 1e6, percentile, method="inverted_cdf"))
    assert counted(times).milliseconds(percentile) == pytest.approx(exact, rel=1.1e-3, abs=1.1 * UNIT_NS / 1e6)


def test_a_time_beyond_an_hour_counts_as_an_hour() -> None:
    assert counted([5 * HOUR]).milliseconds(100) == pytest.approx(HOUR / 1e6, rel=1e-3)


def test_an_empty_histogram_has_no_percentile() -> None:
    assert Histogram().milliseconds(50) is None


def test_aggregates_are_combined_and_read_back_unchanged() -> None:
    first, second = (
        AggregateStats(counted([ms * 10**6]), counted([10**6]), ms, 1, 2, 3, 40, 50, 6, 7, replicas)
        for ms, replicas in ((5, {"r0": 5}), (9, {"r0": 1, "r1": 8}))
    )
    whole = AggregateStats.from_json(AggregateStats.combine([first, second]).to_json())
    assert (whole.ok, whole.failed, whole.in_doubt, whole.attempted, whole.correct) == (14, 2, 4, 20, 6)
    assert (whole.bytes_sent, whole.bytes_received, whole.moved, whole.wrong) == (80, 100, 12, 14)
    assert whole.per_replica == {"r0": 6, "r1": 8}
    assert whole.latency.milliseconds(100) == pytest.approx(9, rel=1e-3)
