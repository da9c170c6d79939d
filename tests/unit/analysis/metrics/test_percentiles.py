import numpy as np

from harness.analysis.metrics.percentiles import compute_percentiles
from harness.results.summary import Percentiles


def test_each_is_the_smallest_value_with_that_share_at_or_below_it_in_milliseconds() -> None:
    assert compute_percentiles(np.arange(1, 1001) / 1e3) == Percentiles(500.0, 900.0, 990.0, 999.0, 1000.0)
    assert compute_percentiles(np.array([0.003, 0.001, 0.002, 0.004])).p50 == 2.0


def test_they_are_rounded_to_a_tenth_of_a_microsecond() -> None:
    assert compute_percentiles(np.array([0.00123456])).max == 1.2346


def test_slower_ones_count_as_the_slowest() -> None:
    seconds = np.array([0.001, 0.002])
    assert compute_percentiles(seconds).p50 == 1.0
    assert compute_percentiles(seconds, slower=1).p50 == 2.0


def test_of_nothing_there_are_none() -> None:
    assert compute_percentiles(np.array([]), slower=3) == Percentiles(None, None, None, None, None)
