"""The requests by the names that they are counted under, whole and by phase."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.analysis.metrics.faults import find_recovery_end
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.observations.load_requests import LoadRequests, Mask
from harness.results.summary import EndpointStats, FaultFigures

#: The most frequent names are reported one by one; where paths hold ids there are too many for that.
MAX_NAMES = 64

Rows = npt.NDArray[np.intp]


def compute_endpoint_stats(
    load: LoadRequests, measured: Mask, faults: Sequence[FaultFigures] = (), end: float = 0.0
) -> dict[str, EndpointStats]:
    """The measured requests by name, the most frequent first; with faults, also by phase, until ``end``."""
    counts = load.frame.loc[measured, "name"].value_counts().head(MAX_NAMES)
    names = [str(name) for name in counts.index[counts > 0]]
    return {
        name: _compute_with_phases(load, np.flatnonzero(measured & load.equals("name", name)), faults, end)
        for name in names
    }


def _compute_with_phases(load: LoadRequests, rows: Rows, faults: Sequence[FaultFigures], end: float) -> EndpointStats:
    stats = _compute(load, rows)
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return stats
    first, last = min(effective), find_recovery_end(faults, end)
    last = last if last < end else np.inf
    ended = load.end[rows]
    phases = {
        "before": rows[ended < first],
        "during": rows[(ended >= first) & (ended < last)],
        "after": rows[ended >= last],
    }
    return replace(stats, phases={phase: _compute(load, own) for phase, own in phases.items() if len(own)})


def _compute(load: LoadRequests, rows: Rows) -> EndpointStats:
    frame, ok = load.frame.iloc[rows], load.ok[rows]
    latency, good = compute_percentiles((load.end - load.intended)[rows]), frame[ok]
    return EndpointStats(
        requests=len(rows),
        ok=int(ok.sum()),
        anomalies=int((frame["anomaly"] != "none").sum()),
        statuses=_count_statuses(frame["status"].to_numpy()),
        p50_ms=latency.p50,
        p99_ms=latency.p99,
        request_bytes=None if good.empty else round(float(good["bytes_sent"].mean()), 1),
        response_bytes=None if good.empty else round(float(good["bytes_received"].mean()), 1),
        p90_ms=latency.p90,
        p999_ms=latency.p999,
        max_ms=latency.max,
        correct=int(load.correct[rows].sum()),
        wrong=int((frame["anomaly"] == "wrong").sum()),
        failures=_count_statuses(frame["status"].to_numpy()[~ok]),
    )


def _count_statuses(statuses: npt.NDArray[np.int64]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    values, counts = np.unique(statuses, return_counts=True)
    return {str(values[index]): int(counts[index]) for index in np.argsort(-counts, kind="stable")}
