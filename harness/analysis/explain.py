"""Trace one session: its requests, the replica and boot that answered, the fault, and why it was judged as it was."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis.identity_story import describe_change, describe_identity
from harness.analysis.metrics.state_removal import (
    StateRemoval,
    find_cause,
    find_known_at_risk,
    find_state_removals,
)
from harness.common.errors import UsageError
from harness.observations.identity import Change
from harness.observations.load_requests import LoadRequests
from harness.observations.requests import SWEEP, UNSOLICITED
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.arm_files import ArmObservations

#: The requests of a session: the columns that a trace shows, by name.
Requests = Sequence[Mapping[str, Any]]
_SHOWN = ("t_sent", "t_end", "name", "outcome", "status", "anomaly", "phase", "reconnected", "replica", "boot", "op")


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
class SessionGroup:
    """Sessions to which the same happened; ``example`` is one of them."""

    design: str
    arm: str
    kind: str
    at_risk: bool | None
    cause: str
    sessions: int
    example: int


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


def group_sessions(sessions: Sequence[NotableSession]) -> tuple[SessionGroup, ...]:
    """The sessions by what happened to them: in the order of the arms, and the largest group of an arm first."""
    members: dict[tuple[str, str, str, bool | None, str], list[int]] = {}
    for session in sessions:
        key = (session.design, session.arm, session.kind, session.at_risk, session.cause)
        members.setdefault(key, []).append(session.session)
    arms = list(dict.fromkeys((session.design, session.arm) for session in sessions))
    groups = [SessionGroup(*key, len(numbers), min(numbers)) for key, numbers in members.items()]
    return tuple(sorted(groups, key=lambda group: (arms.index((group.design, group.arm)), -group.sessions)))


def _find_in_arm(arm: ArmObservations) -> Iterator[NotableSession]:
    removals = find_state_removals(arm.faults)
    at_risk = _find_at_risk(arm, removals)
    for verdict in arm.judgements:
        if verdict.outcome is not SessionOutcome.KEPT:
            causes = " then ".join(dict.fromkeys(_find_cause(verdict, loss, removals) for loss in verdict.losses))
            risk = None if at_risk is None else verdict.session in at_risk
            yield NotableSession(arm.design, arm.arm, verdict.session, verdict.outcome, risk, causes)


def _find_cause(verdict: SessionVerdict, loss: Loss, removals: Sequence[StateRemoval]) -> str:
    """Why a state was gone: because the client no longer sent its id, or because of what the service did."""
    for change in verdict.identity:
        if change.change is Change.MISSED and change.t_ns == loss.t_ns:
            return f"{change.name} {change.why}"
    return find_cause(loss, removals, boots=verdict.find_boots(loss))


def _find_at_risk(arm: ArmObservations, removals: Sequence[StateRemoval]) -> frozenset[int] | None:
    """The sessions at risk of the faults; None without such a fault, or if the requests do not show it."""
    if not removals or arm.aggregates is not None:
        return None
    return find_known_at_risk(arm, LoadRequests.select(arm.requests), removals)


@dataclass(frozen=True)
class ArmTracer:
    """Traces the sessions of one arm; what concerns the whole arm is found once."""

    arm: ArmObservations

    @cached_property
    def _removals(self) -> Sequence[StateRemoval]:
        return find_state_removals(self.arm.faults)

    @cached_property
    def _at_risk(self) -> frozenset[int] | None:
        return _find_at_risk(self.arm, self._removals)

    @cached_property
    def rows(self) -> Mapping[Any, Any]:
        """The positions of each session's requests in the arm's table."""
        return self.arm.requests.groupby("session").indices

    @cached_property
    def _columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The table's columns as arrays: a table of its own per session takes ten times as long to make."""
        return {name: self.arm.requests[name].to_numpy() for name in _SHOWN}

    @cached_property
    def _verdicts(self) -> Mapping[int, list[SessionVerdict]]:
        verdicts: dict[int, list[SessionVerdict]] = {}
        for verdict in self.arm.judgements:
            verdicts.setdefault(verdict.session, []).append(verdict)
        return verdicts

    def trace(self, session: int) -> SessionTrace | None:
        """The trace of a session; None if the arm has none of that number."""
        requests = self._read_requests(session)
        verdicts = self._verdicts.get(session, [])
        if not requests and not verdicts:
            return None
        lines = list(_describe_requests(requests))
        for event in self.arm.events:
            facts = ", ".join(f"{key} {value}" for key, value in event.detail.items())
            lines.append(TraceLine(event.t, f"*** {event.kind.replace('_', ' ')}: {event.subject}", note=facts))
        for change in (change for verdict in verdicts for change in verdict.identity):
            lines.append(TraceLine(change.t_ns / 1e9, f"--- {change.name}", note=describe_change(change)))
        why = tuple(sentence for verdict in verdicts for sentence in self._explain(verdict, requests))
        ordered = tuple(sorted(lines, key=lambda line: line.t))
        unjudged = ("it was not judged: its arm was cut off",)
        return SessionTrace(self.arm.design, self.arm.arm, session, ordered, why or unjudged)

    def _read_requests(self, session: int) -> Requests:
        """A session's requests in the order in which they were sent."""
        places = self.rows.get(session, np.array([], dtype=int))
        ordered = places[np.argsort(self._columns["t_sent"][places], kind="stable")]
        values = zip(*(column[ordered].tolist() for column in self._columns.values()), strict=True)
        return [dict(zip(self._columns, row, strict=True)) for row in values]

    def _explain(self, verdict: SessionVerdict, requests: Requests) -> Iterator[str]:
        counts = f"{verdict.acknowledged} writes acknowledged, {verdict.lost_writes} lost, {verdict.in_doubt} in doubt"
        yield f"judged {verdict.outcome}: {counts}"
        yield from verdict.why
        for loss in verdict.losses:
            cause = _find_cause(verdict, loss, self._removals)
            state = f"its state {loss.birth_before[:8]}".strip()  # your own service shows no birth
            yield f"{state} was gone at {loss.t_ns / 1e9:.3f} s; cause: {cause}"
        yield from describe_identity(verdict.identity, [request["t_sent"] for request in requests])
        if self._at_risk is not None:
            risk = "" if verdict.session in self._at_risk else "not "
            yield f"at the fault it was {risk}at risk: {_describe_last_reply(requests, self._removals[0].commanded)}"


def trace_session(arms: Sequence[ArmObservations], name: str) -> SessionTrace:
    """The trace of ``DESIGN/SESSION`` (its arm with the fault first) or ``DESIGN/ARM/SESSION``.

    Raises:
        UsageError: no such session in this run.
    """
    named = re.fullmatch(r"([^/]+)/(?:([^/]+)/)?([0-9]{1,10})", name)
    design, wanted, number = named.groups() if named else ("", None, "0")
    for arm in sorted(arms, key=lambda arm: arm.arm != "fault"):
        if arm.design == design and wanted in (None, arm.arm):
            trace = ArmTracer(arm).trace(int(number))
            if trace is not None:
                return trace
    raise UsageError(
        f"no session {name!r} in this run", "name it like sticky/17; harness explain RUN lists those worth a look"
    )


_PHASES = {SWEEP: "the final read", UNSOLICITED: "unsolicited"}


def _describe_requests(requests: Requests) -> Iterator[TraceLine]:
    boots: set[str] = set()
    for row in requests:
        boot: str = "" if pd.isna(row["boot"]) else row["boot"]
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


def _describe_last_reply(requests: Requests, t: float) -> str:
    """Who gave the last acknowledged reply to these requests of a session before ``t`` (seconds from T0)."""
    replies = [request for request in requests if request["outcome"] == "ok" and request["t_end"] <= t * 1e9]
    if not replies:
        return "nothing had been acknowledged before it"
    last = max(replies, key=lambda request: request["t_end"])
    return f"its last acknowledged reply before came from {last['replica']} (boot {str(last['boot'])[:8]})"
