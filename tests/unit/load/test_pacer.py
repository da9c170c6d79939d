from itertools import islice, pairwise
from statistics import mean, pstdev

import pytest

from harness.load.pacer import SECOND, arrivals, constant, poisson

COUNT = 20_000


def gaps(moments: list[int]) -> list[int]:
    return [b - a for a, b in pairwise(moments)]


def test_constant_arrivals_do_not_drift() -> None:
    moments = list(islice(constant(300), COUNT))
    assert moments[:2] == [0, 3_333_333]
    assert moments[15_000] == 50 * SECOND


def test_poisson_gaps_are_exponential() -> None:
    found = gaps(list(islice(poisson(500, 1), COUNT)))
    assert mean(found) == pytest.approx(SECOND / 500, rel=0.03)
    assert pstdev(found) == pytest.approx(mean(found), rel=0.05)  # an exponential's deviation is its mean
    assert sum(gap > SECOND / 500 for gap in found) / len(found) == pytest.approx(0.3679, abs=0.02)  # 1/e


def test_the_seed_decides_the_arrivals() -> None:
    first, again, other = (list(islice(poisson(100, seed), 50)) for seed in (7, 7, 8))
    assert first == again != other


def test_arrivals_go_forward() -> None:
    for kind in ("constant", "poisson"):
        moments = list(islice(arrivals(kind, 1000, 3), 2000))
        assert moments == sorted(moments) and moments[0] >= 0


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="bursty"):
        arrivals("bursty", 1, 1)
