"""The figures of an arm whose requests were tallied, not recorded: what can be told of it; the rest is None."""

from dataclasses import replace

from harness.observations.aggregates import AggregateStats, Histogram
from harness.results.summary import (
    ArmFigures,
    Availability,
    Bytes,
    FaultFigures,
    Percentiles,
    Phases,
    RequestCounts,
    Spread,
    Throughput,
)


def unrecorded(arm: ArmFigures, tallied: AggregateStats, length: float) -> ArmFigures:
    """The arm as folded without any request, with what was tallied in ``length`` seconds in its place."""
    ok, attempted = tallied.ok, tallied.attempted
    return replace(
        arm,
        requests=RequestCounts(attempted, ok, tallied.failed, tallied.in_doubt),
        throughput=Throughput(ok / length, tallied.correct / length) if length > 0 else Throughput(None, None),
        latency_ms=percentiles(tallied.latency),
        service_ms=percentiles(tallied.service),
        phases=Phases(None, None, None),
        sessions=replace(
            arm.sessions,
            at_risk=None,
            lost_not_at_risk=None,
            at_risk_not_lost=None,
            moved=tallied.moved,
            wrong=tallied.wrong,
        ),
        spread=Spread.of(tallied.per_replica or {}),
        bytes=Bytes(_mean(tallied.bytes_sent, ok), _mean(tallied.bytes_received, ok)),
        faults=tuple(_fault(fault) for fault in arm.faults),
        availability=Availability(tallied.correct / attempted if attempted else None, None),
    )


def percentiles(times: Histogram) -> Percentiles:
    """Percentiles in milliseconds, to three digits."""
    return Percentiles(*(times.milliseconds(percent) for percent in (50, 90, 99, 99.9, 100)))


def _fault(fault: FaultFigures) -> FaultFigures:
    return replace(fault, detect_s=None, recover_s=None, gray_s=None, surge=None)


def _mean(total: int, of: int) -> float | None:
    return round(total / of, 1) if of else None
