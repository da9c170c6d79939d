"""The requests of one arm as plain arrays: the input for the charts of time and latency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.observations.load_requests import LoadRequests
from harness.observations.requests import Anomaly, Outcome
from harness.results.arm_files import ArmObservations

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Percentiles of a window come from counts in bins 1 % wide, from 1 microsecond up, without sorting millions of rows.
_BIN = np.log(1.01)
_BINS = 2100
#: The shortest window: a failover of two seconds fills eight.
WINDOW_S = 0.25


@dataclass(frozen=True)
class Measured:
    """The load's requests, warm-up included: arrays of equal length, one element per request; times in ns from T0."""

    design: str
    arm: str
    warmup: float  # seconds
    duration: float  # seconds
    intended: Ints
    end: Ints
    ok: Bools
    anomalous: Bools

    @property
    def latency_ns(self) -> Ints:
        """From the intended start, after the warm-up: how long a client waited, errors included."""
        ended = (self.end >= 0) & (self.intended >= int(self.warmup * 1e9))
        waited: Ints = np.maximum(self.end[ended] - self.intended[ended], 0)
        return waited


@dataclass(frozen=True)
class Windows:
    """Short windows of one arm, one element per window: start in seconds, rates per second, 99th percentile in ms."""

    design: str
    arm: str
    width: float
    start: Floats
    answered: Floats  # every request that ended, whatever its outcome
    correct: Floats
    errors: Ints
    anomalies: Ints
    p99_ms: Floats  # NaN where no request started


def _is_among(column: "pd.Series[Any]", wanted: Sequence[str]) -> Bools:
    """Which rows hold one of ``wanted``; compares categories, not rows, for speed."""
    categories = column.cat.categories
    hit = np.array([str(category).lower() in wanted for category in categories] + [False], dtype=bool)
    chosen: Bools = hit[column.cat.codes.to_numpy()]  # a missing value has the code -1: the last entry
    return chosen


def measured(arm: ArmObservations) -> Measured:
    """The arm's load without the final sweep."""
    load = LoadRequests.select(arm.requests, ("t_intended", "t_end", "outcome", "anomaly")).frame
    anomalies = [anomaly.name.lower() for anomaly in Anomaly if anomaly is not Anomaly.NONE]
    return Measured(
        arm.design,
        arm.arm,
        arm.warmup,
        arm.duration,
        load["t_intended"].to_numpy(),
        load["t_end"].to_numpy(),
        _is_among(load["outcome"], [Outcome.OK.name.lower()]),
        _is_among(load["anomaly"], anomalies),
    )


def windows(values: Measured, width: float = WINDOW_S, stretch: tuple[float, float] | None = None) -> Windows:
    """Fold the requests into the whole windows of ``width`` seconds between warm-up and end, or inside ``stretch``.

    Rates, errors and anomalies count in the window in which a request ended, latency in the window in which it should
    have started, so that a stall shows where it began.
    """
    begin, end = stretch or (values.warmup, values.duration)
    first = int(np.ceil(max(begin, values.warmup) / width))
    count = max(int(min(end, values.duration) / width) - first, 1)
    ended = values.end >= 0
    index = values.end // int(width * 1e9) - first
    inside = (index >= 0) & (index < count)

    def tally(chosen: Bools) -> Ints:
        return np.bincount(index[chosen & inside], minlength=count)

    return Windows(
        values.design,
        values.arm,
        width,
        np.arange(first, first + count, dtype=np.float64) * width,
        tally(ended) / width,
        tally(values.ok & ~values.anomalous) / width,
        tally(~values.ok),
        tally(values.anomalous),
        _p99(values, int(width * 1e9), first, count),
    )


def _p99(values: Measured, width_ns: int, first: int, count: int) -> Floats:
    index = values.intended // width_ns - first
    inside = (index >= 0) & (index < count) & (values.end >= 0)
    index, latency = index[inside], values.end[inside] - values.intended[inside]
    bins = np.minimum((np.log(np.maximum(latency / 1e3, 1.0)) / _BIN).astype(np.int64), _BINS - 1)
    counts = np.bincount(index * _BINS + bins, minlength=count * _BINS).reshape(count, _BINS)
    total = counts.sum(axis=1)
    rank = np.ceil(total * 0.99)
    reached = (counts.cumsum(axis=1) >= rank[:, None]).argmax(axis=1)
    milliseconds: Floats = np.exp((reached + 0.5) * _BIN) / 1e3
    milliseconds[total == 0] = np.nan
    return milliseconds
