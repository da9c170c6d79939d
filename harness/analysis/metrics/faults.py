"""TODO: harness.analysis.metrics.faults."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from harness.analysis.metrics.columns import Columns
from harness.analysis.metrics.state_removal import _first
from harness.observations.events import Event
from harness.results.arm_files import ArmObservations
from harness.results.summary import (
    FaultFigures,
)

#: Recovered: correct goodput back at this share of before, for one second.
RECOVERED_SHARE = 0.95


RECOVERED_FOR = 1.0


_STEP = 0.05


def _recovered(faults: Sequence[FaultFigures], end: float) -> float:
    """When the last fault was undone, its errors over and goodput back; the end, where that never was."""
    times = [
        end
        if fault.effective is None or fault.recover_s is None
        else max(fault.effective + fault.recover_s, fault.effective + (fault.detect_s or 0), fault.healed or 0)
        for fault in faults
    ]
    return min(end, max(times))


def _fault_figures(observed: ArmObservations, columns: Columns, start: float, end: float) -> Iterator[FaultFigures]:
    commanded = [event for event in observed.events if event.kind == "fault_commanded"]
    for index, event in enumerate(commanded):
        after = observed.events[observed.events.index(event) :]
        effective = _first(after, "fault_effective", event)
        healed = _first(after, "fault_healed", event)
        until = commanded[index + 1].t if index + 1 < len(commanded) else end
        yield FaultFigures(
            kind=str(event.detail.get("kind")),
            target=event.subject,
            commanded=event.t,
            effective=effective.t if effective else None,
            healed=healed.t if healed else None,
            evidence={
                **(effective.detail if effective else {}),
                **({f"healed_{key}": value for key, value in healed.detail.items()} if healed else {}),
            },
            detect_s=_detect(columns, event, effective.t, until) if effective else None,
            recover_s=_recover(columns, start, effective.t, end) if effective else None,
            gray_s=_gray(columns, observed.events, _victim(effective), effective.t, healed.t if healed else end)
            if effective
            else None,
            surge=_surge(_births(observed, columns), start, event.t, end),
        )


def _detect(columns: Columns, commanded: Event, effective: float, until: float) -> float:
    """Seconds to the last error that no replica answered for (or, of a store, a replica's 5xx); 0 where none was."""
    caused = ~columns.ok & columns.frame["replica"].isna().to_numpy()
    if commanded.subject == "store":
        caused |= ~columns.ok & (columns.frame["status"].to_numpy() >= 500)
    caused &= (columns.end >= commanded.t) & (columns.sent < until)
    return round(max(0.0, float(columns.end[caused].max()) - effective), 4) if caused.any() else 0.0


def _births(observed: ArmObservations, columns: Columns) -> npt.NDArray[np.float64]:
    """When states came to be, in order: those of sessions that began, and of sessions that lost theirs."""
    begun = columns.frame.groupby("session", sort=False)["t_sent"].min().to_numpy() / 1e9
    again = np.array([loss.t_ns / 1e9 for one in observed.judgements for loss in one.losses], dtype=float)
    return np.sort(np.concatenate([begun, again]))


def _surge(births: npt.NDArray[np.float64], start: float, commanded: float, end: float) -> float | None:
    """The most births of any second after the fault over the mean second before it."""
    before = _count(births, start, commanded)
    if not before:
        return None
    after = births[(births >= commanded) & (births < end)]
    worst = max((_count(births, begin, begin + 1.0) for begin in after), default=0)
    return round(worst * (commanded - start) / before, 3)


def _victim(effective: Event) -> str:
    """The replica that a fault concerns, or the part that it names where that is none."""
    return str(effective.detail.get("replica", effective.subject))


def _gray(columns: Columns, events: Sequence[Event], replica: str, effective: float, healed: float) -> float | None:
    """Seconds in which the balancer held the target for up and requests went unanswered, from the first of these on.

    Unanswered is a request that nobody replied to, that the target failed (5xx), or that it replied to only once it was
    healed. None where the balancer does not tell what it believes.
    """
    told = [event for event in events if event.kind == "member_state" and event.subject == replica]
    if not told:
        return None
    until = min(
        (event.t for event in told if event.t >= effective and event.detail.get("state") != "up"), default=healed
    )
    until = min(until, healed)
    own_fault = columns.equals("replica", replica) & (columns.frame["status"].to_numpy() >= 500)
    unanswered = (~columns.ok & columns.frame["replica"].isna().to_numpy() | own_fault) & (columns.end >= effective)
    hung = (columns.end >= healed) & columns.equals("replica", replica)
    suffered = (unanswered | hung) & (columns.sent < until)
    if not suffered.any():
        return 0.0
    return round(max(0.0, until - max(effective, float(columns.sent[suffered].min()))), 4)


def _recover(columns: Columns, start: float, effective: float, end: float) -> float | None:
    """Seconds until correct goodput was back at 95 % of before and stayed so for one second; None if it never was."""
    good = np.sort(columns.end[columns.correct])
    rate = _count(good, start, effective) / (effective - start) if effective > start else 0.0
    for begin in np.arange(effective, end - RECOVERED_FOR + 1e-9, _STEP):
        if _count(good, begin, begin + RECOVERED_FOR) >= RECOVERED_SHARE * rate * RECOVERED_FOR:
            return round(float(begin) - effective, 4)
    return None


def _count(ordered: npt.NDArray[np.float64], begin: float, end: float) -> int:
    low, high = np.searchsorted(ordered, [begin, end])
    return int(high - low)
