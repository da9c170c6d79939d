"""Live statistics of the load process: counts over chunks of records, and how late its timers fire."""

import bisect
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from harness.load.recording.meter import CpuMeter
from harness.load.recording.recorder import Chunk, load_phase
from harness.observations.requests import Outcome
from harness.observations.samples import LATE_NS, Snapshot

LAG_INTERVAL_NS = 10_000_000
_LAG_STEP_NS = 10_000  # the histogram of the lag has steps of 10 us


class Lag:
    """How late a timer fires that is due every 10 ms: the delay that the driver adds to its own measurements.

    While the loop is held up the timer misses ticks. Each missed tick counts with its own delay, as if the timer had
    gone on: so a stall of two seconds in eight is seen by a quarter of the ticks, as it is by the requests.
    """

    def __init__(self, call_at: Callable[[int, Callable[[int], None]], None]) -> None:
        self._call_at = call_at
        self._steps: Counter[int] = Counter()
        self._due = 0
        self._stopped = False

    def start(self, now: int) -> None:
        """Start to measure."""
        self._due = now + LAG_INTERVAL_NS
        self._call_at(self._due, self._tick)

    def reset(self) -> None:
        """Discard the measurements so far."""
        self._steps.clear()

    def stop(self) -> None:
        """Measure no longer, and keep what was measured."""
        self._stopped = True

    def _tick(self, _: int) -> None:
        if self._stopped:
            return
        now = time.monotonic_ns()
        late = max(0, now - self._due)  # gevent's timers may be early
        self._steps.update(delay // _LAG_STEP_NS for delay in range(late, -1, -LAG_INTERVAL_NS))
        self.start(now)

    def percentiles_ms(self, *percents: float) -> Sequence[float | None]:
        """Percentiles since the start or reset, rounded up to 0.01 ms; None before the first measurement."""
        steps = sorted(self._steps.items())  # once for all of them: this runs during the load
        seen = list(itertools.accumulate(count for _, count in steps))
        if not seen:
            return [None for _ in percents]
        ranks = (bisect.bisect_left(seen, percent / 100 * seen[-1]) for percent in percents)
        return [(steps[rank][0] + 1) * _LAG_STEP_NS / 1e6 for rank in ranks]


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

    def forget_late_starts(self) -> None:
        """Count late starts from now on: the warm-up is over."""
        self._late = 0

    def add(self, chunk: Chunk) -> None:
        """Count a chunk of records, shape (n,)."""
        load = load_phase(chunk)
        self._by_outcome += np.bincount(load["outcome"], minlength=len(Outcome))
        self._anomalies += int(np.count_nonzero(load["anomaly"]))
        self._late += int(np.count_nonzero(load["t_sent"] - load["t_intended"] > LATE_NS))
        self._latencies.append(load["t_end"] - load["t_intended"])

    def snapshot(self, t: float, sent: int, sessions: int, lost: int, dropped: int, *, queued: int = 0) -> Snapshot:
        """Take the next numbered snapshot, at ``t`` seconds from T0, and begin a new interval.

        Of the late starts, ``queued`` waited for a session and not for the driver.
        """
        self._snapshots += 1
        ok, failed, in_doubt = (int(count) for count in self._by_outcome)
        latencies = np.concatenate(self._latencies) if self._latencies else np.empty(0)
        self._latencies = []
        core = self._meter.core if self._meter else None

        # A request is delayed if its send is, or its reply: half of those beyond a percentile each.
        delays = self._lag.percentiles_ms(99, 75, 95, 99.5, 100) if self._lag else [None] * 5
        lag_p99_ms, own_p50_ms, own_p90_ms, own_p99_ms, longest_stall_ms = delays
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
            lag_p99_ms=lag_p99_ms,
            own_p50_ms=own_p50_ms,
            own_p90_ms=own_p90_ms,
            own_p99_ms=own_p99_ms,
            longest_stall_ms=longest_stall_ms,
            cpu=self._cpu_used(),
            cpu_median=self._meter.median if self._meter else None,
            core=None if core is None else f"core {core}",
            late=max(0, self._late - queued),  # one that is under way is not counted yet
            dropped=dropped,
        )

    def _cpu_used(self) -> float | None:
        cpu, at = time.process_time(), time.monotonic()
        used = (cpu - self._cpu) / (at - self._cpu_at) if at > self._cpu_at else None
        self._cpu, self._cpu_at = cpu, at
        return used
