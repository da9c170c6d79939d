"""Locust's own statistics, kept in step from chunks of records instead of one call a request."""

import time
from typing import Any

import numpy as np
from locust.stats import RequestStats, StatsError, bucket_response_time

from harness.load.recorder import Chunk, Names
from harness.observations import SWEEP, Method, Outcome


class LocustStats:
    """A sink of the recorder. Response times are from the actual send, as Locust counts them."""

    def __init__(self, stats: RequestStats, names: Names) -> None:
        self._stats = stats
        self._names = names

    def fold(self, chunk: Chunk) -> None:
        """Add a chunk of records to ``stats.entries``, ``stats.total`` and ``stats.errors``."""
        load = chunk[chunk["phase"] != SWEEP]
        if not len(load):
            return
        _log(self._stats.total, load)
        kinds = load["name"].astype(np.int64) << 8 | load["method"]
        for kind in np.unique(kinds).tolist():
            method = Method(kind & 0xFF).name
            name = self._names.value("name", kind >> 8).removeprefix(f"{method} ")
            part = load[kinds == kind]
            _log(self._stats.entries[name, method], part)
            self._errors(method, name, part[part["outcome"] != Outcome.OK])

    def _errors(self, method: str, name: str, part: Chunk) -> None:
        kinds, counts = np.unique(part["outcome"].astype(np.int64) << 16 | part["status"], return_counts=True)
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            status = kind & 0xFFFF
            text = f"{Outcome(kind >> 16).name.lower().replace('_', ' ')}: {f'HTTP {status}' if status else 'no reply'}"
            key = StatsError.create_key(method, name, text)
            error = self._stats.errors.setdefault(key, StatsError(method, name, text))
            error.occurrences += count


def _log(entry: Any, part: Chunk) -> None:
    """Add records to one of Locust's entries, as its ``log`` and ``log_error`` would one by one."""
    now, times = time.time(), (part["t_end"] - part["t_sent"]) / 1e6
    second = int(now)
    if entry.use_response_times_cache and entry.last_request_timestamp and second > int(entry.last_request_timestamp):
        entry._cache_response_times(second - 1)
    entry.num_requests += len(part)
    entry.num_reqs_per_sec[second] += len(part)
    entry.last_request_timestamp = now
    entry.total_response_time += float(times.sum())
    shortest = float(times.min())
    entry.min_response_time = shortest if entry.min_response_time is None else min(entry.min_response_time, shortest)
    entry.max_response_time = max(entry.max_response_time, float(times.max()))
    values, counts = np.unique(np.rint(times), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        entry.response_times[bucket_response_time(value)] += count
    entry.total_content_length += int(part["bytes_received"].sum())
    failures = int(np.count_nonzero(part["outcome"] != Outcome.OK))
    if failures:
        entry.num_failures += failures
        entry.num_fail_per_sec[second] += failures
