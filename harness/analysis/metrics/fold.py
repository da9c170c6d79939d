"""The fold: from the observations of an arm to its figures. Pure, and repeatable on an old run.

Only requests intended inside the measured time (after the warm-up) count towards rates and percentiles;
sessions and writes are judged whole, from their first request to the final read.
"""

from harness.analysis.metrics.columns import Columns
from harness.analysis.metrics.faults import _fault_figures
from harness.analysis.metrics.messages import compute_message_figures
from harness.analysis.metrics.requests import _availability, _bytes, _names, _phase, _phases, _spread
from harness.analysis.metrics.resources import _driver_figures, _resources
from harness.analysis.metrics.sagas import compute_saga_figures
from harness.analysis.metrics.sessions import _sessions, _writes
from harness.analysis.metrics.unrecorded import unrecorded
from harness.results.arm_files import ArmObservations
from harness.results.summary import (
    ArmFigures,
)


def fold(observed: ArmObservations) -> ArmFigures:
    """All figures of one arm; where its requests were not recorded, those that can be told without."""
    arm, tallied = _fold(observed), observed.aggregates
    if tallied is None:
        return arm
    return unrecorded(arm, tallied, observed.duration - observed.warmup)


def _fold(observed: ArmObservations) -> ArmFigures:
    columns = Columns.of(observed.requests)
    start, end = observed.warmup, _end(observed, columns)
    measured = (columns.intended >= start) & (columns.intended < end)
    faults = tuple(_fault_figures(observed, columns, start, end))
    whole = _phase(columns, measured, end - start)
    return ArmFigures(
        requests=whole.requests,
        throughput=whole.throughput,
        latency_ms=whole.latency_ms,
        service_ms=whole.service_ms,
        phases=_phases(columns, faults, start, end),
        sessions=_sessions(observed),
        writes=_writes(observed),
        messages=compute_message_figures(observed.requests, observed.judgements, observed.events, start, end),
        spread=_spread(columns, measured),
        bytes=_bytes(columns, measured),
        faults=faults,
        availability=_availability(columns, measured, faults, end),
        resources=_resources(observed, start, end, (observed.aggregates or whole.requests).attempted),
        driver=_driver_figures(observed),
        sagas=compute_saga_figures(observed.effects),
        names=_names(columns, measured),
    )


def _end(observed: ArmObservations, columns: Columns) -> float:
    """The end of the measured time; of an arm that was cut off, its last request."""
    if observed.complete or not len(columns.end):
        return observed.duration
    return min(observed.duration, float(columns.end.max()))
