"""Live statistics of the load process: counts over chunks of records, and how late its timers fire."""

import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from harness.load.recording.meter import CpuMeter
from harness.load.recording.recorder import Chunk, load_phase
from harness.observations.requests import Outcome
from harness.observations.samples import Snapshot

LAG_INTERVAL_NS = 10_000_000
LATE_NS = 10_000_000
_LAG_STEP_NS = 10_000  # the histogram of the lag has steps of 10 us, up to 1 s
_MAX_LAG_STEPS = 100_000


class Lag:
    """How late a timer fires that is due every 10 ms: the delay that the driver adds to its own measurements."""

    def __init__(self, call_at: Callable[[int, Callable[[int], None]], None]) -> None:
        self._call_at = call_at
        self._steps: Counter[int] = Counter()
        self._due = 0

    def start(self, now: int) -> None:
        """Start to measure."""
        self._due = now + LAG_INTERVAL_NS
        self._call_at(self._due, self._tick)

    def reset(self) -> None:
        """Discard the measurements so far."""
        self._steps.clear()

    def _tick(self, _: int) -> None:
        now = time.monotonic_ns()
        self._steps[max(0, min(_MAX_LAG_STEPS, (now - self._due) // _LAG_STEP_NS))] += 1  # gevent's timers may be early
        self.start(now)

    @property
    def p99_ms(self) -> float | None:
        """The 99th percentile since the start or reset, rounded up to 0.01 ms; None before the first measurement."""
        rank, seen = 0.99 * self._steps.total(), 0
        for step, count in sorted(self._steps.items()):  # few steps: this runs during the load
            seen += count
            if seen >= rank:
                return (step + 1) * _LAG_STEP_NS / 1e6
        return None


class LiveStats:
    """Cumulative statistics of the load, without the sweep. A sink of the recorder."""

    def __init__(self, lag: Lag | None = None, meter: CpuMeter | None = None) -> None:
        self._lag = lag
        self._meter = meter
        self._by_outcome = np.zeros(len(Outcome), dtype=np.int64)
        self._anomalies = 0
        self._late = 0
        self._latencies: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []  # ns, of this interval
        self._snapshots = 0
        self._cpu = time.process_time()
        self._cpu_at = time.monotonic()

    def reset(self) -> None:
        """Start counting CPU time: the load begins now."""
        self._cpu, self._cpu_at = time.process_time(), time.monotonic()
        if self._meter is not None:
            self._meter.start(time.monotonic_ns())

    def add(self, chunk: Chunk) -> None:
        """Count a chunk of records, shape (n,)."""
        load = load_phase(chunk)
        self._by_outcome += np.bincount(load["outcome"], minlength=len(Outcome))
        self._anomalies += int(np.count_nonzero(load["anomaly"]))
        self._late += int(np.count_nonzero(load["t_sent"] - load["t_intended"] > LATE_NS))
        self._latencies.append(load["t_end"] - load["t_intended"])

    def snapshot(self, t: float, sent: int, sessions: int, lost: int, dropped: int) -> Snapshot:
        """Take the next numbered snapshot, at ``t`` seconds from T0, and begin a new interval."""
        self._snapshots += 1
        ok, failed, in_doubt = (int(count) for count in self._by_outcome)
        latencies = np.concatenate(self._latencies) if self._latencies else np.empty(0)
        self._latencies = []
        core = self._meter.core if self._meter else None
        return Snapshot(
            n=self._snapshots,
            t=t,
            sent=sent,
            ok=ok,
            failed=failed,
            in_doubt=in_doubt,
            anomalies=self._anomalies,
            sessions=sessions,
            sessions_lost=lost,
            p99_ms=float(np.percentile(latencies, 99)) / 1e6 if len(latencies) else None,
            lag_p99_ms=self._lag.p99_ms if self._lag else None,
            cpu=self._cpu_used(),
            cpu_median=self._meter.median if self._meter else None,
            core=None if core is None else f"core {core}",
            late=self._late,
            dropped=dropped,
        )

    def _cpu_used(self) -> float | None:
        cpu, at = time.process_time(), time.monotonic()
        used = (cpu - self._cpu) / (at - self._cpu_at) if at > self._cpu_at else None
        self._cpu, self._cpu_at = cpu, at
        return used
