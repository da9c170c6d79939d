"""The fold: from the observations of an arm to its figures. Pure, and repeatable on an old run.

Only requests intended inside the measured time (after the warm-up) count towards rates and percentiles;
sessions and writes are judged whole, from their first request to the final read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta

from harness.messages import messages
from harness.observations import LOAD, Event, Sample
from harness.oracle.judge import Judgement, Loss
from harness.percentiles import percentiles
from harness.runs import ArmObservations
from harness.sagas import sagas
from harness.summary import (
    Arm,
    Availability,
    Bytes,
    Driver,
    FaultFigures,
    Named,
    Phase,
    Phases,
    Requests,
    Resources,
    Sessions,
    Spread,
    Throughput,
    Writes,
)
from harness.unrecorded import unrecorded

#: A driver busier than this, or whose loop is later than this, cannot be trusted with times.
SATURATED_CPU = 0.9
SATURATED_LAG_MS = 100.0
#: Recovered: correct goodput back at this share of before, for one second.
RECOVERED_SHARE = 0.95
RECOVERED_FOR = 1.0
_STEP = 0.05
#: Names told one by one, the most frequent first; where paths hold ids there are too many to tell.
MOST_NAMES = 64
_FOLDED = ("session", "op", "name", "status", "outcome", "anomaly", "replica", "boot", "t_intended", "t_sent", "t_end",
           "bytes_sent", "bytes_received")  # fmt: skip

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


#: The faults of a store: it holds the state of every session.
OF_ALL = ("kill_store", "kill_primary")

#: The faults that take state away, and the cause of a loss to each.
CAUSES = {
    "kill": "killed",
    "terminate": "stopped",
    "retire": "stopped",
    **dict.fromkeys(("pause", "partition", "stall", "unacknowledged", "cut"), "away"),
    **dict.fromkeys(OF_ALL, "store_died"),
}


@dataclass(frozen=True)
class Death:
    """Something that held state and was taken away: a replica by its boot id, or the store of all (no boot).

    It went between ``commanded`` and ``effective`` (seconds), when there was evidence of it: what is seen from
    ``commanded`` on may be its doing. ``reborn`` is the boot id that came back in its place. A paused replica is taken
    away too, from those whose clients go elsewhere meanwhile.
    """

    replica: str
    boot: str
    commanded: float
    reborn: str | None
    kind: str = "kill"
    effective: float = 0.0

    @property
    def cause(self) -> str:
        """What a loss to it is called."""
        return CAUSES[self.kind]

    @property
    def of_all(self) -> bool:
        """Whether it held the state of every session."""
        return self.kind in OF_ALL

    def took(self, loss: Loss) -> bool:
        """Whether a loss is its doing."""
        return loss.t_ns >= self.commanded * 1e9 if self.of_all else loss.boot_before == self.boot


@dataclass(frozen=True)
class Columns:
    """The requests of the load phase as arrays; times in seconds from T0."""

    frame: pd.DataFrame

    @classmethod
    def of(cls, requests: pd.DataFrame) -> "Columns":
        """The load phase alone: the final sweep is no load, nor is what a WebSocket brought unasked."""
        kept = [name for name in _FOLDED if name in requests]  # the others would only be copied
        return cls(requests.loc[requests["phase"].to_numpy() == LOAD, kept])

    def _seconds(self, name: str) -> npt.NDArray[np.float64]:
        return self.frame[name].to_numpy() / 1e9

    @cached_property
    def intended(self) -> npt.NDArray[np.float64]:
        """When each request should have started."""
        return self._seconds("t_intended")

    @cached_property
    def sent(self) -> npt.NDArray[np.float64]:
        """When each was sent."""
        return self._seconds("t_sent")

    @cached_property
    def end(self) -> npt.NDArray[np.float64]:
        """When each ended."""
        return self._seconds("t_end")

    @cached_property
    def ok(self) -> Mask:
        """Those that were answered well."""
        return self.equals("outcome", "ok")

    @cached_property
    def correct(self) -> Mask:
        """Those answered well and free of any anomaly."""
        return self.ok & self.equals("anomaly", "none")

    def equals(self, column: str, value: str) -> Mask:
        """Where a categorical column has this value."""
        return np.asarray(self.frame[column] == value)


def fold(observed: ArmObservations) -> Arm:
    """All figures of one arm; where its requests were not recorded, those that can be told without."""
    arm, tallied = _fold(observed), observed.tallied
    if tallied is None:
        return arm
    return unrecorded(arm, tallied, observed.duration - observed.warmup)


def _fold(observed: ArmObservations) -> Arm:
    columns = Columns.of(observed.requests)
    start, end = observed.warmup, _end(observed, columns)
    measured = (columns.intended >= start) & (columns.intended < end)
    faults = tuple(_fault_figures(observed, columns, start, end))
    whole = _phase(columns, measured, end - start)
    return Arm(
        requests=whole.requests,
        throughput=whole.throughput,
        latency_ms=whole.latency_ms,
        service_ms=whole.service_ms,
        phases=_phases(columns, faults, start, end),
        sessions=_sessions(observed),
        writes=_writes(observed),
        messages=messages(observed.requests, observed.judgements, observed.events, start, end),
        spread=_spread(columns, measured),
        bytes=_bytes(columns, measured),
        faults=faults,
        availability=_availability(columns, measured, faults, end),
        resources=_resources(observed, start, end, (observed.tallied or whole.requests).attempted),
        driver=_driver(observed),
        sagas=sagas(observed.effects),
        names=_names(columns, measured),
    )


def _end(observed: ArmObservations, columns: Columns) -> float:
    """The end of the measured time; of an arm that was cut off, its last request."""
    if observed.complete or not len(columns.end):
        return observed.duration
    return min(observed.duration, float(columns.end.max()))


def _phase(columns: Columns, mask: Mask, length: float) -> Phase:
    ok, correct = int((columns.ok & mask).sum()), int((columns.correct & mask).sum())
    in_doubt = int((columns.equals("outcome", "in_doubt") & mask).sum())
    attempted = int(mask.sum())
    return Phase(
        Requests(attempted, ok, attempted - ok - in_doubt, in_doubt),
        Throughput(ok / length, correct / length) if length > 0 else Throughput(None, None),
        percentiles((columns.end - columns.intended)[mask]),
        percentiles((columns.end - columns.sent)[mask]),
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


def _first(events: Sequence[Event], kind: str, like: Event) -> Event | None:
    found = (
        e
        for e in events
        if e.kind == kind and e.subject == like.subject and e.detail.get("kind") == like.detail.get("kind")
    )
    return next(found, None)


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


def deaths(events: Sequence[Event]) -> tuple[Death, ...]:
    """What was taken away with state in it, from the faults' evidence."""
    found = []
    for index, event in enumerate(events):
        kind = str(event.detail.get("kind"))
        if event.kind == "fault_commanded" and kind in CAUSES:
            effective = _first(events[index:], "fault_effective", event)
            healed = _first(events[index:], "fault_healed", event)
            if effective is not None and ("boot" in effective.detail or kind in OF_ALL):
                boot, reborn = effective.detail.get("boot", ""), healed.detail.get("boot") if healed else None
                new = None if reborn is None else str(reborn)
                found.append(Death(event.subject, str(boot), event.t, new, kind, effective.t))
    return tuple(found)


def at_risk(requests: pd.DataFrame, taken: Sequence[Death]) -> frozenset[int]:
    """The sessions with an acknowledged write whose last acknowledged reply before a death is of the victim's boot.

    A reply of the victim that arrives after its death (it was on its way) counts as before. The death of a store puts
    all at risk.
    """
    columns = Columns.of(requests)
    answered = columns.frame.loc[columns.ok, ["session", "op", "boot", "t_end"]]
    ended, boots = answered["t_end"].to_numpy() / 1e9, answered["boot"].astype(object).to_numpy()
    found: set[int] = set()
    for death in taken:
        before = answered[_before(death, ended, boots)]
        last = before.sort_values("t_end", kind="stable").groupby("session", sort=False)["boot"].last()
        wrote = set(before.loc[before["op"].to_numpy() != 0, "session"].unique().tolist())
        held = last.index if death.of_all else last.index[last == death.boot]
        found |= {int(session) for session in held if session in wrote}
    return frozenset(found)


def _before(death: Death, ended: npt.NDArray[np.float64], boots: npt.NDArray[np.object_]) -> Mask:
    """The replies that tell where a session stood when it happened."""
    if death.of_all:
        return np.asarray(ended <= death.effective)
    own: Mask = np.asarray(boots == death.boot, dtype=bool)
    if death.cause == "away":  # it answers again afterwards
        own &= ended <= death.effective
    return np.asarray((ended <= death.commanded) | own)


def cause_of(loss: Loss, taken: Sequence[Death]) -> str:
    """Why a state vanished: ``killed`` or ``stopped`` with its replica, or that ``away``; ``store_died`` with all;
    ``returned_empty``, an empty replica came back and took its session over from where it lived; ``moved``, the
    balancer sent its session to another replica that lives; ``unattributed`` where none of these explains it.
    """
    for death in taken:
        if death.took(loss):
            return death.cause
    if any(loss.boot_after == death.reborn for death in taken if death.reborn is not None):
        return "returned_empty"
    return "moved" if loss.boot_before != loss.boot_after else "unattributed"


def _sessions(observed: ArmObservations) -> Sessions:
    judged = known(observed.judgements)
    taken = deaths(observed.events)
    risky = at_risk(observed.requests, taken) & judged.keys() if taken else frozenset()
    lost = {session for session, ones in judged.items() if any(one.lost for one in ones)}
    causes = Counter(
        cause_of(loss, taken) for ones in judged.values() for one in ones if one.lost for loss in one.losses
    )
    by_death = {session for session in lost if _causes(judged[session], taken) != {"returned_empty"}}
    load = Columns.of(observed.requests).frame
    seen = len(judged.keys() | set(load["session"].unique().tolist()))
    started = max(seen, _whole(observed.driver.get("sessions")) or 0)  # a worker that died took some with it
    return Sessions(
        started=started,
        judged=len(judged),
        at_risk=len(risky) if taken else 0,
        expected_lost=None,
        lost=len(lost),
        loss_rate=len(lost) / len(judged) if judged else None,
        loss_interval_99=interval(len(lost), len(judged)) if judged else None,
        moved=int((load.dropna(subset=["replica"]).groupby("session")["replica"].nunique() > 1).sum()),
        rolled_back=_having(judged, "rolled_back"),
        stale=_having(judged, "stale"),
        leaked=_having(judged, "leaked"),
        forced_login=_having(judged, "forced_login"),
        unknown=started - len(judged),
        lost_by_cause=dict(causes),
        wrong=int(load.loc[np.asarray(load["anomaly"] == "wrong"), "session"].nunique()),
        lost_not_at_risk=len(by_death - risky) if taken else None,
        at_risk_not_lost=len(risky - lost) if taken else None,
    )


def _causes(judgements: Sequence[Judgement], taken: Sequence[Death]) -> set[str]:
    return {cause_of(loss, taken) for one in judgements for loss in one.losses}


def known(judgements: Sequence[Judgement]) -> dict[int, list[Judgement]]:
    """The judgements of each session of which it is known what happened.

    Several writers may share a session: it is as bad as its worst writer says, and unknown where one of them is.
    """
    found: dict[int, list[Judgement]] = {}
    for judgement in judgements:
        found.setdefault(judgement.session, []).append(judgement)
    return {session: ones for session, ones in found.items() if not any(one.unknown for one in ones)}


def _having(judged: Mapping[int, Sequence[Judgement]], what: str) -> int:
    return sum(any(getattr(one, what) for one in ones) for ones in judged.values())


def interval(hits: int, of: int, confidence: float = 0.99) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return round(low, 6), round(high, 6)


def _writes(observed: ArmObservations) -> Writes:
    ones = observed.judgements
    return Writes(
        acknowledged=sum(one.acknowledged for one in ones),
        lost=sum(one.lost_writes for one in ones) + _missing_effects(observed),
        duplicated=sum(one.duplicates for one in ones) + _repeated_effects(observed),
        in_doubt=sum(one.in_doubt for one in ones),
        recovered=sum(one.recovered for one in ones),
        unexplained=sum(one.unexplained for one in ones),
    )


def _repeated_effects(observed: ArmObservations) -> int:
    """Effects that took place more than once, of sessions whose own state does not show it already."""
    repeated = [op for (op, _), times in Counter((one.op, one.what) for one in observed.effects).items() if times > 1]
    if not repeated:
        return 0
    told = {one.session for one in observed.judgements if one.duplicates}
    asked = observed.requests[observed.requests["phase"].to_numpy() == LOAD]
    requests = asked[["op", "session"]].drop_duplicates("op")
    of = dict(zip(requests["op"].tolist(), requests["session"].tolist(), strict=True))
    return sum(of.get(op) not in told for op in repeated)


def _missing_effects(observed: ArmObservations) -> int:
    """Acknowledged writes of a kind that the effect journal records, and which are not in it."""
    if not observed.effects:
        return 0
    done = np.unique(np.array([one.op for one in observed.effects], dtype=np.uint64))
    asked = observed.requests["phase"].to_numpy() == LOAD
    writes = observed.requests[asked & (observed.requests["op"].to_numpy() != 0)]
    there = np.isin(writes["op"].to_numpy(), done)
    recorded = writes["name"].isin(writes.loc[there, "name"].unique())
    return int((recorded & (writes["outcome"] == "ok") & ~there).sum())


def _spread(columns: Columns, measured: Mask) -> Spread:
    counts = columns.frame.loc[measured, "replica"].value_counts()
    return Spread.of({str(name): int(count) for name, count in sorted(counts.items()) if str(name)})


def _bytes(columns: Columns, measured: Mask) -> Bytes:
    ok = columns.frame[measured & columns.ok]
    if ok.empty:
        return Bytes(None, None)
    return Bytes(round(float(ok["bytes_sent"].mean()), 1), round(float(ok["bytes_received"].mean()), 1))


def _names(columns: Columns, measured: Mask) -> dict[str, Named]:
    counts = columns.frame.loc[measured, "name"].value_counts().head(MOST_NAMES)
    names = [str(name) for name in counts.index[counts > 0]]
    return {name: _named(columns, measured & columns.equals("name", name)) for name in names}


def _named(columns: Columns, mask: Mask) -> Named:
    times = percentiles((columns.end - columns.intended)[mask])
    size = _bytes(columns, mask)
    return Named(
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


def _resources(observed: ArmObservations, start: float, end: float, requests: int) -> Resources:
    samples = [sample for sample in observed.samples if start <= sample.t <= end]
    cpu = {role: _mean_of_role(samples, role, "cpu") for role in ("driver", "replica", "balancer", "store")}
    memory = [_mean_of_role(samples, role, "memory_mb") for role in ("replica", "store")]
    serving = [value for role, value in cpu.items() if role != "driver" and value is not None]
    return Resources(
        driver_cpu=cpu["driver"],
        replica_cpu=cpu["replica"],
        balancer_cpu=cpu["balancer"],
        store_cpu=cpu["store"],
        memory_mb=sum(value for value in memory if value is not None) if any(memory) else None,
        cpu_ms_per_request=round(1e3 * sum(serving) * (end - start) / requests, 4) if serving and requests else None,
        processes=len({(one.role, one.name) for one in samples if one.role not in ("driver", "harness")}) or None,
        ports=_brought_up(observed, "ports"),
        config_lines=_brought_up(observed, "config_lines"),
    )


def _brought_up(observed: ArmObservations, what: str) -> int | None:
    """What was counted once all parts were up."""
    return next((int(e.detail[what] or 0) for e in observed.events if e.kind == "brought_up"), None)


def _mean_of_role(samples: Sequence[Sample], role: str, what: str) -> float | None:
    """The mean over time of a role's sum over its parts."""
    by_time: dict[float, float] = {}
    for sample in samples:
        if sample.role == role:
            by_time[sample.t] = by_time.get(sample.t, 0.0) + getattr(sample, what)
    return round(sum(by_time.values()) / len(by_time), 4) if by_time else None


def _driver(observed: ArmObservations) -> Driver:
    own = observed.driver
    cpu, lag = _cpu_of_drivers(observed), own.get("lag_p99_ms")
    busiest, core = max(cpu, default=None), own.get("core")
    saturated = None
    if busiest is not None and lag is not None:
        saturated = busiest > SATURATED_CPU or float(lag) > SATURATED_LAG_MS
    return Driver(
        saturated,
        None if lag is None else float(lag),
        _whole(own.get("late")),
        _whole(own.get("dropped")),
        None if busiest is None else round(busiest, 2),
        None if core is None else str(core),
    )


def _cpu_of_drivers(observed: ArmObservations) -> list[float]:
    """The median of what each load process used, in cores: as seen from outside, and by what it says itself."""
    used: dict[str, list[float]] = {}
    for sample in observed.samples:
        if sample.role == "driver" and sample.t >= observed.warmup:
            used.setdefault(sample.name, []).append(sample.cpu)
    own = observed.driver.get("cpu_median")
    return [float(np.median(values)) for values in used.values()] + ([] if own is None else [float(own)])


def _whole(value: float | str | None) -> int | None:
    return None if value is None else int(value)
