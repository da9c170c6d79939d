from itertools import islice, pairwise
from statistics import mean, pstdev

import numpy as np
import pytest
from scipy import stats

from harness.load.arrivals.pacer import SECOND, arrivals, constant, poisson
from harness.scenario.rates import Ramp, Steps, Trace

COUNT = 20_000


def gaps(moments: list[int]) -> list[int]:
    return [b - a for a, b in pairwise(moments)]


def anderson_darling(values: list[float]) -> float:
    """The statistic against the exponential distribution of mean 1 (Anderson and Darling 1954)."""
    ordered = np.sort(values)
    weights = 2 * np.arange(1, len(ordered) + 1) - 1
    logs = stats.expon.logcdf(ordered) + stats.expon.logsf(ordered[::-1])
    return float(-len(ordered) - (weights * logs).sum() / len(ordered))


#: Of a distribution that is wholly known (Stephens 1974).
AT_1_PER_CENT = 3.857


def test_anderson_darling_rejects_arrivals_that_are_not_poisson() -> None:
    assert anderson_darling([1.0] * 50) > AT_1_PER_CENT
    assert anderson_darling([gap * 1.2 for gap in np.random.default_rng(1).exponential(size=2000)]) > AT_1_PER_CENT


def test_constant_arrivals_do_not_drift() -> None:
    moments = list(islice(constant(300), COUNT))
    assert moments[:2] == [0, 3_333_333]
    assert moments[15_000] == 50 * SECOND


def test_poisson_gaps_are_exponential() -> None:
    gaps_ns = gaps(list(islice(poisson(500, 1), COUNT)))
    assert mean(gaps_ns) == pytest.approx(SECOND / 500, rel=0.03)
    assert pstdev(gaps_ns) == pytest.approx(mean(gaps_ns), rel=0.05)  # an exponential's deviation is its mean
    assert sum(gap > SECOND / 500 for gap in gaps_ns) / len(gaps_ns) == pytest.approx(0.3679, abs=0.02)  # 1/e


def test_poisson_gaps_pass_an_anderson_darling_test() -> None:
    gaps_ns = gaps(list(islice(poisson(500, 1), COUNT)))
    assert anderson_darling([gap / SECOND * 500 for gap in gaps_ns]) < AT_1_PER_CENT


def test_poisson_arrivals_of_a_ramp_are_poisson_on_its_own_clock() -> None:
    come = [n / SECOND for n in islice(poisson(Ramp(50, 400, "20s"), 5), 3000)]
    so_far = [50 * t + 350 * t * t / 40 if t < 20 else 4500 + 400 * (t - 20) for t in come]
    assert anderson_darling([b - a for a, b in pairwise(so_far)]) < AT_1_PER_CENT


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_steps_yield_the_arrivals_of_each_step(kind: str) -> None:
    come = [n / SECOND for n in islice(arrivals(kind, Steps([(200, "10s"), (800, "10s")]), 2), 10_000)]
    assert sum(t < 10 for t in come) == pytest.approx(2000, rel=0.1)
    assert sum(10 <= t < 20 for t in come) == pytest.approx(8000, rel=0.05)


def test_a_trace_is_neither_constant_nor_poisson() -> None:
    trace = Trace("a.csv", at=(0.5, 0.75))
    assert list(arrivals("poisson", trace, 1)) == list(arrivals("constant", trace, 1)) == [SECOND // 2, SECOND * 3 // 4]


def test_the_seed_decides_the_arrivals() -> None:
    first, again, other = (list(islice(poisson(100, seed), 50)) for seed in (7, 7, 8))
    assert first == again != other


def test_arrivals_are_in_ascending_order() -> None:
    for kind in ("constant", "poisson"):
        moments = list(islice(arrivals(kind, 1000, 3), 2000))
        assert moments == sorted(moments) and moments[0] >= 0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="bursty"):
        arrivals("bursty", 1, 1)
