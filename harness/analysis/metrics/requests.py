"""Counts, rates, latencies and bytes of the requests of an arm, whole and by phase, name and replica."""

from collections.abc import Sequence

from harness.analysis.metrics.faults import find_recovery_end
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.observations.load_requests import LoadRequests, Mask
from harness.results.summary import (
    Availability,
    Bytes,
    EndpointStats,
    FaultFigures,
    Phase,
    Phases,
    RequestCounts,
    Spread,
    Throughput,
)

#: The most frequent names are reported one by one; where paths hold ids there are too many for that.
MAX_NAMES = 64


def compute_phase(load: LoadRequests, mask: Mask, length: float) -> Phase:
    """The figures of the requests that ``mask`` selects, which are those of ``length`` seconds."""
    ok, correct = int((load.ok & mask).sum()), int((load.correct & mask).sum())
    in_doubt = int((load.equals("outcome", "in_doubt") & mask).sum())
    attempted = int(mask.sum())
    return Phase(
        RequestCounts(attempted, ok, attempted - ok - in_doubt, in_doubt),
        Throughput(ok / length, correct / length) if length > 0 else Throughput(None, None),
        compute_percentiles((load.end - load.intended)[mask]),
        compute_percentiles((load.end - load.sent)[mask]),
    )


def compute_phases(load: LoadRequests, faults: Sequence[FaultFigures], start: float, end: float) -> Phases:
    """Before the first fault took effect, until the last had recovered, and after; times in seconds from T0."""
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return Phases(None, None, None)
    first, last = min(effective), find_recovery_end(faults, end)
    return Phases(
        _compute_stretch(load, start, first), _compute_stretch(load, first, last), _compute_stretch(load, last, end)
    )


def _compute_stretch(load: LoadRequests, begin: float, end: float) -> Phase | None:
    if end <= begin:
        return None
    return compute_phase(load, (load.intended >= begin) & (load.intended < end), end - begin)


def compute_spread(load: LoadRequests, measured: Mask) -> Spread:
    """How evenly the measured replies came from the replicas."""
    counts = load.frame.loc[measured, "replica"].value_counts()
    return Spread.of({str(name): int(count) for name, count in sorted(counts.items()) if str(name)})


def compute_bytes(load: LoadRequests, mask: Mask) -> Bytes:
    """The mean size of the requests that ``mask`` selects and that were answered well."""
    ok = load.frame[mask & load.ok]
    if ok.empty:
        return Bytes(None, None)
    return Bytes(round(float(ok["bytes_sent"].mean()), 1), round(float(ok["bytes_received"].mean()), 1))


def compute_endpoint_stats(load: LoadRequests, measured: Mask) -> dict[str, EndpointStats]:
    """The measured requests by name, the most frequent first."""
    counts = load.frame.loc[measured, "name"].value_counts().head(MAX_NAMES)
    names = [str(name) for name in counts.index[counts > 0]]
    return {name: _compute_endpoint(load, measured & load.equals("name", name)) for name in names}


def _compute_endpoint(load: LoadRequests, mask: Mask) -> EndpointStats:
    latency = compute_percentiles((load.end - load.intended)[mask])
    size = compute_bytes(load, mask)
    statuses = load.frame.loc[mask, "status"].value_counts()
    return EndpointStats(
        requests=int(mask.sum()),
        ok=int((load.ok & mask).sum()),
        anomalies=int((mask & ~load.equals("anomaly", "none")).sum()),
        statuses={str(status): int(count) for status, count in statuses.items()},
        p50_ms=latency.p50,
        p99_ms=latency.p99,
        request_bytes=size.request_mean,
        response_bytes=size.response_mean,
    )


def compute_availability(
    load: LoadRequests, measured: Mask, faults: Sequence[FaultFigures], end: float
) -> Availability:
    """Correct replies over intended requests, in the measured time and while the faults lasted."""
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return Availability(_compute_correct_share(load, measured), None)
    healed = max((fault.healed or end for fault in faults), default=end)
    during = measured & (load.intended >= min(effective)) & (load.intended < healed)
    return Availability(_compute_correct_share(load, measured), _compute_correct_share(load, during))


def _compute_correct_share(load: LoadRequests, mask: Mask) -> float | None:
    return float((load.correct & mask).sum() / mask.sum()) if mask.any() else None
