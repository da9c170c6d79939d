"""Scaling laws fitted to capacities: how throughput grows with replicas, and what the points leave open.

The Universal Scalability Law is N. J. Gunther's (*Guerrilla Capacity Planning*, 2007):
``X(N) = gN / (1 + a(N-1) + bN(N-1))``, with contention ``a`` and coherency ``b``; ``b = 0`` is Amdahl's law,
``a = b = 0`` a line.
Errors of throughput are relative, so logarithms are fitted; the law is chosen by AICc (Hurvich and Tsai, 1989). The
choice is part of what chance decides, so the intervals of the chosen law come from draws that choose again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from iminuit import Minuit
from scipy.special import fdtri  # the quantile of the F distribution; scipy.stats takes a second to load

from harness.analysis.scaling.resampling import Draws, aicc, draw_again

Floats = npt.NDArray[np.float64]

#: The free parameters of each law; the others are 0.
LAWS = {"linear": ("g",), "amdahl": ("g", "a"), "usl": ("g", "a", "b")}
CONFIDENCE = 0.99
PEAK_CONFIDENCE = 0.998
#: A peak is reported from so many sizes on.
PEAK_SIZES = 7
#: How far beyond the largest size that was measured a prediction may go.
MAX_EXTRAPOLATION = 2.0


@dataclass(frozen=True)
class Point:
    """The capacity at one size, and what bound it. One that the driver or the host bound says nothing of the design."""

    replicas: int
    capacity: float  # requests per second
    bound_by: str
    usable: bool = True

    def __post_init__(self) -> None:
        if self.replicas < 1 or self.capacity < 0:
            raise ValueError("a point has at least one replica and no negative capacity")


@dataclass(frozen=True)
class Estimate:
    """A parameter with its 99 % interval; None where the points do not bound it."""

    value: float
    low: float | None
    high: float | None

    def widen(self, low: float | None, high: float | None) -> "Estimate":
        """The interval that has both this one and another in it; one without bounds stays without."""
        return Estimate(
            self.value,
            None if self.low is None or low is None else min(self.low, low),
            None if self.high is None or high is None else max(self.high, high),
        )

    def holds(self, truth: float) -> bool:
        """Whether the interval contains a value; one without bounds contains all."""
        return (self.low is None or self.low <= truth) and (self.high is None or truth <= self.high)


@dataclass(frozen=True)
class Law:
    """One fitted law."""

    name: str
    g: Estimate
    a: Estimate
    b: Estimate
    aicc: float

    def at(self, replicas: Floats | float) -> Floats:
        """The throughput that it predicts."""
        return usl(replicas, self.g.value, self.a.value, self.b.value)


@dataclass(frozen=True)
class Fit:
    """The laws fitted to the usable points of one design."""

    points: tuple[Point, ...]
    laws: tuple[Law, ...]

    @cached_property
    def chosen(self) -> Law | None:
        """The law with the least AICc, its intervals widened by the choice; None if there is nothing to choose from."""
        if len(self.laws) < 2:
            return None
        law, widest = min(self.laws, key=lambda law: law.aicc), self.laws[-1]
        draws = self._draw(self.laws)
        g, a, b = (
            estimate.widen(whole.low, whole.high).widen(*draws.interval(values, CONFIDENCE))
            for estimate, whole, values in (
                (law.g, widest.g, draws.g),
                (law.a, widest.a, draws.a),
                (law.b, widest.b, draws.b),
            )
        )
        return replace(law, g=g, a=a, b=b)

    def _draw(self, laws: Sequence[Law]) -> Draws:
        """Capacities that might have been measured, around the widest law; each draw chooses one of ``laws``."""
        n = np.array([point.replicas for point in self.points], dtype=float)
        widest = self.laws[-1]
        fitted = widest.at(n)
        errors = np.log([point.capacity for point in self.points]) - np.log(fitted)
        parameters = {law.name: len(LAWS[law.name]) for law in laws}
        freedom = len(n) - parameters[widest.name]
        return draw_again(n, fitted, max(float(np.sum(errors**2)), 1e-18), freedom, parameters)

    @property
    def reach(self) -> float:
        """The largest size that a prediction may be made for."""
        return MAX_EXTRAPOLATION * max((point.replicas for point in self.points), default=0)

    def efficiency(self, point: Point) -> float | None:
        """The capacity per replica, relative to that of the smallest size."""
        base = min(self.points, key=lambda point: point.replicas, default=None)
        if base is None or not base.capacity:
            return None
        return (point.capacity / point.replicas) / (base.capacity / base.replicas)

    @cached_property
    def peak(self) -> tuple[float, float | None] | None:
        """N*, the size beyond which throughput falls, as an interval; its upper end may be unknown (None).

        None if the points show no coherency cost. The upper end is given only if nearly every draw of the USL has a
        peak within the reach of a prediction. Where the USL is chosen in spite of few sizes, their noise happens to
        look small; so a peak takes more sizes than the law, and more confidence than a parameter.
        """
        law = self.chosen
        if law is None or law.name != "usl" or len(self.points) < PEAK_SIZES:
            return None
        draws = self._draw([law])
        low, high = draws.interval(draws.peaks, PEAK_CONFIDENCE)
        return low, high if high <= self.reach else None

    @property
    def sentence(self) -> str:
        """The law in words, and what the points leave open."""
        law = self.chosen
        if law is None:
            return (
                f"{len(self.points)} usable sizes are too few to choose a law; 5 distinguish a line from Amdahl's law."
            )
        contention = f"contention {100 * law.a.value:.1f} %"
        shape = {
            "linear": "It scales linearly",
            "amdahl": f"It follows Amdahl's law ({contention})",
            "usl": f"It follows the USL ({contention}, coherency {100 * law.b.value:.2f} %)",
        }[law.name]
        return f"{shape}; {self._describe_peak()}."

    def _describe_peak(self) -> str:
        if len(self.points) < PEAK_SIZES:
            return f"{len(self.points)} sizes do not show whether throughput peaks, {PEAK_SIZES} might"
        if self.peak is None:
            return "these sizes show no peak"
        low, high = self.peak
        if high is None:
            return f"the peak is not below {low:.0f} replicas; its upper end is unknown"
        return f"throughput peaks between {low:.0f} and {high:.0f} replicas"


def usl(replicas: Floats | float, g: float, a: float, b: float) -> Floats:
    """The throughput (requests per second) at a number of replicas, of the same shape."""
    n = np.asarray(replicas, dtype=float)
    throughput: Floats = g * n / (1 + a * (n - 1) + b * n * (n - 1))
    return throughput


def fit_laws(points: Sequence[Point]) -> Fit:
    """Fit every law that the usable points are enough for: two more than its parameters and the noise."""
    usable = tuple(point for point in points if point.usable and point.capacity > 0)
    n = np.array([point.replicas for point in usable], dtype=float)
    log_x = np.log([point.capacity for point in usable])
    laws = tuple(
        _fit_law(name, free, n, log_x)
        for name, free in LAWS.items()
        if len(n) > len(free) + 2 and len(set(n.tolist())) > len(free)
    )
    return Fit(usable, laws)


def _fit_law(name: str, free: Sequence[str], n: Floats, log_x: Floats) -> Law:
    """One law, with the parameters ``free``, fitted to sizes and logarithms of capacities, both of shape (points,)."""

    def squares(g: float, a: float, b: float) -> float:
        return float(np.sum((np.log(np.maximum(usl(n, g, a, b), 1e-12)) - log_x) ** 2))

    start = {"g": float(np.exp(np.mean(log_x - np.log(n)))), "a": 0.01, "b": 0.001}
    minuit = Minuit(squares, **{key: value if key in free else 0.0 for key, value in start.items()})
    minuit.limits["g"], minuit.limits["a"], minuit.limits["b"] = (1e-9, None), (0, 1), (0, 1)
    for key in "gab":
        minuit.fixed[key] = key not in free
    minuit.errordef = 1e-4
    minuit.strategy = 2
    minuit.migrad()
    least = max(float(minuit.fval), 1e-18)
    freedom = len(n) - len(free)
    # The profile ends where a fit with the parameter held is no longer as likely: an F test, the noise being unknown.
    minuit.errordef = least / freedom * float(fdtri(1, freedom, CONFIDENCE))
    minuit.minos(*free, cl=None)
    g, a, b = (_estimate(minuit, key) for key in "gab")
    return Law(name, g, a, b, float(aicc(least, len(n), len(free))))


def _estimate(minuit: Minuit, key: str) -> Estimate:
    """The profile interval; a side that runs into the parameter's limit ends there, one that never ends is None."""
    value = float(minuit.values[key])
    if minuit.fixed[key]:
        return Estimate(value, value, value)
    profile, (low, high) = minuit.merrors[key], minuit.limits[key]
    upper_limit = high if math.isfinite(high) else None
    return Estimate(
        value,
        value + profile.lower if profile.lower_valid and not profile.at_lower_limit else max(low, 0.0),
        value + profile.upper if profile.upper_valid and not profile.at_upper_limit else upper_limit,
    )
