"""A small seeded run for tests, with every figure that charts and report show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.observations.events import Event
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.arm_files import ArmObservations
from harness.results.summary import (
    ArmFigures,
    Availability,
    Bytes,
    Calibration,
    Controls,
    DesignSummary,
    DriverFigures,
    Echo,
    FaultFigures,
    Percentiles,
    Phase,
    Phases,
    RequestCounts,
    Resources,
    SessionFigures,
    Spread,
    Summary,
    Throughput,
    WriteFigures,
)

EFFECTIVE, HEALED = 8.0, 14.0
REPLICAS = ("r0", "r1", "r2")


@dataclass(frozen=True)
class Fake:
    """How a design of the run behaves."""

    name: str
    lost: int = 0
    sessions: int = 200
    requests: int = 6000
    latency_ms: float = 4.0
    describe: Mapping[str, str | int | float] = field(default_factory=dict)


TRIO = (Fake("sticky", lost=67), Fake("stateless", latency_ms=5.0), Fake("hybrid", latency_ms=6.5))


def table(
    t_intended_ms: Sequence[float] | Any,
    latency_ms: Sequence[float] | Any,
    outcome: Sequence[int] | Any = 0,
    anomaly: Sequence[int] | Any = 0,
    phase: int = 0,
) -> pd.DataFrame:
    """Requests as in requests.parquet; a scalar applies to every row."""
    start = (np.asarray(t_intended_ms, dtype=float) * 1e6).astype(np.int64)
    size = start.size
    whole = np.broadcast_to
    end = start + (whole(np.asarray(latency_ms, dtype=float), size) * 1e6).astype(np.int64)
    return pd.DataFrame(
        {
            "session": np.arange(size, dtype=np.uint32) % 200,
            "outcome": _category(whole(outcome, size), [kind.name.lower() for kind in Outcome]),
            "anomaly": _category(whole(anomaly, size), [kind.name.lower() for kind in Anomaly]),
            "replica": _category(np.arange(size) % len(REPLICAS), REPLICAS),
            "phase": np.full(size, phase, dtype=np.uint8),
            "t_intended": start,
            "t_sent": start,
            "t_first": end,
            "t_end": end,
        }
    )


def _category(codes: Any, names: Sequence[str]) -> pd.Categorical:
    return pd.Categorical([names[code] for code in codes], categories=list(names))


def observations(fake: Fake, arm: str, seed: int = 1) -> ArmObservations:
    """Twenty seconds of load; the fault arm has 1.4 s of errors, 3 s of slow requests, and the losses."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.uniform(0, 20_000, fake.requests))
    latency = rng.lognormal(np.log(fake.latency_ms), 0.35, fake.requests)
    outcome, anomaly = np.zeros(fake.requests, dtype=int), np.zeros(fake.requests, dtype=int)
    events: tuple[Event, ...] = ()
    losses: list[tuple[Loss, ...]] = [()] * fake.sessions
    if arm == "fault":
        hit = (start >= 1000 * EFFECTIVE) & (rng.random(fake.requests) < 0.33)
        early = hit & (start < 1000 * EFFECTIVE + 1400)
        outcome[early] = rng.integers(1, 3, int(early.sum()))
        latency[hit & (start < 1000 * EFFECTIVE + 3000)] *= 40
        if fake.lost:
            anomaly[hit & ~early & (start < 1000 * EFFECTIVE + 2500)] = Anomaly.LOST
        when = rng.uniform(EFFECTIVE, EFFECTIVE + 2.5, fake.lost)
        losses[: fake.lost] = [(Loss(int(t * 1e9), "a", "b", "x", "y", 3),) for t in when]
        events = tuple(
            Event(t, f"fault_{kind}", "r1", {"kind": "kill"})
            for t, kind in ((EFFECTIVE - 0.01, "commanded"), (EFFECTIVE, "effective"), (HEALED, "healed"))
        )
    judged = tuple(judgement(session, lost) for session, lost in enumerate(losses))
    requests = table(start, latency, outcome, anomaly)
    return ArmObservations(fake.name, arm, requests, events, (), judged, warmup=2.0, duration=20.0)


def judgement(
    session: int, losses: tuple[Loss, ...] = (), outcome: SessionOutcome = SessionOutcome.KEPT
) -> SessionVerdict:
    """A session's verdict: ``outcome``, or a loss if there are ``losses`` and no other outcome is given."""
    if losses and outcome is SessionOutcome.KEPT:
        outcome = SessionOutcome.LOST
    return SessionVerdict(session=session, outcome=outcome, lost=bool(losses), losses=losses)


def percentiles(p50: float | None) -> Percentiles:
    """Percentiles in a plausible proportion to the median; all None if it is None."""
    return Percentiles(*(None if p50 is None else p50 * factor for factor in (1, 2, 4, 8, 20)))


def phase(rate: float, p50: float = 4.0, failed: int = 0, in_doubt: int = 0) -> Phase:
    """A phase of 1,000 successful requests, and the errors."""
    counts = RequestCounts(1000 + failed + in_doubt, 1000, failed, in_doubt)
    return Phase(counts, Throughput(rate, rate), percentiles(p50), percentiles(p50))


def arm(fake: Fake, name: str) -> ArmFigures:
    """The figures of one arm."""
    fault = name == "fault"
    lost = fake.lost if fault else 0
    fast = fake.latency_ms
    faults = (FaultFigures("kill", "r1", 7.99, EFFECTIVE, HEALED, {"pid_gone": 4711}, 1.4, 2.1),) if fault else ()
    during = Phases(phase(300), phase(251.5, fast * 3, 60, 12), phase(299)) if fault else Phases(None, None, None)
    return ArmFigures(
        requests=RequestCounts(5400, 5328 if fault else 5400, 60 if fault else 0, 12 if fault else 0),
        throughput=Throughput(300.0, 290.0 if fault else 300.0),
        latency_ms=percentiles(fast * (3 if fault else 1)),
        service_ms=percentiles(fast),
        phases=during,
        sessions=SessionFigures(
            started=fake.sessions,
            judged=fake.sessions,
            at_risk=lost if fault else None,
            expected_lost=lost if fault else 0,
            lost=lost,
            loss_rate=lost / fake.sessions if fake.sessions else None,
            loss_interval_99=(max(lost / fake.sessions - 0.08, 0.0), lost / fake.sessions + 0.08)
            if fake.sessions
            else None,
            moved=0,
            rolled_back=0,
            stale=0,
            leaked=0,
            forced_login=0,
            unknown=0,
            lost_by_cause={"killed": lost} if lost else {},
            lost_not_at_risk=0,
            at_risk_not_lost=0,
        ),
        writes=WriteFigures(48_210, lost * 3, 0, 12 if fault else 0, 3 if fault else 0, 0),
        spread=Spread(
            {"r0": 1810, "r1": 1700 - 900 * fault, "r2": 1890 + 900 * fault}, 1.05, 0.045 if not fault else 0.37
        ),
        bytes=Bytes(212.0, 340.5 + 200 * (fake.name == "stateless")),
        faults=faults,
        availability=Availability(0.987, 0.91 if fault else None),
        resources=Resources(0.31, 0.5, 0.12, 0.08 if fake.name == "hybrid" else None, 182.0, 2.1),
        driver=DriverFigures(False, 0.8, 0, 0),
    )


def summary(fakes: Sequence[Fake] = TRIO, arms: Sequence[str] = ("control", "fault")) -> Summary:
    """A summary of these designs, with both controls."""
    designs = {
        fake.name: DesignSummary(
            describe=fake.describe,
            arms={name: arm(fake, name) for name in arms},
            finding=SessionOutcome.LOST if fake.lost else SessionOutcome.KEPT,
            verdict="pass",
            why=(f"expected to {'lose those at risk' if fake.lost else 'keep all'}, and did",),
        )
        for fake in fakes
    }
    kept, lost, leaked = SessionOutcome.KEPT, SessionOutcome.LOST, SessionOutcome.LEAKED
    matrix = {kept: {kept: 40}, lost: {lost: 40}, leaked: {leaked: 39, kept: 1}}
    controls = Controls(Calibration(matrix, 120, 119), Echo(90_000, 4500.0, 0.21, 0.9, 0.98))
    return Summary("node_kill", "20250101T000000-abcd", designs, controls, "pass")


def runs(fakes: Sequence[Fake] = TRIO, arms: Sequence[str] = ("control", "fault")) -> list[ArmObservations]:
    """The observations of every arm of these designs."""
    return [observations(fake, name, seed) for seed, fake in enumerate(fakes) for name in arms]


def empty(observed: ArmObservations) -> ArmObservations:
    """The same arm without any observation."""
    return replace(observed, requests=observed.requests.iloc[:0], judgements=(), events=())
