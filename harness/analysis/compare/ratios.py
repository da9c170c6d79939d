"""How far a ratio moved between two sets of measured pairs: Welch's t interval on log ratios, and Holm's correction.

A ratio's noise is multiplicative, so its logarithm is what averages. A margin of 10 % is ``log(1.1)`` on both sides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
#: Of one side: an interval of 95 % that lies wholly beyond the margin leaves 2.5 % there.
ALPHA = (1 - CONFIDENCE) / 2
_MIN_ERROR = 1e-9  # a smaller standard error comes from rounding alone


@dataclass(frozen=True)
class Shift:
    """Log ratios, one for each pair of measurements, by session; each side has two pairs or more."""

    now_by_session: tuple[tuple[float, ...], ...]
    before_by_session: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if min(len(self.now), len(self.before)) < 2:
            raise ValueError("a shift takes two pairs or more on each side")

    @cached_property
    def now(self) -> tuple[float, ...]:
        """The pairs of all sessions of the run."""
        return tuple(value for session in self.now_by_session for value in session)

    @cached_property
    def before(self) -> tuple[float, ...]:
        """The pairs of all sessions of the baseline."""
        return tuple(value for session in self.before_by_session for value in session)

    @cached_property
    def mean(self) -> float:
        """By how much the mean log ratio moved."""
        return float(np.mean(self.now) - np.mean(self.before))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The two-sided 95 % interval of ``mean``; a point if nothing varies."""
        error, freedom = self._welch
        half = float(stats.t.ppf(1 - ALPHA, freedom)) * error if error else 0.0
        return self.mean - half, self.mean + half

    def p_above(self, margin: float) -> float:
        """One-sided p of the hypothesis that it moved up by no more than ``margin`` (a log ratio)."""
        return self._tail(self.mean - margin)

    def p_below(self, margin: float) -> float:
        """One-sided p of the hypothesis that it moved down by no more than ``margin``."""
        return self._tail(-self.mean - margin)

    def _tail(self, beyond: float) -> float:
        error, freedom = self._welch
        if not error:
            return 0.0 if beyond > 0 else 1.0
        return float(stats.t.sf(beyond / error, freedom))

    @cached_property
    def _welch(self) -> tuple[float, float]:
        """The standard error of ``mean`` and its degrees of freedom (Welch 1947); no error if nothing varies."""
        sizes = (len(self.now), len(self.before))
        parts = [float(np.var(side, ddof=1)) / len(side) for side in (self.now, self.before)]
        error = math.sqrt(sum(parts))
        if error < _MIN_ERROR:
            return 0.0, math.inf
        return error, sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))

    def recurs(self, margin: float) -> bool:
        """Whether each session of either side, or each half of a single one, moved beyond the margin the same way."""
        sign = math.copysign(1.0, self.mean)
        parts = [
            *((part, self.before) for part in _split(self.now_by_session)),
            *((self.now, part) for part in _split(self.before_by_session)),
        ]
        return all(sign * float(np.mean(now) - np.mean(before)) > margin for now, before in parts)


def _split(sessions: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    if len(sessions) > 1:
        return sessions
    middle = len(sessions[0]) // 2
    return sessions[0][:middle], sessions[0][middle:]


def adjust_p_values(values: Sequence[float]) -> tuple[float, ...]:
    """The p values adjusted for their number (Holm 1979), in the order given.

    The smallest of m counts m-fold, the next one m-1-fold and so on; none is below one that was smaller before.
    """
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(np.asarray(values)[order] * np.arange(len(values), 0, -1))
    in_given_order = np.empty(len(values))
    in_given_order[order] = np.minimum(adjusted, 1.0)
    return tuple(in_given_order.tolist())
