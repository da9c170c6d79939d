"""Workloads: which users arrive, and when."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario import rates
from harness.scenario.checks import check_types, require
from harness.scenario.rates import Rate


@dataclass(frozen=True)
class Sessions:
    """A closed load (``concurrent`` users, one session after another), or partly open (``rate`` sessions per second).

    A rate may have a shape: ``Ramp``, ``Steps`` or ``Trace``.
    """

    concurrent: int | None = None
    rate: Rate | None = None
    duration: str = "20s"
    warmup: str = "2s"
    arrivals: str = "poisson"  # of a partly open load: poisson | constant

    def __post_init__(self) -> None:
        check_types(self)
        require((self.concurrent is None) != (self.rate is None), "Sessions takes either concurrent= or rate=")
        require(self.concurrent is None or self.concurrent >= 1, "concurrent sessions must be at least 1")
        _check_load(self.rate, self.duration, self.warmup, self.arrivals)

    @property
    def kind(self) -> str:
        """The name of the workload in the literature."""
        return "closed" if self.rate is None else "partly_open"


@dataclass(frozen=True)
class Requests:
    """An open load: ``rate`` requests per second arrive whatever the service does, spread over ``sessions`` sessions.

    A rate may have a shape: ``Ramp``, ``Steps`` or ``Trace``.
    """

    rate: Rate
    sessions: int = 200
    duration: str = "20s"
    warmup: str = "2s"
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        check_types(self)
        require(self.sessions >= 1, "sessions must be at least 1")
        _check_load(self.rate, self.duration, self.warmup, self.arrivals)

    @property
    def kind(self) -> str:
        """The name of the workload in the literature."""
        return "open"


Load = Sessions | Requests


def _check_load(rate: Rate | None, duration: str, warmup: str, arrivals: str) -> None:
    rates.check(rate)
    require(
        0 <= parse_seconds(warmup) < parse_seconds(duration),
        f"the warm-up ({warmup}) must lie inside the duration ({duration})",
    )
    require(arrivals in ("poisson", "constant"), f"arrivals must be poisson or constant, not {arrivals!r}")
