import pytest
from scipy.stats import binomtest

from harness.common.intervals import exact_interval, upper_bound_of_none


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (3, 10), (10, 10), (1, 48_210)])
def test_the_interval_is_that_of_clopper_and_pearson(hits: int, total: int) -> None:
    theirs = binomtest(hits, total).proportion_ci(0.99, "exact")
    assert exact_interval(hits, total) == pytest.approx((theirs.low, theirs.high))


def test_a_zero_rules_out_what_would_have_shown_with_95_per_cent() -> None:
    bound = upper_bound_of_none(48_210)
    assert bound == pytest.approx(0.00006214, rel=1e-3)
    assert (1 - bound) ** 48_210 == pytest.approx(0.05)
