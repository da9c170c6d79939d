"""How far a count moved between two sets of repeats: an exact test of two rates, and the spread between repeats.

A count has more chance in it than its size shows where sessions share a fate, and less where a fault always takes the
same share of them. So both are asked: the exact test of the sums, given their total (Przyborowski and Wilenski 1940),
and Welch's t interval of the shares of single repeats.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from harness.analysis.compare.ratios import ALPHA

#: A share that moved by less than this for certain has not moved, however rare the thing is.
FLOOR = 0.01


@dataclass(frozen=True)
class Counted:
    """A count in one repeat, and of how many sessions, writes or messages; those of one group share a fate."""

    count: int
    of: int
    groups: int | None = None  # such as the sessions that made the writes; None: each has a fate of its own

    @property
    def share(self) -> float:
        """The count per thing; 0 of none."""
        return self.count / self.of if self.of else 0.0

    @property
    def independent(self) -> "Counted":
        """The same share of the groups: no more than that is known of chance where no other repeat shows it."""
        if self.groups is None or self.groups >= self.of:
            return self
        return Counted(round(self.share * self.groups), self.groups)


def sum_counts(repeats: Sequence[Counted]) -> Counted:
    """All repeats together."""
    return Counted(sum(each.count for each in repeats), sum(each.of for each in repeats))


@dataclass(frozen=True)
class CountShift:
    """The same count in the repeats of two runs."""

    now: tuple[Counted, ...]
    before: tuple[Counted, ...]

    def p_above(self, margin: float) -> float:
        """One-sided p of the hypothesis that the share grew by no more than ``margin`` (0.1 is a tenth of it)."""
        return _p_grew(self.now, self.before, margin)

    def p_below(self, margin: float) -> float:
        """One-sided p of the hypothesis that the share shrank by no more than ``margin``."""
        return _p_grew(self.before, self.now, margin)

    def is_within(self, margin: float) -> bool:
        """Whether the share certainly moved by less than ``margin`` of itself, or by less than one in a hundred."""
        low, high = self.interval
        share = sum_counts(self.before).share
        return low > min(-FLOOR, share / (1 + margin) - share) and high < max(FLOOR, share * margin)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share now minus the share before, by the spread of repeats if there are several."""
        if min(len(self.now), len(self.before)) < 2:
            return _newcombe(*(sum_counts([each.independent for each in side]) for side in (self.now, self.before)))
        moved, error, freedom = _welch(self.now, self.before, 1.0)
        half = float(stats.t.ppf(1 - ALPHA, freedom)) * error if error else 0.0
        return moved - half, moved + half


def _p_grew(now: Sequence[Counted], before: Sequence[Counted], margin: float) -> float:
    single, factor = min(len(now), len(before)) < 2, 1 + margin
    later, earlier = (sum_counts([each.independent for each in side] if single else side) for side in (now, before))
    whole = factor * later.of + earlier.of
    if not whole:
        return 1.0
    exact = float(stats.binom.sf(later.count - 1, later.count + earlier.count, factor * later.of / whole))
    if single:
        return exact
    moved, error, freedom = _welch(now, before, factor)
    if not error:
        return exact if moved > 0 else 1.0
    return max(exact, float(stats.t.sf(moved / error, freedom)))


def _welch(now: Sequence[Counted], before: Sequence[Counted], factor: float) -> tuple[float, float, float]:
    """The mean share now minus ``factor`` times the one before, its standard error, and its degrees of freedom."""
    later, earlier = [each.share for each in now], [factor * each.share for each in before]
    moved = float(np.mean(later) - np.mean(earlier))
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (later, earlier)]
    error = math.sqrt(sum(parts))
    if error < 1e-12:
        return moved, 0.0, math.inf
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (later, earlier), strict=True)
    )
    return moved, error, freedom


def _newcombe(now: Counted, before: Counted) -> tuple[float, float]:
    """The interval of a difference of two shares from their Wilson intervals (Newcombe 1998, method 10)."""
    (low, high), (low_before, high_before) = _wilson(now), _wilson(before)
    share, share_before = min(now.share, 1.0), min(before.share, 1.0)
    moved = share - share_before
    return (
        moved - math.hypot(share - low, high_before - share_before),
        moved + math.hypot(high - share, share_before - low_before),
    )


def _wilson(counted: Counted) -> tuple[float, float]:
    if not counted.of:
        return 0.0, 1.0
    result = stats.binomtest(min(counted.count, counted.of), counted.of).proportion_ci(1 - 2 * ALPHA, "wilson")
    return float(result.low), float(result.high)
