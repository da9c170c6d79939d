"""Aggregates of requests that are not recorded one by one: counts, and HDR histograms of times, which merge exactly.

Memory does not grow with the number of requests. Those intended inside the measured time are counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

#: A histogram counts in units of so many ns, to three digits: below 0.2 ms to 0.1 us, above to 0.1 %.
UNIT_NS = 100
AGGREGATES_FILE = "tallied.json"
#: The fields of the aggregates that are plain counts.
AGGREGATE_COUNTS = ("ok", "failed", "in_doubt", "dropped", "correct", "bytes_sent", "bytes_received", "moved", "wrong")
_MAX_UNITS = 3600 * 10**9 // UNIT_NS
_DIGITS = 3


class Histogram:
    """Times, each in the bucket of those that agree with it in three digits (Tene's HdrHistogram)."""

    def __init__(self) -> None:
        self._hdr = HdrHistogram(1, _MAX_UNITS, _DIGITS)
        self._counts = np.frombuffer(self._hdr.counts, np.uint64)  # the same memory

    def add(self, ns: npt.NDArray[np.int64]) -> None:
        """Count times in ns, shape (n,); one beyond an hour counts as an hour. Equals ``record_value`` for each."""
        if not len(ns):
            return
        values, hdr = np.clip(ns // UNIT_NS, 0, _MAX_UNITS), self._hdr
        magnitude = hdr.sub_bucket_half_count_magnitude
        bucket = np.maximum(np.frexp(values.astype(np.float64))[1] - 1 - magnitude, 0)
        index = ((bucket + 1) << magnitude) + (values >> bucket) - hdr.sub_bucket_half_count
        buckets, counts = np.unique(index, return_counts=True)
        self._counts[buckets] += counts.astype(np.uint64)
        filled = np.flatnonzero(self._counts)
        hdr.set_internal_tacking_values(int(filled[0]), int(filled[-1]), int(self._counts.sum()))

    def merge(self, other: Self) -> None:
        """Add the counts of another histogram; nothing is rounded again."""
        self._hdr.add(other._hdr)

    def milliseconds(self, percentile: float, slower: int = 0) -> float | None:
        """The smallest time with at least so many per cent at or below it, to three digits; None if there is none.

        So many ``slower`` times count too, of which it is only known that they are at least as large as the largest.
        By that definition, as for records; the library's own rounds the rank to the nearest.
        """
        below = np.cumsum(self._counts)
        if not below[-1]:
            return None
        counted = int(below[-1])
        rank = min(counted, max(1, math.ceil(percentile * (counted + slower) / 100)))
        lowest = self._hdr.get_value_from_index(int(np.searchsorted(below, rank)))
        return float(self._hdr.get_highest_equivalent_value(lowest)) * UNIT_NS / 1e6

    def encode(self) -> str:
        """HdrHistogram's own compressed form, which its other implementations read too."""
        return bytes(self._hdr.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The histogram of an encoded one."""
        histogram = cls()
        histogram._hdr.decode_and_add(text.encode())
        return histogram


@dataclass
class AggregateStats:
    """Counts and histograms of the requests of one load process, or of several."""

    latency: Histogram
    service: Histogram
    ok: int = 0
    failed: int = 0
    in_doubt: int = 0
    correct: int = 0
    bytes_sent: int = 0  # of those that were ok, like what was received
    bytes_received: int = 0
    moved: int = 0  # sessions that had replies of several replicas, at any time
    wrong: int = 0  # sessions with a reply that is not what they requested
    per_replica: Mapping[str, int] | None = None
    dropped: int = 0  # arrivals that were never sent; they are among the failed
    by_name: Mapping[str, int] | None = None  # "ok GET /", "failure 404 GET /": what is counted, and of which name

    @classmethod
    def empty(cls) -> Self:
        """Of no request."""
        return cls(Histogram(), Histogram(), per_replica={})

    @property
    def attempted(self) -> int:
        """All requests."""
        return self.ok + self.failed + self.in_doubt

    @classmethod
    def combine(cls, parts: Sequence[Self]) -> Self:
        """The aggregates of all parts together."""
        whole = cls.empty()
        for part in parts:
            whole.latency.merge(part.latency)
            whole.service.merge(part.service)
            for name in AGGREGATE_COUNTS:
                setattr(whole, name, getattr(whole, name) + getattr(part, name))
            whole.count_replicas(part.per_replica or {})
            whole.count_names(part.by_name or {})
        return whole

    def count_replicas(self, replies: Mapping[str, int]) -> None:
        """Add replies by the replica that gave them."""
        before = self.per_replica or {}
        names = sorted({*before, *replies})
        self.per_replica = {name: before.get(name, 0) + replies.get(name, 0) for name in names}

    def count_names(self, counts: Mapping[str, int]) -> None:
        """Add what was counted of the requests of each name."""
        before = self.by_name or {}
        self.by_name = {key: before.get(key, 0) + counts.get(key, 0) for key in dict.fromkeys((*before, *counts))}

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        counts = {name: getattr(self, name) for name in AGGREGATE_COUNTS}
        times = {"latency": self.latency.encode(), "service": self.service.encode()}
        return {**counts, **times, "per_replica": dict(self.per_replica or {}), "by_name": dict(self.by_name or {})}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From what ``to_json`` returned."""
        times = {name: Histogram.decode(values[name]) for name in ("latency", "service")}
        return cls(**{**values, **times})
