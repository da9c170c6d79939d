"""The decision table: what the fault did to each design, and the sentence that sums it up: for terminal and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from harness.common.intervals import upper_bound_of_none
from harness.observations.events import describe_forced
from harness.oracle.outcome import SessionOutcome
from harness.report.charts.words import (
    UNMEASURED,
    describe_kept,
    describe_more_losers,
    format_ratio,
    listed,
    number,
    plural,
    share,
)
from harness.report.hurts import describe_hurts
from harness.results.summary import (
    ArmFigures,
    DesignSummary,
    FaultFigures,
    MessageFigures,
    Phase,
    SessionFigures,
    Summary,
    WriteFigures,
)

#: Harms to a session other than a loss.
_HARMS = (SessionOutcome.ROLLED_BACK, SessionOutcome.STALE, SessionOutcome.LEAKED, SessionOutcome.FORCED_LOGIN)
_MAX_LOSERS = 4  # designs that the sentence names as losers; the table has all


@dataclass(frozen=True)
class TableRow:
    """One design, in words. A zero comes with its sample size."""

    design: str
    finding: str
    writes_lost: str
    errors: str
    detect: str
    recover: str
    throughput: str
    p99: str
    expected: str  # pass | fail | unknown
    why: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row under ``COLUMNS``."""
        return tuple(str(getattr(self, field.name)) for field in fields(self)[: len(COLUMNS)])


COLUMNS = (
    "design",
    "what the fault did to its sessions",
    "acknowledged writes lost",
    "errors while it lasted",
    "detect, s",
    "recover, s",
    "correct/s before, during, after",
    "p99 ms, without → with",
    "as expected?",
)


def rows(summary: Summary) -> tuple[TableRow, ...]:
    """One row per design, in the summary's order."""
    return tuple(_row(name, design) for name, design in summary.designs.items())


def _row(name: str, design: DesignSummary) -> TableRow:
    arm = judged_arm(design)
    if arm is None:
        dash = UNMEASURED
        return TableRow(name, "nothing was measured", dash, dash, dash, dash, dash, dash, design.verdict, design.why)
    return TableRow(
        name,
        "; ".join(filter(None, (describe_sessions(arm.sessions, arm.writes), describe_messages(arm.messages)))),
        format_ratio(arm.writes.lost, arm.writes.acknowledged),
        _errors(arm.phases.during),
        _longest([fault.detect_s for fault in arm.faults]),
        _recovery(arm.faults),
        _phases(arm),
        " → ".join(
            f"{'>= ' if figures.latency_is_lower_bound else ''}{format_latency(figures, 'p99')}"
            for figures in map(design.arms.get, ("control", "fault"))
            if figures is not None
        ),
        design.verdict,
        design.why,
    )


def format_latency(arm: ArmFigures, percentile: str) -> str:
    """A percentile in milliseconds, with ``?`` if it cannot be trusted."""
    return number(getattr(arm.latency_ms, percentile)) + ("" if arm.trusts(percentile) else "?")


def judged_arm(design: DesignSummary) -> ArmFigures | None:
    """The arm by which a design is judged: the one with the fault, or else the control; None without either."""
    return design.arms.get("fault") or design.arms.get("control")


def describe_sessions(sessions: SessionFigures, writes: WriteFigures) -> str:
    """What happened to the sessions: ``lost 67 of 200 sessions (33.5 %), predicted 67``."""
    n = sessions.known
    if not n:
        return "; ".join(["no session was judged", *sessions.not_judged_because])
    bound = f"95 % upper bound {100 * upper_bound_of_none(n):.2g} %"
    loss = f"lost {_count(sessions.lost, sessions)} ({share(sessions.lost, n) if sessions.lost else bound})"
    if sessions.expected_lost is not None:
        loss += f", predicted {sessions.expected_lost:,}"
    if cookies := {cause: n for cause, n in sessions.lost_by_cause.items() if cause.startswith("cookie_")}:
        loss += f": {listed([cause.replace('_', ' ') for cause in cookies])}"
    harms = describe_harms(sessions)
    clauses = [loss, harms] if sessions.lost or not harms else [f"{harms} of {n:,}", loss]
    if writes.lost and not sessions.lost:
        clauses.insert(0, f"{writes.lost:,} of {plural(writes.acknowledged, 'acknowledged write')} lost")
    if writes.duplicated:
        clauses.append(f"{plural(writes.duplicated, 'write')} applied twice")
    if writes.unexplained:
        clauses.append(f"{plural(writes.unexplained, 'write')} unexplained")
    if sessions.unknown:
        clauses.append(f"{sessions.unknown:,} unknown")
    return "; ".join(filter(None, clauses))


def describe_messages(messages: MessageFigures | None) -> str:
    """What happened to messages: ``12 of 3,400 messages lost, 2 repeated; 67 connections ended, 66 reconnected``."""
    if messages is None:
        return ""
    clauses = []
    if messages.due:
        counts = {"repeated": messages.repeated, "disordered": messages.disordered}
        lost = f"{messages.lost:,} of {plural(messages.due, 'message')} lost"
        clauses.append(", ".join([lost, *(f"{count:,} {word}" for word, count in counts.items() if count)]))
    if messages.ended:
        clauses.append(f"{plural(messages.ended, 'connection')} ended, {messages.reconnects:,} reconnected")
    return "; ".join(clauses)


def _errors(during: Phase | None) -> str:
    if during is None:
        return UNMEASURED
    counts = during.requests
    errors = format_ratio(counts.failed + counts.in_doubt, counts.attempted)
    return f"{errors}, {counts.in_doubt:,} of them in doubt" if counts.in_doubt else errors


def _longest(times: Sequence[float | None]) -> str:
    return number(max((time for time in times if time is not None), default=None))


def _recovery(faults: Sequence[FaultFigures]) -> str:
    """The longest; ``never`` if one fault was felt until the end. Where requests are not recorded, nothing is known."""
    felt_to_the_end = any(fault.recover_s is None and fault.detect_s is not None for fault in faults)
    return "never" if felt_to_the_end else _longest([fault.recover_s for fault in faults])


def _phases(arm: ArmFigures) -> str:
    phases = (arm.phases.before, arm.phases.during, arm.phases.after)
    measured = [phase.throughput.correct if phase else None for phase in phases]
    shown = measured if any(phases) else [arm.throughput.correct]
    return " / ".join(map(number, shown)) + ("" if arm.times_trusted else "?")


def sentence(summary: Summary) -> str:
    """The finding of the whole run in one sentence: first the losers, then who kept all, then the others."""
    arms = [
        (name, arm) for name, design in summary.designs.items() if (arm := judged_arm(design)) and arm.sessions.known
    ]
    losers = [(name, arm.sessions) for name, arm in arms if arm.sessions.lost]
    others = [(name, arm.sessions, _describe_kept_harms(arm)) for name, arm in arms if not arm.sessions.lost]
    hurting = [(name, hurts) for name, design in summary.designs.items() if (hurts := describe_hurts(design))]
    clauses = [f"{name}: {', '.join(hurts)}" for name, hurts in hurting[:_MAX_LOSERS]]
    clauses += _describe_losers(losers)
    if kept := {name: sessions.known for name, sessions, harms in others if not harms}:
        clauses.append(describe_kept(kept, 8))
    clauses += [f"{name} lost none{harms}" for name, _, harms in others if harms]
    if not arms:
        clauses.append("no session was judged" if clauses else "No session was judged")
    return f"{'; '.join(clauses)}."


def _describe_kept_harms(arm: ArmFigures) -> str:
    """What else happened where no session was lost: ``, but leaked 2 of 200 sessions: 3 writes duplicated``."""
    sessions, writes = describe_harms(arm.sessions), _count_outcomes(arm.writes.outcomes)
    if not sessions and not writes:
        return ""
    n = plural(arm.sessions.known, "session")
    return ": ".join(filter(None, [f", but {sessions} of {n}" if sessions else f" of {n}", writes]))


def _count_outcomes(outcomes: Mapping[SessionOutcome, int]) -> str:
    """``96 acknowledged writes lost and 3 writes duplicated``; empty if there are none."""
    counts = [f"{count:,} {outcome.phrase}" for outcome, count in outcomes.items() if count]
    return listed(counts) if counts else ""


def headlines(summary: Summary) -> tuple[str, ...]:
    """One line per design: what hurts, what became of its sessions, its verdict; the worst design first."""
    lines = []
    for name, design in summary.designs.items():
        arm, hurts = judged_arm(design), describe_hurts(design)
        found = describe_sessions(arm.sessions, arm.writes) if arm else "nothing was measured"
        strained = [kind for kind, figures in design.arms.items() if figures.driver.saturated]
        doubt = f"times of its {' and '.join(strained)} arm cannot be trusted" if strained else ""
        control = design.arms.get("control") if "fault" in design.arms and design.verdict == "fail" else None
        if control is not None and (harms := _count_outcomes(control.outcomes)):
            hurts = [*hurts, f"without a fault {harms}"]
        line = "; ".join(filter(None, [*hurts, found, describe_messages(arm.messages) if arm else "", doubt]))
        rank = ("fail", "unknown", "pass").index(design.verdict)
        lines.append((rank, not hurts, design.finding is SessionOutcome.KEPT, f"{name}: {line} → {design.verdict}"))
    return tuple(line for *_, line in sorted(lines, key=lambda ranked: ranked[:3]))


def _describe_losers(losers: Sequence[tuple[str, SessionFigures]]) -> list[str]:
    """One clause per design for those that lost most, and one clause for the rest together."""
    ordered = sorted(losers, key=lambda loser: -loser[1].lost)
    named, rest = ordered[:_MAX_LOSERS], ordered[_MAX_LOSERS:]
    clauses = [
        f"{name} lost {_count(sessions.lost, sessions)}{_against_prediction(sessions)}" for name, sessions in named
    ]
    if rest:
        clauses.append(describe_more_losers([(sessions.lost, sessions.known) for _, sessions in rest]))
    return clauses


def _count(part: int, sessions: SessionFigures) -> str:
    return f"{part:,} of {plural(sessions.known, 'session')}"


def describe_harms(sessions: SessionFigures) -> str:
    """The harms other than a loss: ``rolled back 3 and leaked 1``; empty without any."""
    counts = sessions.outcomes
    harms = [f"{outcome.participle} {counts[outcome]:,}" for outcome in _HARMS if counts[outcome]]
    return listed(harms) if harms else ""


def _against_prediction(sessions: SessionFigures) -> str:
    """How the loss compares with the sessions at risk, session by session where the judge attributed it so."""
    if sessions.at_risk is None or sessions.expected_lost is None:
        return ""
    if sessions.lost == sessions.expected_lost == sessions.at_risk and not sessions.lost_not_at_risk:
        return ", exactly those at risk"
    if sessions.expected_lost == sessions.lost:
        return ", as predicted"
    return f", predicted {sessions.expected_lost:,}"


#: What the columns of this table mean, in a line.
LEGEND = (
    "Detect: from the fault's effect to the last error that it caused. Recover: until correct replies were back at "
    "95 % of their usual share, for good. A dash: not measured. A question mark: not to be trusted."
)


def notes(summary: Summary, load: Mapping[str, Any] = MappingProxyType({})) -> tuple[str, ...]:
    """What a reader of the table must know. ``load`` is that of the run's plan."""
    lines = []
    if load.get("cookies") == "immortal":
        lines.append(
            "The lifetimes of cookies were ignored: a browser forgets a cookie when its time is up, these users do not."
        )
    if load.get("kind") == "closed":
        lines.append(
            "The load is closed: every user waits for the reply, then thinks. So every design reaches about the same "
            "throughput whatever its capacity. harness scale measures capacity."
        )
    arms = [(name, judged_arm(design)) for name, design in summary.designs.items()]
    known = {name: [arm.sessions.known for arm in design.arms.values()] for name, design in summary.designs.items()}
    if unjudged := [name for name, counts in known.items() if counts and not any(counts)]:
        lines.append(
            f"No session was judged in {listed(unjudged, 12)}: its users keep no ledger, like those of a plain "
            "locustfile, or no reply contained what they look for. A SessionUser keeps a ledger."
        )
    emulated = [f"{name} ({time})" for name, design in summary.designs.items() if (time := _service_time(design))]
    if emulated:
        names = listed(emulated, 12)
        lines.append(f"Service time is emulated, so throughput and latency are not those of real work: {names}.")
    if alone := [name for name, design in summary.designs.items() if _answered_by_one(design)]:
        lines.append(
            f"One replica answered all requests of {listed(alone, 12)}: they are balanced by the client's address, and "
            "the load has one, like users behind one NAT or proxy. What ends that replica concerns every session."
        )
    for name, arm in arms:
        for fault in arm.faults if arm else ():
            if forced := describe_forced(fault.evidence):  # and what SIGKILL cut off
                lines.append(f"{name}, {fault.kind} of {fault.target} at {number(fault.effective, 's')}{forced}.")
    return tuple(lines)


def _answered_by_one(design: DesignSummary) -> bool:
    """Whether one of several replicas got everything, without a fault, because of the address of the load."""
    control = design.arms.get("control")
    replicas = design.describe.get("replicas", 1)
    if control is None or design.describe.get("policy") != "source" or replicas == 1:
        return False
    return sum(replies > 0 for replies in control.spread.per_replica.values()) == 1


def _service_time(design: DesignSummary) -> str:
    seconds = design.describe.get("service_time_s", 0)
    if not isinstance(seconds, int | float) or seconds <= 0:
        return ""
    return f"{number(1000 * seconds, 'ms')}, {design.describe.get('slots', 1)} at once per replica"
