"""Tallies in place of records: a spool whose size, and whose memory, do not grow with the requests."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from harness.load.recording.recorder import Chunk, SpoolWriter, load_phase
from harness.observations.aggregates import AGGREGATES_FILE, AggregateStats
from harness.observations.requests import Anomaly, Outcome

#: What a crash may cost.
WRITE_INTERVAL_S = 5.0


class HistogramWriter(SpoolWriter):
    """Keeps ``tallied.json`` in the place of ``requests.bin``."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.stats = AggregateStats.empty()
        self._replicas = {0: ""}
        self._window = (0, 0)
        self._sessions = SessionTracker()
        self._written = time.monotonic()

    def set_window(self, start: float, end: float) -> None:
        """Count what is intended from ``start`` to before ``end`` (seconds from T0); until this is said, nothing."""
        self._window = (round(start * 1e9), round(end * 1e9))

    def write_name(self, kind: str, number: int, value: str) -> None:
        """Note a name."""
        super().write_name(kind, number, value)
        if kind == "replica":
            self._replicas[number] = value

    def write(self, chunk: Chunk) -> None:
        """Count records."""
        load = load_phase(chunk)
        self._sessions.update(load)
        start, end = self._window
        self._count(load[(load["t_intended"] >= start) & (load["t_intended"] < end)])
        if time.monotonic() - self._written > WRITE_INTERVAL_S:
            self._save()

    def write_ledgers(self, testimonies: list[Any]) -> None:
        """The tallies, then the ledgers."""
        self._save()
        super().write_ledgers(testimonies)

    def _count(self, load: Chunk) -> None:
        tallied, ok = self.stats, load["outcome"] == Outcome.OK
        tallied.latency.add(load["t_end"] - load["t_intended"])
        tallied.service.add(load["t_end"] - load["t_sent"])
        tallied.ok += int(ok.sum())
        tallied.failed += int((load["outcome"] == Outcome.FAILED).sum())
        tallied.in_doubt += int((load["outcome"] == Outcome.IN_DOUBT).sum())
        tallied.correct += int((ok & (load["anomaly"] == Anomaly.NONE)).sum())
        tallied.bytes_sent += int(load["bytes_sent"][ok].sum())
        tallied.bytes_received += int(load["bytes_received"][ok].sum())
        numbers, counts = np.unique(load["replica"][load["replica"] != 0], return_counts=True)
        names = (self._replicas[number] for number in numbers.tolist())
        tallied.count_replicas(dict(zip(names, counts.tolist(), strict=True)))

    def _save(self) -> None:
        self.stats.moved, self.stats.wrong = self._sessions.moved, self._sessions.wrong
        self.write_whole(AGGREGATES_FILE, [json.dumps(self.stats.to_json())])
        self._written = time.monotonic()


class SessionTracker:
    """What is known of each session by its number: the replica that answered first, and what befell it since."""

    def __init__(self) -> None:
        self._first = np.zeros(1024, np.uint16)
        self._moved = np.zeros(1024, np.bool_)
        self._wrong: set[int] = set()

    @property
    def moved(self) -> int:
        """How many had replies of several replicas."""
        return int(self._moved.sum())

    @property
    def wrong(self) -> int:
        """How many were shown a wrong reply."""
        return len(self._wrong)

    def update(self, load: Chunk) -> None:
        """Take the requests of a chunk, in their order."""
        self._wrong.update(load["session"][load["anomaly"] == Anomaly.WRONG].tolist())
        answered = load[load["replica"] != 0]
        sessions, replicas = answered["session"], answered["replica"]
        self._grow(int(sessions.max(initial=0)))
        ones, at = np.unique(sessions, return_index=True)
        new = self._first[ones] == 0
        self._first[ones[new]] = replicas[at[new]]
        self._moved[sessions[self._first[sessions] != replicas]] = True

    def _grow(self, number: int) -> None:
        while number >= len(self._first):
            self._first, self._moved = (np.concatenate([one, np.zeros_like(one)]) for one in (self._first, self._moved))


def spool_writer(directory: Path, records: bool) -> SpoolWriter:
    """The spool in a directory, of records or of tallies."""
    return SpoolWriter(directory) if records else HistogramWriter(directory)
