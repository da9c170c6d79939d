"""The figures of an arm whose requests were aggregated, not recorded: what aggregates cannot give is None."""

from dataclasses import replace

from harness.observations.aggregates import AggregateStats, Histogram
from harness.results.summary import (
    ArmFigures,
    Availability,
    Bytes,
    Percentiles,
    Phases,
    RequestCounts,
    Spread,
    Throughput,
)


def replace_with_aggregates(arm: ArmFigures, aggregates: AggregateStats, length: float) -> ArmFigures:
    """The figures of an arm without any request, filled with the aggregates of ``length`` seconds."""
    ok, attempted = aggregates.ok, aggregates.attempted
    return replace(
        arm,
        requests=RequestCounts(attempted, ok, aggregates.failed, aggregates.in_doubt),
        throughput=Throughput(ok / length, aggregates.correct / length) if length > 0 else Throughput(None, None),
        latency_ms=percentiles(aggregates.latency),
        service_ms=percentiles(aggregates.service),
        phases=Phases(None, None, None),
        sessions=replace(
            arm.sessions,
            at_risk=None,
            lost_not_at_risk=None,
            at_risk_not_lost=None,
            moved=aggregates.moved,
            wrong=aggregates.wrong,
        ),
        spread=Spread.of(aggregates.per_replica or {}),
        bytes=Bytes(_mean(aggregates.bytes_sent, ok), _mean(aggregates.bytes_received, ok)),
        faults=tuple(replace(fault, detect_s=None, recover_s=None, gray_s=None, surge=None) for fault in arm.faults),
        availability=Availability(aggregates.correct / attempted if attempted else None, None),
    )


def percentiles(times: Histogram) -> Percentiles:
    """Percentiles in milliseconds, to three digits."""
    return Percentiles(*(times.milliseconds(percent) for percent in (50, 90, 99, 99.9, 100)))


def _mean(total: int, of: int) -> float | None:
    return round(total / of, 1) if of else None
