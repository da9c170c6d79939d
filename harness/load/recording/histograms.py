"""Histograms instead of records: neither the spool nor the memory grows with the number of requests."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from harness.load.recording.recorder import Chunk, SpoolWriter, load_phase
from harness.observations.aggregates import AGGREGATES_FILE, AggregateStats
from harness.observations.requests import DROPPED, Anomaly, Outcome

#: So many names are counted one by one: where paths hold ids there is no end of them.
MAX_NAMES = 64
#: How much of the statistics a crash may lose.
WRITE_INTERVAL_S = 5.0


class HistogramWriter(SpoolWriter):
    """Writes ``tallied.json`` instead of ``requests.bin``."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.stats = AggregateStats.empty()
        self._replicas = {0: ""}
        self._request_names: dict[int, str] = {}
        self._window = (0, 0)
        self._sessions = SessionTracker()
        self._last_write = time.monotonic()

    def set_window(self, start: float, end: float) -> None:
        """Count requests intended from ``start`` until before ``end`` (seconds from T0); without a window, none."""
        self._window = (round(start * 1e9), round(end * 1e9))

    def write_name(self, kind: str, number: int, value: str) -> None:
        """Append a name, and remember those of replicas and the first ones of requests."""
        super().write_name(kind, number, value)
        if kind == "replica":
            self._replicas[number] = value
        elif kind == "name" and len(self._request_names) < MAX_NAMES:
            self._request_names[number] = value

    def write(self, chunk: Chunk) -> None:
        """Count records."""
        load = load_phase(chunk)
        self._sessions.update(load)
        self._count(self._select_measured(load))
        dropped = len(self._select_measured(chunk[chunk["phase"] == DROPPED]))
        self.stats.dropped += dropped
        self.stats.failed += dropped
        if time.monotonic() - self._last_write > WRITE_INTERVAL_S:
            self._save()

    def _select_measured(self, chunk: Chunk) -> Chunk:
        start, end = self._window
        return chunk[(chunk["t_intended"] >= start) & (chunk["t_intended"] < end)]

    def write_ledgers(self, histories: list[Any]) -> None:
        """Write the statistics, then the ledgers."""
        self._save()
        super().write_ledgers(histories)

    def _count(self, load: Chunk) -> None:
        stats, ok = self.stats, load["outcome"] == Outcome.OK
        stats.latency.add(load["t_end"] - load["t_intended"])
        stats.service.add(load["t_end"] - load["t_sent"])
        stats.ok += int(ok.sum())
        stats.failed += int((load["outcome"] == Outcome.FAILED).sum())
        stats.in_doubt += int((load["outcome"] == Outcome.IN_DOUBT).sum())
        stats.correct += int((ok & (load["anomaly"] == Anomaly.NONE)).sum())
        stats.bytes_sent += int(load["bytes_sent"][ok].sum())
        stats.bytes_received += int(load["bytes_received"][ok].sum())
        numbers, counts = np.unique(load["replica"][load["replica"] != 0], return_counts=True)
        names = (self._replicas[number] for number in numbers.tolist())
        stats.count_replicas(dict(zip(names, counts.tolist(), strict=True)))
        for number in np.unique(load["name"]).tolist():
            if number in self._request_names:
                stats.count_names(_count_kinds(load[load["name"] == number], self._request_names[number]))

    def _save(self) -> None:
        self.stats.moved, self.stats.wrong = self._sessions.moved, self._sessions.wrong
        self.write_whole(AGGREGATES_FILE, [json.dumps(self.stats.to_json())])
        self._last_write = time.monotonic()


def _count_kinds(load: Chunk, name: str) -> dict[str, int]:
    """What is counted of the requests of one name, shape (n,)."""
    ok, anomaly, status = load["outcome"] == Outcome.OK, load["anomaly"], load["status"]
    counts = {
        "requests": len(load),
        "ok": int(ok.sum()),
        "correct": int((ok & (anomaly == Anomaly.NONE)).sum()),
        "anomalies": int((anomaly != Anomaly.NONE).sum()),
        "wrong": int((anomaly == Anomaly.WRONG).sum()),
    }
    for kind, statuses in (("status", status), ("failure", status[~ok])):
        values, times = np.unique(statuses, return_counts=True)
        counts |= {f"{kind} {value}": count for value, count in zip(values.tolist(), times.tolist(), strict=True)}
    return {f"{kind} {name}": count for kind, count in counts.items()}


class SessionTracker:
    """Per session number: the replica that answered first, whether it moved, and whether it saw a wrong response.

    The arrays have shape (capacity,), with capacity above the highest session number.
    """

    def __init__(self) -> None:
        self._first = np.zeros(1024, np.uint16)
        self._moved = np.zeros(1024, np.bool_)
        self._wrong: set[int] = set()

    @property
    def moved(self) -> int:
        """How many sessions had responses from several replicas."""
        return int(self._moved.sum())

    @property
    def wrong(self) -> int:
        """How many sessions got a wrong response."""
        return len(self._wrong)

    def update(self, load: Chunk) -> None:
        """Take the requests of a chunk, shape (n,), in their order."""
        self._wrong.update(load["session"][load["anomaly"] == Anomaly.WRONG].tolist())
        answered = load[load["replica"] != 0]
        sessions, replicas = answered["session"], answered["replica"]
        while int(sessions.max(initial=0)) >= len(self._first):
            self._first = np.concatenate([self._first, np.zeros_like(self._first)])
            self._moved = np.concatenate([self._moved, np.zeros_like(self._moved)])
        numbers, positions = np.unique(sessions, return_index=True)
        new = self._first[numbers] == 0
        self._first[numbers[new]] = replicas[positions[new]]
        self._moved[sessions[self._first[sessions] != replicas]] = True


def spool_writer(directory: Path, records: bool) -> SpoolWriter:
    """The writer of a spool: of every request if ``records``, otherwise of histograms."""
    return SpoolWriter(directory) if records else HistogramWriter(directory)
