"""What each fault did to the requests: how long it was noticed, how long it lasted, and what it set off."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis.metrics.pod_ends import find_pod_ends
from harness.analysis.metrics.recovery import FaultRecovery, Replies, Span, time_recoveries
from harness.analysis.metrics.shortfall import UsualShare, find_last_shortfall
from harness.observations.events import Event, EventKind
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats, LoadRequests, Mask
from harness.results.arm_files import ArmObservations
from harness.results.summary import FaultFigures

#: Sessions stay with one replica if this share of them does.
_STAYING = 0.9


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
    recoveries = time_recoveries(Replies.of(load, start, end), faults, start, end)
    return tuple(
        _compute_figures(fault, observed.events, load, births, recovery=recovery, until=until, start=start, end=end)
        for fault, until, recovery in zip(faults, next_commands, recoveries, strict=True)
    )


def _compute_figures(
    fault: FaultRecord,
    events: Sequence[Event],
    load: LoadRequests,
    births: Floats,
    *,
    recovery: FaultRecovery,
    until: float,
    start: float,
    end: float,
) -> FaultFigures:
    """One fault's figures. Errors until the next fault, at ``until``, are ascribed to it."""
    figures = FaultFigures(
        kind=fault.kind,
        target=fault.target,
        commanded=fault.commanded,
        effective=fault.onset,
        healed=fault.healed,
        evidence=fault.evidence,
        detect_s=None,
        recover_s=recovery.seconds,
        surge=_compute_surge(births, start, fault.commanded, end),
    )
    if fault.onset is None:
        return figures
    return replace(
        figures,
        detect_s=_time_detection(load, fault, fault.onset, recovery.calm, until),
        gray_s=_time_gray_failure(load, events, fault, fault.onset, end),
        pods=find_pod_ends(fault, load),
    )


def find_recovery_end(faults: Sequence[FaultFigures], end: float) -> float:
    """When the last fault was undone, its errors over and goodput back; ``end`` if that never happened."""
    times = [
        end
        if fault.effective is None or fault.recover_s is None
        else max(
            fault.effective + fault.recover_s,
            fault.effective + (fault.detect_s or fault.recover_s),
            fault.healed or fault.effective,
        )
        for fault in faults
    ]
    return min(end, max(times))


def _time_detection(load: LoadRequests, fault: FaultRecord, onset: float, calm: Sequence[Span], until: float) -> float:
    """Seconds from its effect to the last error that the victim caused; 0 if there was none.

    Errors without a reply are its doing by evidence, or where there are more of them than without any fault: in the
    ``calm`` spans.
    """
    errors = load.no_replica | (~load.ok & load.server_error & _find_replies_of_victim(load, fault))
    usual = UsualShare.count(~errors[_select_ended(load, calm)])
    inside = (load.end >= fault.commanded) & (load.sent < until)
    order = np.argsort(load.end, kind="stable")
    order = order[inside[order]]
    last = find_last_shortfall(~errors[order], usual)
    ends = [
        *load.end[errors & inside & _find_evidence(load, fault, calm)],
        *([] if last is None else [load.end[order[last]]]),
    ]
    return round(float(max([onset, *ends])) - onset, 4)


def _select_ended(load: LoadRequests, spans: Sequence[Span]) -> Mask:
    inside = np.zeros(len(load), dtype=bool)
    for begin, end in spans:
        inside |= (load.end >= begin) & (load.end < end)
    return inside


def _find_replies_of_victim(load: LoadRequests, fault: FaultRecord) -> Mask:
    """The requests that were answered by what the fault took away: this start of the replica, or any user of the store.

    A replica whose start is not known answered none.
    """
    if fault.target == "store":
        return ~load.frame["replica"].isna().to_numpy()
    boot = fault.evidence.get("boot")
    return np.zeros(len(load), dtype=bool) if boot is None else load.equals("boot", str(boot))


def _find_evidence(load: LoadRequests, fault: FaultRecord, calm: Sequence[Span]) -> Mask:
    """The requests that the victim would have answered.

    They are those on their way while it was struck, and until the undo those of its sessions. As long as a store is
    away, this is every request.
    """
    struck, undone = (np.inf if t is None else t for t in (fault.effective, fault.healed))
    if fault.target == "store":
        return load.sent < undone
    on_the_way = (load.sent <= struck) & (load.end >= fault.commanded)
    return on_the_way | (_find_sessions_of_victim(load, fault, calm[-1:]) & (load.sent < undone))


def _find_sessions_of_victim(load: LoadRequests, fault: FaultRecord, calm: Sequence[Span]) -> Mask:
    """The requests of which the session's last reply came from the victim, where sessions stay with one replica.

    They do if nine tenths of those with several replies in the ``calm`` span had all of them from one.
    """
    replies = load.frame.loc[_select_ended(load, calm) & load.frame["boot"].notna().to_numpy(), ["session", "boot"]]
    boots = replies.astype({"boot": object}).groupby("session", sort=False)["boot"].agg(["size", "nunique"])
    several = boots[boots["size"] > 1]
    if several.empty or (several["nunique"] == 1).mean() < _STAYING:
        return np.zeros(len(load), dtype=bool)
    by_victim = np.where(load.frame["boot"].isna(), np.nan, _find_replies_of_victim(load, fault))
    order = np.argsort(load.end, kind="stable")
    sessions = load.frame["session"].to_numpy()[order]
    last = pd.Series(by_victim[order]).groupby(sessions, sort=False).ffill().to_numpy()
    known = np.zeros(len(load), dtype=bool)
    known[order] = last == 1.0
    return known


def _compute_surge(births: Floats, start: float, commanded: float, end: float) -> float | None:
    """The most births of any second after the fault over the mean second before it; None with no birth before."""
    before = _count_between(births, start, commanded)
    if not before:
        return None
    after = births[(births >= commanded) & (births < end)]
    worst = max((_count_between(births, begin, begin + 1.0) for begin in after), default=0)
    return round(worst * (commanded - start) / before, 3)


def _time_gray_failure(
    load: LoadRequests, events: Sequence[Event], fault: FaultRecord, onset: float, end: float
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
    marked_down = [event.t for event in states if event.t >= onset and event.detail.get("state") != "up"]
    until = min([*marked_down, healed])
    from_target = load.equals("replica", replica)
    unanswered = (load.no_replica | (from_target & load.server_error)) & (load.end >= onset)
    hung = from_target & (load.end >= healed)
    affected = (unanswered | hung) & (load.sent < until)
    if not affected.any():
        return 0.0
    return round(max(0.0, until - max(onset, float(load.sent[affected].min()))), 4)


def _count_between(ordered: npt.NDArray[np.float64], begin: float, end: float) -> int:
    low, high = np.searchsorted(ordered, [begin, end])
    return int(high - low)
