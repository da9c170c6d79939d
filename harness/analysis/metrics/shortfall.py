"""Where the last stretch of requests ends in which fewer were good than usual, beyond what chance explains."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from harness.observations.load_requests import Mask

#: Enough is this share of what is usual.
ENOUGH = 0.95
#: A stretch of requests counts if chance alone makes one like it this rarely.
CHANCE = 1e-6
#: What is assumed before anything was seen: one bad request of so many.
_PRIOR_REQUESTS = 20


@dataclass(frozen=True)
class UsualShare:
    """The share of requests that are good as long as nothing is wrong; ``bad`` of ``total`` were not."""

    bad: int
    total: int

    @classmethod
    def count(cls, good: Mask) -> Self:
        """From requests that were sent while nothing was wrong, shape (n,)."""
        return cls(int((~good).sum()), len(good))

    @property
    def good(self) -> float:
        """The estimate, which is cautious where little was seen."""
        return 1 - (self.bad + 1) / (self.total + _PRIOR_REQUESTS)

    @cached_property
    def tolerance(self) -> float:
        """How many good requests may be missing by chance (Lundberg's bound of a sum's maximum).

        It is ``ln(1 / CHANCE) / t``, with the positive ``t`` for which ``exp(t * missing)`` of a request is 1 on
        average.
        """
        wanted, good = ENOUGH * self.good, self.good

        def excess(t: float) -> float:
            return (1 - good) * math.exp(t * wanted) + good * math.exp(t * (wanted - 1)) - 1

        low, high = 0.0, 1.0
        while excess(high) < 0:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) < 0 else (low, middle)
        return math.log(1 / CHANCE) / high


def find_last_shortfall(good: Mask, usual: UsualShare) -> int | None:
    """The index of the last request of the last stretch that fell short of 95 % of the usual share; None without one.

    ``good`` has shape (n,), in order of time. Page's cumulative sum (Biometrika 41, 1954), from the end backwards:
    every request adds what it misses of the wanted share, and the sum never falls below zero. A stretch fell short
    where the sum exceeds what chance explains.
    """
    missing = (ENOUGH * usual.good - good)[::-1]
    total = np.concatenate([[0.0], np.cumsum(missing)])
    lowest = np.minimum.accumulate(total)
    exceeds = np.flatnonzero(total - lowest > usual.tolerance)
    if not exceeds.size:
        return None
    begin = int(np.flatnonzero(total[: exceeds[0]] == lowest[exceeds[0]])[-1])
    return len(good) - 1 - begin
