"""Arrivals: when the next one comes, as a pure function of the seed. Times are ns from the start."""

import itertools
import random
from collections.abc import Iterator

SECOND = 1_000_000_000


def constant(rate: float) -> Iterator[int]:
    """Arrivals ``1/rate`` seconds apart, without drift."""
    return (round(n * SECOND / rate) for n in itertools.count())


def poisson(rate: float, seed: int) -> Iterator[int]:
    """Arrivals of a Poisson process: the gaps are exponential with mean ``1/rate``."""
    chance, moment = random.Random(seed), 0.0
    while True:
        moment += chance.expovariate(rate)
        yield round(moment * SECOND)


def arrivals(kind: str, rate: float, seed: int) -> Iterator[int]:
    """``constant`` or ``poisson`` arrivals.

    Raises:
        ValueError: another kind.
    """
    if kind == "constant":
        return constant(rate)
    if kind == "poisson":
        return poisson(rate, seed)
    raise ValueError(f"arrivals are constant or poisson, not {kind!r}")
