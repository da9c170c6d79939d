"""How fast arrivals come as time goes by: a rate, a ramp, steps, or a trace. Seconds count from T0, warm-up included.

A shape is its expected count of arrivals, inverted: ``moment(n)`` is when so many have come. Constant arrivals are the
moments of whole numbers, Poisson ones those of a Poisson process of rate 1 (Cinlar 1975, inversion).
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

_HINT = "docs/scenarios.md says how load takes shape"


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message, _HINT)


@dataclass(frozen=True)
class Ramp:
    """From ``first`` a second to ``last`` a second, evenly ``over`` a stretch of time; then it stays there."""

    first: float
    last: float
    over: str

    def __post_init__(self) -> None:
        _require(min(self.first, self.last) >= 0 and max(self.first, self.last) > 0, "a ramp's rates are not negative")
        _require(parse_seconds(self.over) > 0, "a ramp takes some time")

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(self.first, self.last)

    def moment(self, count: float) -> float:
        """When so many arrivals are expected to have come; infinity where that many never do."""
        over = parse_seconds(self.over)
        beyond = count - over * (self.first + self.last) / 2
        if beyond > 0:
            return over + beyond / self.last if self.last else math.inf
        growth = (self.last - self.first) / over
        root = math.sqrt(max(0.0, self.first**2 + 2 * growth * count))
        return 2 * count / (self.first + root) if count else 0.0


@dataclass(frozen=True)
class Steps:
    """Rates one after the other, each for its time: ``Steps([(100, "10s"), (400, "10s")])``; the last stays."""

    steps: Sequence[tuple[float, str]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple((rate, length) for rate, length in self.steps))
        _require(bool(self.steps) and self.peak > 0, "steps need a rate above 0")
        _require(
            all(rate >= 0 and parse_seconds(length) > 0 for rate, length in self.steps),
            "each step has a rate and a time",
        )

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(rate for rate, _ in self.steps)

    def moment(self, count: float) -> float:
        """As of a ramp."""
        begin = 0.0
        for rate, length in self.steps[:-1]:
            come = rate * parse_seconds(length)
            if count <= come and rate:
                return begin + count / rate
            begin, count = begin + parse_seconds(length), count - come
        last = self.steps[-1][0]
        return begin + max(0.0, count) / last if last else math.inf


@dataclass(frozen=True)
class Trace:
    """Arrivals replayed from a CSV file: its first column holds their times in ascending seconds from T0.

    A first line that is no number is a heading. ``speed`` 2 replays it in half the time. The path counts from the
    scenario's directory.
    """

    path: str
    speed: float = 1.0
    at: tuple[float, ...] | None = field(default=None, repr=False)  # the times, once they have been read

    def __post_init__(self) -> None:
        _require(self.speed > 0, "a trace's speed is above 0")
        if self.at is not None:
            object.__setattr__(self, "at", tuple(self.at))

    def located(self, base: Path) -> "Trace":
        """With its path counted from ``base``."""
        return replace(self, path=str(base / self.path))

    def read(self) -> "Trace":
        """With its times.

        Raises:
            UsageError: no such file, or not ascending numbers.
        """
        return self if self.at is not None else replace(self, at=tuple(_times(Path(self.path))))

    @property
    def peak(self) -> float:
        """The most arrivals of any second."""
        times, first = [time / self.speed for time in self.read().at or ()], 0
        most = 1
        for index, time in enumerate(times):
            while times[first] <= time - 1:
                first += 1
            most = max(most, index - first + 1)
        return float(most)

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
        raise UsageError(f"no trace can be read from {path}: {problem}", _HINT) from problem
    before = 0.0
    for line, text in enumerate(rows[_heading(rows) :], 1):
        try:
            time = float(text)
        except ValueError:
            time = math.nan
        _require(before <= time < math.inf, f"{path}: arrival {line}, {text!r}, is no time from {before:g} s on")
        before = time
        yield time


def _heading(rows: Sequence[str]) -> int:
    try:
        float(rows[0] if rows else "0")
    except ValueError:
        return 1
    return 0


def check(rate: Rate | None) -> None:
    """Refuse a rate that is none.

    Raises:
        UsageError: it is.
    """
    _require(rate is None or not isinstance(rate, int | float) or rate > 0, "a rate is above 0")


def peak(rate: Rate) -> float:
    """The highest rate a second."""
    return float(rate) if isinstance(rate, int | float) else rate.peak


def scale_time(rate: Rate, factor: float) -> Rate:
    """The rate whose ramp or steps take ``factor`` times as long; a trace stays as it is."""
    if isinstance(rate, Ramp):
        return replace(rate, over=f"{factor * parse_seconds(rate.over):.3f}s")
    if isinstance(rate, Steps):
        return Steps([(height, f"{factor * parse_seconds(length):.3f}s") for height, length in rate.steps])
    return rate


def moments(rate: Rate, counts: Iterator[float]) -> Iterator[float]:
    """When each of these counts of arrivals has come; a trace has its own. It ends where no more come."""
    if isinstance(rate, Trace):
        return rate.moments()
    moment = (lambda count: count / rate) if isinstance(rate, int | float) else rate.moment
    return itertools.takewhile(math.isfinite, map(moment, counts))


def to_json(rate: Rate | None) -> Any:
    """A rate in plain values."""
    return rate if rate is None or isinstance(rate, int | float) else {type(rate).__name__.lower(): asdict(rate)}


def from_json(told: Any) -> Rate | None:
    """The rate of what ``plain`` gave."""
    if not isinstance(told, dict):
        rate: float | None = told
        return rate
    kinds: dict[str, type[Shape]] = {"ramp": Ramp, "steps": Steps, "trace": Trace}
    ((kind, values),) = told.items()
    return kinds[kind](**values)


def describe(rate: Rate | None) -> Any:
    """A rate for run.json; of a trace its hash, since its file is part of the experiment."""
    if not isinstance(rate, Trace):
        return to_json(rate)
    arrivals = len(rate.read().at or ())
    content = hashlib.sha256(Path(rate.path).read_bytes()).hexdigest()
    return {"trace": {"path": rate.path, "speed": rate.speed, "arrivals": arrivals, "sha256": content}}
