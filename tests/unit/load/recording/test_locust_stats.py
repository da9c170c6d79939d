"""A chunk of records updates Locust's statistics exactly as one call per request would."""

import os
from typing import Any

import numpy as np
import pytest

from harness.load.recording.live_stats import LiveStats
from harness.load.recording.recorder import Chunk, StringTable
from harness.observations.requests import RECORD, SWEEP, Method, Outcome

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"  # before the import, so that the threads of the tests stay threads

from locust.stats import RequestStats

from harness.load.recording.locust_stats import LocustStats

NAMES = ("GET /cart", "POST /cart/add", "login")


def chunk(size: int, seed: int) -> Chunk:
    rng = np.random.default_rng(seed)
    records = np.zeros(size, RECORD)
    records["name"] = rng.integers(1, len(NAMES) + 1, size)
    records["method"] = rng.integers(0, 2, size)
    records["outcome"] = rng.choice([0, 0, 0, 1, 2], size)
    records["status"] = np.where(records["outcome"] == 0, 200, rng.choice([0, 409, 503], size))
    records["phase"] = rng.choice([0, 0, 0, SWEEP], size)
    records["t_intended"] = rng.integers(0, 10**9, size)
    records["t_sent"] = records["t_intended"] + rng.integers(0, 20_000_000, size)
    records["t_end"] = records["t_sent"] + rng.integers(100_000, 12_000_000_000, size)
    records["bytes_received"] = rng.integers(0, 5000, size)
    return records


def by_locust(records: Chunk, names: StringTable) -> RequestStats:
    stats = RequestStats()
    for record in records[records["phase"] != SWEEP]:
        method = Method(int(record["method"])).name
        name = names.lookup("name", int(record["name"])).removeprefix(f"{method} ")
        took: Any = float(record["t_end"] - record["t_sent"]) / 1e6
        stats.log_request(method, name, took, int(record["bytes_received"]))
        if record["outcome"] != Outcome.OK:
            word = Outcome(int(record["outcome"])).name.lower().replace("_", " ")
            status = int(record["status"])
            stats.log_error(method, name, f"{word}: {f'HTTP {status}' if status else 'no reply'}")
    return stats


@pytest.mark.parametrize("seed", range(5))
def test_a_chunk_counts_like_its_single_records(seed: int) -> None:
    names = StringTable()
    for name in NAMES:
        names.intern("name", name)
    records = chunk(400, seed)
    ours = RequestStats()
    add = LocustStats(ours, names).add
    for part in np.array_split(records, 3):
        add(part)
    theirs = by_locust(records, names)
    assert ours.entries.keys() == theirs.entries.keys()
    for key in [*theirs.entries, None]:
        mine, its = (ours.entries[key], theirs.entries[key]) if key else (ours.total, theirs.total)
        assert mine.response_times == its.response_times
        assert (mine.num_requests, mine.num_failures) == (its.num_requests, its.num_failures)
        assert (mine.min_response_time, mine.max_response_time) == (its.min_response_time, its.max_response_time)
        assert mine.total_response_time == pytest.approx(its.total_response_time)
        assert mine.total_content_length == its.total_content_length
    assert {key: error.occurrences for key, error in ours.errors.items()} == {
        key: error.occurrences for key, error in theirs.errors.items()
    }


def test_only_records_of_the_load_are_counted() -> None:
    records = chunk(1000, 1)
    counts = LiveStats()
    for part in np.array_split(records, 4):
        counts.add(part)
    load = records[records["phase"] != SWEEP]
    snapshot = counts.snapshot(1.0, sent=len(load), sessions=1, lost=0, dropped=0)
    assert [snapshot.ok, snapshot.failed, snapshot.in_doubt] == np.bincount(load["outcome"], minlength=3).tolist()
    assert snapshot.late == np.count_nonzero(load["t_sent"] - load["t_intended"] > 10_000_000)
    assert snapshot.p99_ms == pytest.approx(np.percentile(load["t_end"] - load["t_intended"], 99) / 1e6)
    assert counts.snapshot(2.0, sent=0, sessions=1, lost=0, dropped=0).p99_ms is None
