"""Capacity: the highest open load that a topology holds its SLOs under, searched for by short trials.

The words are Theodolite's (Henning and Hasselbring, 2021): a *demand* is offered, the *capacity* is the highest demand
held. By chance a short trial also holds a demand above the capacity, and a search finds such trials: so the demand that
it finds must be confirmed, and what is reported lies a step below the one that is.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean

from harness.common.errors import UsageError

#: The search ends when the held and the failed demand are this close together; then it goes on in smaller steps.
RESOLUTION = 0.08
STEP = 0.03
#: A demand is confirmed if so many further trials of it all hold, with this share of the p99 that is allowed.
CONFIRMATIONS = 3
CONFIRMED_P99 = 0.85
#: Until the edge is found; and then for confirmation.
MAX_TRIALS = 16
MAX_CONFIRMATIONS = 18
_GROWTH = 1.12
_ROUNDING = 1 + 1e-9  # a step up and a step down again may differ from the same demand by this factor


@dataclass(frozen=True)
class Objectives:
    """The SLOs: what a demand must meet to count as held."""

    p99_ms: float = 200.0  # from the intended start
    errors: float = 0.001  # share of requests that were not answered well
    achieved: float = 0.95  # share of the offered requests that was answered by the end of the trial

    def __post_init__(self) -> None:
        if not (self.p99_ms > 0 and 0 <= self.errors < 1 and 0 < self.achieved <= 1):
            raise UsageError("SLOs: a p99 above 0 ms, and a share of errors from 0 to below 1", "--slo-p99 200")


@dataclass(frozen=True)
class Trial:
    """One demand offered for a while, and how it went. ``use`` is each resource's utilisation, from 0 to 1."""

    demand: float  # requests per second, as planned
    offered: float  # requests per second that arrived; chance makes it differ from the demand
    achieved: float  # answered well within the trial, per second
    p99_ms: float | None
    errors: float  # share
    driver_saturated: bool
    use: Mapping[str, float] = field(default_factory=dict)

    def held(self, objectives: Objectives) -> bool:
        """Whether every SLO was met."""
        return (
            self.p99_ms is not None
            and self.p99_ms <= objectives.p99_ms
            and self.errors <= objectives.errors
            and self.achieved >= objectives.achieved * self.offered
        )


#: Resources that belong to the measurement and not to the design: a point that they bound is left out.
OUTSIDE = ("driver", "host")
_BUSY = 0.8


@dataclass(frozen=True)
class Capacity:
    """The result of the search at one size."""

    held: float  # a step below the highest demand that was confirmed; 0 if none was
    failed: float | None  # the lowest demand that failed; None if none did
    trials: tuple[Trial, ...]

    @property
    def edge(self) -> Trial | None:
        """The trial that shows what bound it: the one at the lowest demand that failed, else at the highest of all."""
        known = [trial for trial in self.trials if trial.use]
        failed = [trial for trial in known if self.failed is not None and trial.demand >= self.failed]
        return min(failed, key=lambda trial: trial.demand, default=None) or max(
            known, key=lambda trial: trial.demand, default=None
        )

    @property
    def bound_by(self) -> str:
        """The busiest resource at the edge, or ``unclear`` if none was busy."""
        last = self.edge
        if last is None:
            return "unclear"
        if last.driver_saturated:
            return "driver"
        name, used = max(last.use.items(), key=lambda item: item[1])
        return name if used >= _BUSY else "unclear"

    @property
    def usable(self) -> bool:
        """Whether it is the design's own capacity: the edge was seen, and neither driver nor host made it."""
        return self.held > 0 and self.failed is not None and self.bound_by not in OUTSIDE


@dataclass
class _Bracket:
    """Where the capacity lies, as far as is known, and the demand to try next (requests per second)."""

    demand: float
    held: float = 0.0
    failed: float = math.inf
    step: float = _GROWTH

    @property
    def narrow(self) -> bool:
        """Whether the held and the failed demand are close enough together."""
        return self.failed / max(self.held, 1e-9) <= 1 + RESOLUTION

    def advance(self, holds: bool) -> None:
        """Note whether the demand holds, and choose the next: outwards in growing steps, then between the two ends."""
        if holds:
            self.held = max(self.held, self.demand)
        else:
            self.failed = min(self.failed, self.demand)
        if math.isinf(self.failed):
            self.demand, self.step = self.held * self.step, self.step * self.step
        elif self.held == 0:
            self.demand, self.step = self.failed / self.step, self.step * self.step
        else:
            self.demand = math.sqrt(self.held * self.failed)


async def search_capacity(
    guess: float, attempt: Callable[[float], Awaitable[Trial]], objectives: Objectives, most: int = MAX_TRIALS
) -> Capacity:
    """Find the capacity: outwards from ``guess`` in growing steps until one demand holds and one fails, then by halves.

    A demand that fails is tried once more, so that one hiccup of the machine does not pass for the edge. From the
    highest demand that held, the search then goes down until one is confirmed. ``most`` limits the trials before that.
    """
    trials: list[Trial] = []

    async def holds(demand: float) -> bool:
        for _ in range(2):
            trials.append(await attempt(demand))
            if trials[-1].held(objectives):
                return True
            if len(trials) >= most or trials[-1].achieved < 0.8 * demand:
                return False
        return False

    bracket = _Bracket(guess)
    while len(trials) < most and not bracket.narrow:
        bracket.advance(await holds(bracket.demand))
    if math.isinf(bracket.failed) or not bracket.held:
        return Capacity(bracket.held, None if math.isinf(bracket.failed) else bracket.failed, tuple(trials))
    return await _confirm(bracket, attempt, replace(objectives, p99_ms=CONFIRMED_P99 * objectives.p99_ms), trials)


async def _confirm(
    bracket: _Bracket, attempt: Callable[[float], Awaitable[Trial]], objectives: Objectives, trials: list[Trial]
) -> Capacity:
    """Go down from the highest demand that held until one is confirmed, or up from it until one is not."""
    demand, failed, confirmed, achieved = bracket.held, bracket.failed, 0.0, 0.0
    most = len(trials) + MAX_CONFIRMATIONS
    while confirmed * _ROUNDING < demand < failed / _ROUNDING and len(trials) < most:
        again: list[Trial] = []
        while len(again) < CONFIRMATIONS and (not again or again[-1].held(objectives)):
            again.append(await attempt(demand))
        trials += again
        if again[-1].held(objectives):
            confirmed, achieved, demand = demand, fmean(trial.achieved for trial in again), demand * (1 + STEP)
        else:
            failed, demand = demand, demand / (1 + STEP)
    return Capacity(min(confirmed, achieved) / (1 + STEP), failed, tuple(trials))
