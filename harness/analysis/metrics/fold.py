"""The fold: from the observations of an arm to its figures. Pure, and repeatable on an old run.

Only requests intended inside the measured time (after the warm-up) count towards rates and percentiles;
sessions and writes are judged whole, from their first request to the final read.
"""

from dataclasses import replace

from harness.analysis.metrics.faults import compute_fault_figures
from harness.analysis.metrics.messages import compute_message_figures
from harness.analysis.metrics.names import compute_endpoint_stats
from harness.analysis.metrics.requests import (
    compute_availability,
    compute_bytes,
    compute_phase,
    compute_phases,
    compute_spread,
)
from harness.analysis.metrics.resources import compute_driver_figures, compute_resources
from harness.analysis.metrics.sagas import compute_saga_figures
from harness.analysis.metrics.sessions import compute_session_figures, compute_write_figures
from harness.analysis.metrics.unrecorded import replace_with_aggregates
from harness.observations.load_requests import LoadRequests
from harness.results.arm_files import ArmObservations
from harness.results.summary import ArmFigures


def fold(observed: ArmObservations) -> ArmFigures:
    """All figures of one arm; without records of its requests, those that the aggregates give."""
    arm, aggregates = _fold_records(observed), observed.aggregates
    if aggregates is None:
        return arm
    whole = replace_with_aggregates(arm, aggregates, observed.duration - observed.warmup)
    return replace(whole, driver=compute_driver_figures(observed, {"": whole.latency_ms}, whole.requests.attempted))


def _fold_records(observed: ArmObservations) -> ArmFigures:
    load = LoadRequests.select(observed.requests)
    start, end = observed.warmup, observed.duration
    if not observed.complete and len(load):  # an arm that was cut off ends with its last request
        end = min(end, float(load.end.max()))
    measured = (load.intended >= start) & (load.intended < end)
    dropped = int(((load.dropped_intended >= start) & (load.dropped_intended < end)).sum())
    faults = compute_fault_figures(observed, load, start, end)
    whole = compute_phase(load, measured, dropped, end - start)
    phases = compute_phases(load, faults, start, end)
    parts = {"": whole, "before": phases.before, "during": phases.during, "after": phases.after}
    reported = {when: part.latency_ms for when, part in parts.items() if part is not None}
    return ArmFigures(
        requests=whole.requests,
        throughput=whole.throughput,
        latency_ms=whole.latency_ms,
        service_ms=whole.service_ms,
        phases=phases,
        sessions=compute_session_figures(observed, load),
        writes=compute_write_figures(observed, load),
        messages=compute_message_figures(observed.requests, observed.judgements, observed.faults, start, end),
        spread=compute_spread(load, measured),
        bytes=compute_bytes(load, measured),
        faults=faults,
        availability=compute_availability(load, faults, start, end),
        resources=compute_resources(observed, start, end, (observed.aggregates or whole.requests).attempted),
        driver=compute_driver_figures(observed, reported, whole.requests.attempted),
        sagas=compute_saga_figures(observed.effects),
        names=compute_endpoint_stats(load, measured, faults, end),
        latency_is_lower_bound=whole.latency_is_lower_bound,
    )
