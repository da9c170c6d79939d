"""Updates Locust's own statistics from chunks of records, instead of with one call per request."""

import time
from dataclasses import dataclass
from typing import Any

from harness.load import _locust_import  # noqa: F401 - must come before Locust

# isort: split

import locust.stats
import numpy as np
import numpy.typing as npt
from locust.stats import RequestStats, StatsError

from harness.load.recording.recorder import Chunk, StringTable, load_phase
from harness.observations.requests import Method, Outcome


class LocustStats:
    """A sink of the recorder. Response times count from the actual send, as in Locust."""

    def __init__(self, stats: RequestStats, names: StringTable) -> None:
        self._stats = stats
        self._names = names

    def add(self, chunk: Chunk) -> None:
        """Add a chunk of records, shape (n,), to ``stats.entries``, ``stats.total`` and ``stats.errors``."""
        load = load_phase(chunk)
        if not len(load):
            return
        kinds = load["name"].astype(np.int64) << 8 | load["method"]
        part = _StatsPart.from_records(load)
        _log(self._stats.total, part)
        for kind in np.unique(kinds).tolist():
            method = Method(kind & 0xFF).name
            name = self._names.lookup("name", kind >> 8).removeprefix(f"{method} ")
            mine = kinds == kind
            _log(self._stats.entries[name, method], part if mine.all() else part.select(mine))
            if part.failed.any():
                self._add_errors(method, name, load[mine & part.failed])

    def _add_errors(self, method: str, name: str, part: Chunk) -> None:
        kinds, counts = np.unique(part["outcome"].astype(np.int64) << 16 | part["status"], return_counts=True)
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            status = kind & 0xFFFF
            text = f"{Outcome(kind >> 16).name.lower().replace('_', ' ')}: {f'HTTP {status}' if status else 'no reply'}"
            key = StatsError.create_key(method, name, text)
            error = self._stats.errors.setdefault(key, StatsError(method, name, text))
            error.occurrences += count


@dataclass(frozen=True)
class _StatsPart:
    """The columns of n records that Locust counts, each of shape (n,)."""

    ms: npt.NDArray[np.float64]  # from the send to the end of the response
    size: npt.NDArray[np.uint32]
    failed: npt.NDArray[np.bool_]

    @classmethod
    def from_records(cls, load: Chunk) -> "_StatsPart":
        ms = (load["t_end"] - load["t_sent"]) / 1e6
        return cls(ms, load["bytes_received"], load["outcome"] != Outcome.OK)

    def select(self, mask: npt.NDArray[np.bool_]) -> "_StatsPart":
        return _StatsPart(self.ms[mask], self.size[mask], self.failed[mask])


def _log(entry: Any, part: _StatsPart) -> None:
    """Add records to one of Locust's entries, with the same effect as its ``log`` and ``log_error`` for each record."""
    now, count = time.time(), len(part.ms)
    second = int(now)
    if entry.use_response_times_cache and entry.last_request_timestamp and second > int(entry.last_request_timestamp):
        entry._cache_response_times(second - 1)
    entry.num_requests += count
    entry.num_reqs_per_sec[second] += count
    entry.last_request_timestamp = now
    entry.total_response_time += float(part.ms.sum())
    shortest = float(part.ms.min())
    entry.min_response_time = shortest if entry.min_response_time is None else min(entry.min_response_time, shortest)
    entry.max_response_time = max(entry.max_response_time, float(part.ms.max()))
    halves = np.bincount((2 * part.ms).astype(np.int64))  # rounding to whole milliseconds changes only at halves
    for half in np.flatnonzero(halves).tolist():
        entry.response_times[locust.stats.bucket_response_time(half / 2 + 0.25)] += int(halves[half])
    entry.total_content_length += int(part.size.sum())
    failures = int(np.count_nonzero(part.failed))
    if failures:
        entry.num_failures += failures
        entry.num_fail_per_sec[second] += failures
