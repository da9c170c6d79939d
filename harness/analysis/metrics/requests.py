"""Counts, rates, latencies and bytes of the requests of an arm, whole and by phase, name and replica."""

import itertools
from collections.abc import Sequence

import numpy as np

from harness.analysis.metrics.faults import find_recovery_end
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.observations.load_requests import Floats, LoadRequests, Mask
from harness.results.summary import (
    Availability,
    Bytes,
    FaultFigures,
    Phase,
    Phases,
    RequestCounts,
    Spread,
    Throughput,
)


def compute_phase(load: LoadRequests, mask: Mask, dropped: int, length: float) -> Phase:
    """The figures of the requests that ``mask`` selects and of so many dropped arrivals, in ``length`` seconds.

    A dropped arrival failed. It was never served, so in latency it counts as slow as the slowest that was.
    """
    ok, correct = int((load.ok & mask).sum()), int((load.correct & mask).sum())
    in_doubt = int((load.equals("outcome", "in_doubt") & mask).sum())
    attempted = int(mask.sum()) + dropped
    return Phase(
        RequestCounts(attempted, ok, attempted - ok - in_doubt, in_doubt, dropped),
        Throughput(ok / length, correct / length) if length > 0 else Throughput(None, None),
        compute_percentiles((load.end - load.intended)[mask], slower=dropped),
        compute_percentiles((load.end - load.sent)[mask]),
        latency_is_lower_bound=dropped > 0,
    )


def compute_phases(load: LoadRequests, faults: Sequence[FaultFigures], start: float, end: float) -> Phases:
    """The measured requests that ended before the first fault took effect, until the last had recovered, and after.

    ``start`` and ``end`` are the measured time, in seconds from T0.
    """
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return Phases(None, None, None)
    first, last = min(effective), find_recovery_end(faults, end)
    bounds = (-np.inf, first, last, np.inf) if last < end else (-np.inf, first, np.inf, np.inf)
    lengths = (first - start, last - first, end - last)
    return Phases(
        *(
            _compute_stretch(load, (start, end), span, length)
            for span, length in zip(itertools.pairwise(bounds), lengths, strict=True)
        )
    )


def _compute_stretch(
    load: LoadRequests, measured: tuple[float, float], ended: tuple[float, float], length: float
) -> Phase | None:
    """The requests that were intended in the measured time and ended in a stretch of it; None if that is empty."""
    if length <= 0:
        return None
    mask = _lies_in(load.intended, measured) & _lies_in(load.end, ended)
    dropped = _lies_in(load.dropped_intended, measured) & _lies_in(load.dropped_end, ended)
    return compute_phase(load, mask, int(dropped.sum()), length)


def _lies_in(times: Floats, span: tuple[float, float]) -> Mask:
    return (times >= span[0]) & (times < span[1])


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


def compute_availability(load: LoadRequests, faults: Sequence[FaultFigures], start: float, end: float) -> Availability:
    """Correct replies over intended requests, dropped ones included: in the measured time, and while faults lasted."""
    whole = (-np.inf, np.inf)
    overall = _compute_correct_share(load, (start, end), whole)
    effective = [fault.effective for fault in faults if fault.effective is not None]
    if not effective:
        return Availability(overall, None)
    healed = max(np.inf if fault.healed is None else fault.healed for fault in faults)
    return Availability(overall, _compute_correct_share(load, (start, end), (min(effective), healed)))


def _compute_correct_share(
    load: LoadRequests, measured: tuple[float, float], ended: tuple[float, float]
) -> float | None:
    mask = _lies_in(load.intended, measured) & _lies_in(load.end, ended)
    dropped = _lies_in(load.dropped_intended, measured) & _lies_in(load.dropped_end, ended)
    attempted = int(mask.sum()) + int(dropped.sum())
    return float((load.correct & mask).sum() / attempted) if attempted else None
