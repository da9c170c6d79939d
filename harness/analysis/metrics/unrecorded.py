"""The figures of an arm whose requests were aggregated, not recorded: what aggregates cannot give is None."""

from collections.abc import Mapping
from dataclasses import replace

from harness.observations.aggregates import AggregateStats, Histogram
from harness.results.summary import (
    ArmFigures,
    Availability,
    Bytes,
    EndpointStats,
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
        requests=RequestCounts(attempted, ok, aggregates.failed, aggregates.in_doubt, aggregates.dropped),
        throughput=Throughput(ok / length, aggregates.correct / length) if length > 0 else Throughput(None, None),
        latency_ms=percentiles(aggregates.latency, slower=aggregates.dropped),
        service_ms=percentiles(aggregates.service),
        latency_is_lower_bound=aggregates.dropped > 0,
        phases=Phases(None, None, None),
        sessions=replace(
            arm.sessions,
            at_risk=None,
            lost_not_at_risk=None,
            at_risk_not_lost=None,
            moved=aggregates.moved,
            wrong=aggregates.wrong,
        ),
        names=_count_by_name(aggregates.by_name or {}),
        spread=Spread.of(aggregates.per_replica or {}),
        bytes=Bytes(_mean(aggregates.bytes_sent, ok), _mean(aggregates.bytes_received, ok)),
        faults=tuple(
            replace(fault, detect_s=None, recover_s=None, gray_s=None, surge=None, pods=()) for fault in arm.faults
        ),
        availability=Availability(aggregates.correct / attempted if attempted else None, None),
    )


def _count_by_name(counts: Mapping[str, int]) -> dict[str, EndpointStats]:
    """The requests by their names, the most frequent first; times and bytes are not known."""
    totals: dict[str, dict[str, int]] = {}
    statuses: dict[str, dict[str, dict[str, int]]] = {}
    for key, count in counts.items():
        kind, _, name = key.partition(" ")
        if kind in ("status", "failure"):
            status, _, name = name.partition(" ")
            statuses.setdefault(name, {}).setdefault(kind, {})[status] = count
        else:
            totals.setdefault(name, {})[kind] = count
    ordered = sorted(totals, key=lambda name: -totals[name].get("requests", 0))
    return {
        name: EndpointStats(
            requests=totals[name].get("requests", 0),
            ok=totals[name].get("ok", 0),
            anomalies=totals[name].get("anomalies", 0),
            statuses=statuses.get(name, {}).get("status", {}),
            p50_ms=None,
            p99_ms=None,
            request_bytes=None,
            response_bytes=None,
            correct=totals[name].get("correct", 0),
            wrong=totals[name].get("wrong", 0),
            failures=statuses.get(name, {}).get("failure", {}),
        )
        for name in ordered
    }


def percentiles(times: Histogram, slower: int = 0) -> Percentiles:
    """Percentiles in milliseconds, to three digits; so many ``slower`` requests count as the slowest of ``times``."""
    return Percentiles(*(times.milliseconds(percent, slower) for percent in (50, 90, 99, 99.9, 100)))


def _mean(total: int, of: int) -> float | None:
    return round(total / of, 1) if of else None
