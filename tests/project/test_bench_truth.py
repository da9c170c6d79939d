"""What counts as wrong in the disturbed cases of ``make bench-truth``."""

from dataclasses import replace

import pytest

from benchmarks.disturbed import DisturbedTimes
from harness.analysis.metrics.fold import fold
from harness.results.summary import ArmFigures, Percentiles, RequestCounts
from tests.support.clocks_and_topology import RequestRow, observed


def _arm(p99: float, *, saturated: bool = False, starved: bool = False, bound: bool = False) -> ArmFigures:
    arm = fold(observed([RequestRow(1, 1)]))
    return replace(
        arm,
        requests=RequestCounts(100, 90, 10, 0, 10),
        latency_ms=Percentiles(2.0, 4.0, p99, p99, p99),
        latency_is_lower_bound=bound,
        driver=replace(arm.driver, saturated=saturated),
        resources=replace(arm.resources, starved=starved),
    )


def _case(arm: ArmFigures, p99: float = 12.0, ok: int = 120) -> DisturbedTimes:
    return DisturbedTimes("two hogs", arm, Percentiles(2.0, 4.0, p99, p99, p99), 100, ok, 120)


def test_times_that_are_off_are_wrong_unless_they_are_unknown() -> None:
    assert _case(_arm(p99=20.0)).wrong == ()
    assert _case(_arm(p99=30.0)).wrong == ("p99 is 30.0 ms, not 12.0 ms",)
    assert _case(_arm(p99=30.0, saturated=True)).wrong == ()
    assert _case(_arm(p99=30.0, starved=True)).wrong == ()


def test_a_percentile_may_only_be_too_low_if_it_is_marked_as_a_lower_bound() -> None:
    assert _case(_arm(p99=4.0), p99=500.0).wrong == ("p99 is 4.0 ms, not 500.0 ms",)
    assert _case(_arm(p99=4.0, bound=True), p99=500.0).wrong == ()
    assert ">= 4.00" in str(_case(_arm(p99=4.0, bound=True)))


@pytest.mark.parametrize(("attempted", "ok", "wrong"), [(100, 120, 0), (99, 120, 1), (100, 119, 1)])
def test_counts_must_be_exact_whatever_happens(attempted: int, ok: int, wrong: int) -> None:
    arm = replace(_arm(p99=12.0, saturated=True), requests=RequestCounts(attempted, attempted, 0, 0))
    assert len(_case(arm, ok=ok).wrong) == wrong
