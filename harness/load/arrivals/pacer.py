"""Arrivals: when the next one comes, as a pure function of the rate and the seed. Times are ns from the start."""

import itertools
import random
from collections.abc import Iterator

from harness.scenario.rates import Rate, moments

SECOND = 1_000_000_000


def constant(rate: Rate) -> Iterator[int]:
    """Arrivals as even as the rate is: ``1/rate`` seconds apart, without drift."""
    return _ns(rate, map(float, itertools.count()))


def poisson(rate: Rate, seed: int) -> Iterator[int]:
    """Arrivals of a Poisson process of this rate: while the rate is constant, the gaps are exponential."""
    chance = random.Random(seed)
    return _ns(rate, itertools.accumulate(chance.expovariate(1.0) for _ in itertools.count()))


def _ns(rate: Rate, counts: Iterator[float]) -> Iterator[int]:
    return (round(moment * SECOND) for moment in moments(rate, counts))


def arrivals(kind: str, rate: Rate, seed: int) -> Iterator[int]:
    """``constant`` or ``poisson`` arrivals; those of a trace come at its own times. Ends when no more come.

    Raises:
        ValueError: another kind.
    """
    if kind == "constant":
        return constant(rate)
    if kind == "poisson":
        return poisson(rate, seed)
    raise ValueError(f"arrivals are constant or poisson, not {kind!r}")
