"""What each fault did to the requests: how long it was noticed, how long it lasted, and what it set off."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.observations.events import Event, EventKind
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats, LoadRequests
from harness.results.arm_files import ArmObservations
from harness.results.summary import FaultFigures

#: Recovered: correct goodput is back at this share of before, for this many seconds.
RECOVERED_SHARE = 0.95
RECOVERED_FOR_S = 1.0
_STEP_S = 0.05


def compute_fault_figures(
    observed: ArmObservations, load: LoadRequests, start: float, end: float
) -> tuple[FaultFigures, ...]:
    """The figures of every fault. ``start`` and ``end`` are the measured time, in seconds from T0."""
    faults = observed.faults
    if not faults:
        return ()
    # When states were created, in order: those of sessions that began, and of sessions that lost theirs.
    begun = load.frame.groupby("session", sort=False)["t_sent"].min().to_numpy() / 1e9
    losses = [loss.t_ns / 1e9 for verdict in observed.judgements for loss in verdict.losses]
    births = np.sort(np.concatenate([begun, np.array(losses, dtype=float)]))
    next_commands = [*(fault.commanded for fault in faults[1:]), end]
    return tuple(
        _compute_figures(fault, observed.events, load, births, until=until, start=start, end=end)
        for fault, until in zip(faults, next_commands, strict=True)
    )


def _compute_figures(
    fault: FaultRecord,
    events: Sequence[Event],
    load: LoadRequests,
    births: Floats,
    *,
    until: float,
    start: float,
    end: float,
) -> FaultFigures:
    """One fault's figures. Errors until the next fault, at ``until``, are ascribed to it."""
    figures = FaultFigures(
        kind=fault.kind,
        target=fault.target,
        commanded=fault.commanded,
        effective=fault.effective,
        healed=fault.healed,
        evidence=fault.evidence,
        detect_s=None,
        recover_s=None,
        surge=_compute_surge(births, start, fault.commanded, end),
    )
    if fault.effective is None:
        return figures
    return replace(
        figures,
        detect_s=_time_detection(load, fault, fault.effective, until),
        recover_s=_time_recovery(load, start, fault.effective, end),
        gray_s=_time_gray_failure(load, events, fault, fault.effective, end),
    )


def find_recovery_end(faults: Sequence[FaultFigures], end: float) -> float:
    """When the last fault was undone, its errors over and goodput back; ``end`` if that never happened."""
    times = [
        end
        if fault.effective is None or fault.recover_s is None
        else max(fault.effective + fault.recover_s, fault.effective + (fault.detect_s or 0), fault.healed or 0)
        for fault in faults
    ]
    return min(end, max(times))


def _time_detection(load: LoadRequests, fault: FaultRecord, effective: float, until: float) -> float:
    """Seconds to the last error that no replica answered for (or, of a store, a replica's 5xx); 0 if there was none."""
    caused = load.no_replica
    if fault.target == "store":
        caused = caused | (~load.ok & load.server_error)
    caused = caused & (load.end >= fault.commanded) & (load.sent < until)
    return round(max(0.0, float(load.end[caused].max()) - effective), 4) if caused.any() else 0.0


def _compute_surge(births: Floats, start: float, commanded: float, end: float) -> float | None:
    """The most births of any second after the fault over the mean second before it; None with no birth before."""
    before = _count_between(births, start, commanded)
    if not before:
        return None
    after = births[(births >= commanded) & (births < end)]
    worst = max((_count_between(births, begin, begin + 1.0) for begin in after), default=0)
    return round(worst * (commanded - start) / before, 3)


def _time_gray_failure(
    load: LoadRequests, events: Sequence[Event], fault: FaultRecord, effective: float, end: float
) -> float | None:
    """Seconds in which the balancer held the target for up and requests went unanswered, from the first of these on.

    Unanswered is a request without any reply, one that the target failed (5xx), and one to which the target replied
    only after it was healed. None if the balancer does not report what it believes.
    """
    replica = str(fault.evidence.get("replica", fault.target))
    states = [event for event in events if event.kind == EventKind.MEMBER_STATE and event.subject == replica]
    if not states:
        return None
    healed = end if fault.healed is None else fault.healed
    marked_down = [event.t for event in states if event.t >= effective and event.detail.get("state") != "up"]
    until = min([*marked_down, healed])
    from_target = load.equals("replica", replica)
    unanswered = (load.no_replica | (from_target & load.server_error)) & (load.end >= effective)
    hung = from_target & (load.end >= healed)
    affected = (unanswered | hung) & (load.sent < until)
    if not affected.any():
        return 0.0
    return round(max(0.0, until - max(effective, float(load.sent[affected].min()))), 4)


def _time_recovery(load: LoadRequests, start: float, effective: float, end: float) -> float | None:
    """Seconds until correct goodput was back at 95 % of before and stayed so for one second; None if it never was."""
    good = np.sort(load.end[load.correct])
    rate = _count_between(good, start, effective) / (effective - start) if effective > start else 0.0
    for begin in np.arange(effective, end - RECOVERED_FOR_S + 1e-9, _STEP_S):
        if _count_between(good, begin, begin + RECOVERED_FOR_S) >= RECOVERED_SHARE * rate * RECOVERED_FOR_S:
            return round(float(begin) - effective, 4)
    return None


def _count_between(ordered: npt.NDArray[np.float64], begin: float, end: float) -> int:
    low, high = np.searchsorted(ordered, [begin, end])
    return int(high - low)
