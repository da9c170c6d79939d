"""One session's story: its requests, the replica and boot that answered, the fault, and why it was judged so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analysis.metrics.state_removal import find_cause, find_sessions_at_risk, find_state_removals
from harness.common.errors import UsageError
from harness.observations.requests import SWEEP, UNASKED
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations


@dataclass(frozen=True)
class TraceLine:
    """One line of a story."""

    t: float  # seconds from T0
    what: str
    outcome: str = ""
    replica: str = ""
    boot: str = ""
    op: str = ""
    note: str = ""


@dataclass(frozen=True)
class SessionTrace:
    """A session, from its first request to its judgement."""

    design: str
    arm: str
    session: int
    lines: tuple[TraceLine, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class NotableSession:
    """A session worth a story, and the reason."""

    design: str
    arm: str
    session: int
    kind: str
    at_risk: bool | None
    cause: str


def find_notable_sessions(arms: Sequence[ArmObservations]) -> tuple[NotableSession, ...]:
    """The sessions to which something happened, and those where theory and fact differ."""
    return tuple(one for arm in arms for one in _of_arm(arm))


def _of_arm(arm: ArmObservations) -> Iterator[NotableSession]:
    killed = find_state_removals(arm.events)
    known = bool(killed) and arm.aggregates is None
    risky = find_sessions_at_risk(arm.requests, killed) if known else frozenset()
    for one in arm.judgements:
        risk = one.session in risky if known else None
        if one.outcome is not SessionOutcome.KEPT:
            causes = " then ".join(dict.fromkeys(find_cause(loss, killed) for loss in one.losses))
            yield NotableSession(arm.design, arm.arm, one.session, one.outcome, risk, causes)


def trace_session(arms: Sequence[ArmObservations], name: str) -> SessionTrace:
    """The story of ``DESIGN/SESSION`` (its arm with the fault first) or ``DESIGN/ARM/SESSION``.

    Raises:
        UsageError: no such session in this run.
    """
    design, *middle, number = name.split("/")
    wanted = middle[0] if middle else None
    for arm in sorted(arms, key=lambda one: one.arm != "fault"):
        if arm.design == design and wanted in (None, arm.arm) and number.isdigit():
            requests = arm.requests[arm.requests["session"] == int(number)]
            if len(requests) or any(one.session == int(number) for one in arm.judgements):
                return _told(arm, int(number), requests)
    raise UsageError(
        f"no session {name!r} in this run", "name it like sticky/17; harness explain RUN lists those worth a look"
    )


def _told(arm: ArmObservations, session: int, requests: pd.DataFrame) -> SessionTrace:
    lines = [
        *_requests(requests),
        *(_event(event.t, event.kind, event.subject, dict(event.detail)) for event in arm.events),
    ]
    judgements = [one for one in arm.judgements if one.session == session]
    why = tuple(sentence for one in judgements for sentence in _why(one, arm))
    ordered = tuple(sorted(lines, key=lambda line: line.t))
    return SessionTrace(arm.design, arm.arm, session, ordered, why or ("it was not judged: its arm was cut off",))


_PHASES = {SWEEP: "the final read", UNASKED: "came unasked"}


def _requests(requests: pd.DataFrame) -> Iterator[TraceLine]:
    boots: set[str] = set()
    rows: list[dict[Any, Any]] = requests.sort_values("t_sent", kind="stable").to_dict("records")
    for row in rows:
        boot = "" if pd.isna(row["boot"]) else str(row["boot"])
        notes = [
            "" if row["anomaly"] == "none" else str(row["anomaly"]).upper(),
            _PHASES.get(row["phase"], ""),
            "another boot answers" if boot and boots and boot not in boots else "",
            "reconnected" if row["reconnected"] else "",
        ]
        boots |= {boot} - {""}
        yield TraceLine(
            t=row["t_sent"] / 1e9,
            what=row["name"],
            outcome=f"{row['outcome']} {row['status'] or 'no reply'}",
            replica="" if pd.isna(row["replica"]) else row["replica"],
            boot=boot[:8],
            op=f"{row['op']:016x}" if row["op"] else "",
            note="; ".join(filter(None, notes)),
        )


def _event(t: float, kind: str, subject: str, detail: dict[str, object]) -> TraceLine:
    facts = ", ".join(f"{key} {value}" for key, value in detail.items())
    return TraceLine(t, f"*** {kind.replace('_', ' ')}: {subject}", note=facts)


def _why(one: SessionVerdict, arm: ArmObservations) -> Iterator[str]:
    killed = find_state_removals(arm.events)
    yield (
        f"judged {one.outcome}: {one.acknowledged} writes acknowledged, {one.lost_writes} lost, {one.in_doubt} in doubt"
    )
    yield from one.why
    for loss in one.losses:
        yield f"its state {loss.birth_before[:8]} was gone at {loss.t_ns / 1e9:.3f} s; cause: {find_cause(loss, killed)}"
    if killed and arm.aggregates is None:
        risk = "" if one.session in find_sessions_at_risk(arm.requests, killed) else "not "
        yield f"at the fault it was {risk}at risk: {_last_answer(arm, one.session, killed[0].commanded)}"


def _last_answer(arm: ArmObservations, session: int, t: float) -> str:
    requests = arm.requests
    mine = requests[(requests["session"] == session) & (requests["outcome"] == "ok") & (requests["t_end"] <= t * 1e9)]
    if mine.empty:
        return "nothing had been acknowledged before it"
    last = mine.sort_values("t_end").iloc[-1]
    return f"its last acknowledged reply before came from {last['replica']} (boot {str(last['boot'])[:8]})"
