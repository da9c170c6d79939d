"""The rate of arrivals over time: constant, a ramp, steps, or a trace. Seconds count from T0, warm-up included.

A shape inverts its expected count: ``moment(n)`` is the time at which n arrivals are expected. Constant arrivals are at
the moments of whole numbers, Poisson arrivals at those of a Poisson process of rate 1 (Cinlar 1975, inversion).
"""

import csv
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.scenario.checks import check_types, require

_HINT = "docs/scenarios.md describes the shapes of a load"


@dataclass(frozen=True)
class Ramp:
    """From ``first`` to ``last`` arrivals per second, linearly ``over`` a duration; then constant at ``last``."""

    first: float
    last: float
    over: str

    def __post_init__(self) -> None:
        check_types(self)
        require(
            min(self.first, self.last) >= 0 and max(self.first, self.last) > 0, "a ramp's rates must not be negative"
        )
        require(parse_seconds(self.over) > 0, "a ramp must take some time")

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(self.first, self.last)

    def moment(self, count: float) -> float:
        """The time at which this many arrivals are expected; infinity if they never are."""
        over = parse_seconds(self.over)
        beyond = count - over * (self.first + self.last) / 2
        if beyond > 0:
            return over + beyond / self.last if self.last else math.inf
        growth = (self.last - self.first) / over
        root = math.sqrt(max(0.0, self.first**2 + 2 * growth * count))
        return 2 * count / (self.first + root) if count else 0.0


@dataclass(frozen=True)
class Steps:
    """One rate after another, each for its duration: ``Steps([(100, "10s"), (400, "10s")])``; the last one stays."""

    steps: Sequence[tuple[float, str]]

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "steps", tuple((rate, length) for rate, length in self.steps))
        require(bool(self.steps) and self.peak > 0, "steps need a rate above 0")
        require(
            all(rate >= 0 and parse_seconds(length) > 0 for rate, length in self.steps),
            "each step has a rate and a time",
        )

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(rate for rate, _ in self.steps)

    def moment(self, count: float) -> float:
        """The time at which this many arrivals are expected; infinity if they never are."""
        begin = 0.0
        for rate, length in self.steps[:-1]:
            arrivals = rate * parse_seconds(length)
            if count <= arrivals and rate:
                return begin + count / rate
            begin, count = begin + parse_seconds(length), count - arrivals
        last = self.steps[-1][0]
        return begin + max(0.0, count) / last if last else math.inf


@dataclass(frozen=True)
class Trace:
    """Arrivals replayed from a CSV file, whose first column holds their times in ascending seconds from T0.

    A first line that is not a number is a heading. A ``speed`` of 2 replays the file in half the time. A relative path
    starts at the scenario's directory.
    """

    path: str
    speed: float = 1.0
    at: tuple[float, ...] | None = field(default=None, repr=False)  # the times, once read

    def __post_init__(self) -> None:
        check_types(self)
        require(self.speed > 0, "a trace's speed is above 0")
        if self.at is not None:
            object.__setattr__(self, "at", tuple(self.at))

    def located(self, base: Path) -> "Trace":
        """The same trace with its path resolved against ``base``."""
        return replace(self, path=str(base / self.path))

    def read(self) -> "Trace":
        """The same trace with its times read from the file.

        Raises:
            UsageError: the file is missing, or does not hold ascending numbers.
        """
        return self if self.at is not None else replace(self, at=tuple(_times(Path(self.path))))

    @property
    def peak(self) -> float:
        """The highest number of arrivals in any second."""
        times, first = [time / self.speed for time in self.read().at or ()], 0
        highest = 1
        for index, time in enumerate(times):
            while times[first] <= time - 1:
                first += 1
            highest = max(highest, index - first + 1)
        return float(highest)

    def moments(self) -> Iterator[float]:
        """The times of the arrivals."""
        return (time / self.speed for time in self.read().at or ())


Shape = Ramp | Steps | Trace
Rate = float | Shape


def _times(path: Path) -> Iterator[float]:
    try:
        with path.open(newline="") as file:
            rows = [row[0] for row in csv.reader(file) if row]
    except (OSError, ValueError) as problem:
        raise UsageError(f"cannot read a trace from {path}: {problem}", _HINT) from problem
    before = 0.0
    for line, text in enumerate(rows[_heading(rows) :], 1):
        try:
            time = float(text)
        except ValueError:
            time = math.nan
        require(before <= time < math.inf, f"{path}: arrival {line}, {text!r}, is not a time from {before:g} s on")
        before = time
        yield time


def _heading(rows: Sequence[str]) -> int:
    try:
        float(rows[0] if rows else "0")
    except ValueError:
        return 1
    return 0


def check(rate: Rate | None) -> None:
    """Check a constant rate.

    Raises:
        UsageError: it is not above 0.
    """
    require(rate is None or not isinstance(rate, int | float) or rate > 0, "a rate must be above 0")


def peak(rate: Rate) -> float:
    """The highest rate, per second."""
    return float(rate) if isinstance(rate, int | float) else rate.peak


def scale_time(rate: Rate, factor: float) -> Rate:
    """The rate with its ramp or steps ``factor`` times as long; a trace stays as it is."""
    if isinstance(rate, Ramp):
        return replace(rate, over=f"{factor * parse_seconds(rate.over):.3f}s")
    if isinstance(rate, Steps):
        return Steps([(height, f"{factor * parse_seconds(length):.3f}s") for height, length in rate.steps])
    return rate


def moments(rate: Rate, counts: Iterator[float]) -> Iterator[float]:
    """The times at which these counts of arrivals are reached, as far as they are; a trace has its own times."""
    if isinstance(rate, Trace):
        return rate.moments()
    moment = (lambda count: count / rate) if isinstance(rate, int | float) else rate.moment
    return itertools.takewhile(math.isfinite, map(moment, counts))


def to_json(rate: Rate | None) -> Any:
    """The rate as a value for JSON."""
    return rate if rate is None or isinstance(rate, int | float) else {type(rate).__name__.lower(): asdict(rate)}


def from_json(value: Any) -> Rate | None:
    """The rate from a value made by ``to_json``."""
    if not isinstance(value, dict):
        rate: float | None = value
        return rate
    kinds: dict[str, type[Shape]] = {"ramp": Ramp, "steps": Steps, "trace": Trace}
    ((kind, fields),) = value.items()
    return kinds[kind](**fields)


def describe(rate: Rate | None) -> Any:
    """A rate for run.json; for a trace also the hash of its file, which is part of the experiment."""
    if not isinstance(rate, Trace):
        return to_json(rate)
    arrivals = len(rate.read().at or ())
    content = hashlib.sha256(Path(rate.path).read_bytes()).hexdigest()
    return {"trace": {"path": rate.path, "speed": rate.speed, "arrivals": arrivals, "sha256": content}}
