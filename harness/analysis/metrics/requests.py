"""TODO: harness.analysis.metrics.requests."""

from collections.abc import Sequence

from harness.analysis.metrics.columns import Columns, Mask
from harness.analysis.metrics.faults import _recovered
from harness.analysis.metrics.percentiles import compute_percentiles
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

#: Names told one by one, the most frequent first; where paths hold ids there are too many to tell.
MAX_NAMES = 64


def _phase(columns: Columns, mask: Mask, length: float) -> Phase:
    ok, correct = int((columns.ok & mask).sum()), int((columns.correct & mask).sum())
    in_doubt = int((columns.equals("outcome", "in_doubt") & mask).sum())
    attempted = int(mask.sum())
    return Phase(
        RequestCounts(attempted, ok, attempted - ok - in_doubt, in_doubt),
        Throughput(ok / length, correct / length) if length > 0 else Throughput(None, None),
        compute_percentiles((columns.end - columns.intended)[mask]),
        compute_percentiles((columns.end - columns.sent)[mask]),
    )


def _phases(columns: Columns, faults: Sequence[FaultFigures], start: float, end: float) -> Phases:
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return Phases(None, None, None)
    first, last = min(effective), _recovered(faults, end)

    def stretch(begin: float, finish: float) -> Phase | None:
        mask = (columns.intended >= begin) & (columns.intended < finish)
        return _phase(columns, mask, finish - begin) if finish > begin else None

    return Phases(stretch(start, first), stretch(first, last), stretch(last, end))


def _spread(columns: Columns, measured: Mask) -> Spread:
    counts = columns.frame.loc[measured, "replica"].value_counts()
    return Spread.of({str(name): int(count) for name, count in sorted(counts.items()) if str(name)})


def _bytes(columns: Columns, measured: Mask) -> Bytes:
    ok = columns.frame[measured & columns.ok]
    if ok.empty:
        return Bytes(None, None)
    return Bytes(round(float(ok["bytes_sent"].mean()), 1), round(float(ok["bytes_received"].mean()), 1))


def _names(columns: Columns, measured: Mask) -> dict[str, EndpointStats]:
    counts = columns.frame.loc[measured, "name"].value_counts().head(MAX_NAMES)
    names = [str(name) for name in counts.index[counts > 0]]
    return {name: _named(columns, measured & columns.equals("name", name)) for name in names}


def _named(columns: Columns, mask: Mask) -> EndpointStats:
    times = compute_percentiles((columns.end - columns.intended)[mask])
    size = _bytes(columns, mask)
    return EndpointStats(
        requests=int(mask.sum()),
        ok=int((columns.ok & mask).sum()),
        anomalies=int((mask & ~columns.equals("anomaly", "none")).sum()),
        statuses={str(status): int(n) for status, n in columns.frame.loc[mask, "status"].value_counts().items()},
        p50_ms=times.p50,
        p99_ms=times.p99,
        request_bytes=size.request_mean,
        response_bytes=size.response_mean,
    )


def _availability(columns: Columns, measured: Mask, faults: Sequence[FaultFigures], end: float) -> Availability:
    def share(mask: Mask) -> float | None:
        return float((columns.correct & mask).sum() / mask.sum()) if mask.any() else None

    times = [fault.effective for fault in faults if fault.effective is not None]
    if not times:
        return Availability(share(measured), None)
    healed = max((fault.healed or end for fault in faults), default=end)
    return Availability(
        share(measured), share(measured & (columns.intended >= min(times)) & (columns.intended < healed))
    )
