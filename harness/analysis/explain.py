"""Trace one session: its requests, the replica and boot that answered, the fault, and why it was judged as it was."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analysis.metrics.state_removal import (
    StateRemoval,
    find_cause,
    find_sessions_at_risk,
    find_state_removals,
)
from harness.common.errors import UsageError
from harness.observations.load_requests import LoadRequests
from harness.observations.requests import SWEEP, UNSOLICITED
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations


@dataclass(frozen=True)
class TraceLine:
    """One request or event of a trace."""

    t: float  # seconds from T0
    what: str
    outcome: str = ""
    replica: str = ""
    boot: str = ""
    op: str = ""
    note: str = ""


@dataclass(frozen=True)
class SessionTrace:
    """A session, from its first request to its verdict."""

    design: str
    arm: str
    session: int
    lines: tuple[TraceLine, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class NotableSession:
    """A session to which something happened."""

    design: str
    arm: str
    session: int
    kind: str
    at_risk: bool | None
    cause: str


def find_notable_sessions(arms: Sequence[ArmObservations]) -> tuple[NotableSession, ...]:
    """The sessions to which something happened, in the order of the arms."""
    return tuple(session for arm in arms for session in _find_in_arm(arm))


def _find_in_arm(arm: ArmObservations) -> Iterator[NotableSession]:
    removals = find_state_removals(arm.faults)
    at_risk = _find_at_risk(arm, removals)
    for verdict in arm.judgements:
        if verdict.outcome is not SessionOutcome.KEPT:
            causes = " then ".join(dict.fromkeys(find_cause(loss, removals) for loss in verdict.losses))
            risk = None if at_risk is None else verdict.session in at_risk
            yield NotableSession(arm.design, arm.arm, verdict.session, verdict.outcome, risk, causes)


def _find_at_risk(arm: ArmObservations, removals: Sequence[StateRemoval]) -> frozenset[int] | None:
    """The sessions at risk of the faults; None without such a fault, or without records of the requests."""
    if not removals or arm.aggregates is not None:
        return None
    return find_sessions_at_risk(LoadRequests.select(arm.requests), removals)


def trace_session(arms: Sequence[ArmObservations], name: str) -> SessionTrace:
    """The trace of ``DESIGN/SESSION`` (its arm with the fault first) or ``DESIGN/ARM/SESSION``.

    Raises:
        UsageError: no such session in this run.
    """
    design, *middle, number = name.split("/")
    wanted = middle[0] if middle else None
    for arm in sorted(arms, key=lambda arm: arm.arm != "fault"):
        if arm.design == design and wanted in (None, arm.arm) and number.isdigit():
            requests = arm.requests[arm.requests["session"] == int(number)]
            if len(requests) or any(verdict.session == int(number) for verdict in arm.judgements):
                return _build_trace(arm, int(number), requests)
    raise UsageError(
        f"no session {name!r} in this run", "name it like sticky/17; harness explain RUN lists those worth a look"
    )


def _build_trace(arm: ArmObservations, session: int, requests: pd.DataFrame) -> SessionTrace:
    lines = list(_describe_requests(requests))
    for event in arm.events:
        facts = ", ".join(f"{key} {value}" for key, value in event.detail.items())
        lines.append(TraceLine(event.t, f"*** {event.kind.replace('_', ' ')}: {event.subject}", note=facts))
    verdicts = [verdict for verdict in arm.judgements if verdict.session == session]
    why = tuple(sentence for verdict in verdicts for sentence in _explain_verdict(verdict, arm))
    ordered = tuple(sorted(lines, key=lambda line: line.t))
    return SessionTrace(arm.design, arm.arm, session, ordered, why or ("it was not judged: its arm was cut off",))


_PHASES = {SWEEP: "the final read", UNSOLICITED: "unsolicited"}


def _describe_requests(requests: pd.DataFrame) -> Iterator[TraceLine]:
    boots: set[str] = set()
    rows: list[dict[Any, Any]] = requests.sort_values("t_sent", kind="stable").to_dict("records")
    for row in rows:
        boot = "" if pd.isna(row["boot"]) else str(row["boot"])
        yield _describe_request(row, boot, bool(boot and boots and boot not in boots))
        boots |= {boot} - {""}


def _describe_request(row: Mapping[Any, Any], boot: str, another_boot: bool) -> TraceLine:
    """The line of one row of the table of requests."""
    notes = [
        "" if row["anomaly"] == "none" else str(row["anomaly"]).upper(),
        _PHASES.get(row["phase"], ""),
        "another boot answers" if another_boot else "",
        "reconnected" if row["reconnected"] else "",
    ]
    return TraceLine(
        t=row["t_sent"] / 1e9,
        what=row["name"],
        outcome=f"{row['outcome']} {row['status'] or 'no reply'}",
        replica="" if pd.isna(row["replica"]) else row["replica"],
        boot=boot[:8],
        op=f"{row['op']:016x}" if row["op"] else "",
        note="; ".join(filter(None, notes)),
    )


def _explain_verdict(verdict: SessionVerdict, arm: ArmObservations) -> Iterator[str]:
    removals = find_state_removals(arm.faults)
    counts = f"{verdict.acknowledged} writes acknowledged, {verdict.lost_writes} lost, {verdict.in_doubt} in doubt"
    yield f"judged {verdict.outcome}: {counts}"
    yield from verdict.why
    for loss in verdict.losses:
        cause = find_cause(loss, removals)
        yield f"its state {loss.birth_before[:8]} was gone at {loss.t_ns / 1e9:.3f} s; cause: {cause}"
    at_risk = _find_at_risk(arm, removals)
    if at_risk is not None:
        risk = "" if verdict.session in at_risk else "not "
        last_reply = _describe_last_reply(arm, verdict.session, removals[0].commanded)
        yield f"at the fault it was {risk}at risk: {last_reply}"


def _describe_last_reply(arm: ArmObservations, session: int, t: float) -> str:
    """Who gave the session's last acknowledged reply before ``t`` (seconds from T0)."""
    requests = arm.requests
    acknowledged = (requests["outcome"] == "ok") & (requests["t_end"] <= t * 1e9)
    replies = requests[(requests["session"] == session) & acknowledged]
    if replies.empty:
        return "nothing had been acknowledged before it"
    last = replies.sort_values("t_end").iloc[-1]
    return f"its last acknowledged reply before came from {last['replica']} (boot {str(last['boot'])[:8]})"
