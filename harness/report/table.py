"""The decision table: what the fault did to each design, and the sentence that sums it up. For terminal and page."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from harness.common.intervals import upper_bound_of_none
from harness.oracle.outcome import SessionOutcome
from harness.report.charts.words import UNMEASURED, format_ratio, listed, number, plural, share
from harness.results.summary import (
    ArmFigures,
    DesignSummary,
    DriverFigures,
    MessageFigures,
    Phase,
    SessionFigures,
    Summary,
    WriteFigures,
)

#: What can happen to a session short of a loss.
_HARMS = (SessionOutcome.ROLLED_BACK, SessionOutcome.STALE, SessionOutcome.LEAKED, SessionOutcome.FORCED_LOGIN)


_TOLD = 4  # designs in the sentence that lost sessions; the table has all


@dataclass(frozen=True)
class TableRow:
    """One design, in words. A zero is told with what it is of."""

    design: str
    finding: str
    writes_lost: str
    forced_logins: str
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
    "forced logins",
    "errors while it lasted",
    "detect, s",
    "recover, s",
    "correct/s before, during, after",
    "p99 ms, without → with",
    "as expected?",
)


def rows(summary: Summary) -> tuple[TableRow, ...]:
    """A row a design, in the summary's order."""
    return tuple(_row(name, design) for name, design in summary.designs.items())


def _row(name: str, design: DesignSummary) -> TableRow:
    arm = shown(design)
    if arm is None:
        dash = UNMEASURED
        return TableRow(
            name, "nothing was measured", dash, dash, dash, dash, dash, dash, dash, design.verdict, design.why
        )
    return TableRow(
        name,
        "; ".join(filter(None, (finding(arm.sessions, arm.writes), describe_messages(arm.messages)))),
        format_ratio(arm.writes.lost, arm.writes.acknowledged),
        format_ratio(arm.sessions.forced_login, arm.sessions.judged),
        _errors(arm.phases.during),
        _longest([fault.detect_s for fault in arm.faults]),
        _longest([fault.recover_s for fault in arm.faults]),
        _phases(arm),
        _p99(design),
        design.verdict,
        design.why,
    )


def shown(design: DesignSummary) -> ArmFigures | None:
    """The arm that a design is judged by: with its faults where it has such a one."""
    return design.arms.get("fault") or design.arms.get("control")


def finding(sessions: SessionFigures, writes: WriteFigures) -> str:
    """What befell the sessions, with n and the prediction: ``lost 67 of 200 sessions (33.5 %), predicted 67``."""
    if not sessions.judged:
        return "no session was judged"
    n = sessions.judged
    bound = f"95 % upper bound {100 * upper_bound_of_none(n):.2g} %"
    told = f"lost {_count(sessions.lost, sessions)} ({share(sessions.lost, n) if sessions.lost else bound})"
    if sessions.expected_lost is not None:
        told += f", predicted {sessions.expected_lost:,}"
    if _harm(sessions):
        told = f"{told}; {_harm(sessions)}" if sessions.lost else f"{_harm(sessions)} of {n:,}; {told}"
    if writes.duplicated:
        told += f"; {plural(writes.duplicated, 'write')} applied twice"
    return f"{told}; {sessions.unknown:,} unknown" if sessions.unknown else told


def describe_messages(messages: MessageFigures | None) -> str:
    """What befell messages: ``12 of 3,400 messages lost, 2 repeated; 67 connections ended, 66 reconnected``."""
    if messages is None:
        return ""
    told = []
    if messages.due:
        again = {"repeated": messages.repeated, "disordered": messages.disordered}
        told = [f"{messages.lost:,} of {plural(messages.due, 'message')} lost"]
        told = [", ".join([*told, *(f"{count:,} {word}" for word, count in again.items() if count)])]
    if messages.ended:
        told.append(f"{plural(messages.ended, 'connection')} ended, {messages.reconnects:,} reconnected")
    return "; ".join(told)


def _errors(during: Phase | None) -> str:
    if during is None:
        return UNMEASURED
    counts = during.requests
    told = format_ratio(counts.failed + counts.in_doubt, counts.attempted)
    return f"{told}, {counts.in_doubt:,} of them in doubt" if counts.in_doubt else told


def _longest(times: Sequence[float | None]) -> str:
    return number(max((time for time in times if time is not None), default=None))


def _phases(arm: ArmFigures) -> str:
    phases = (arm.phases.before, arm.phases.during, arm.phases.after)
    if not any(phases):
        return number(arm.throughput.correct)
    return " / ".join(number(phase.throughput.correct if phase else None) for phase in phases)


def _p99(design: DesignSummary) -> str:
    told = [number(design.arms[arm].latency_ms.p99) for arm in ("control", "fault") if arm in design.arms]
    return " → ".join(told)


def sentence(summary: Summary) -> str:
    """The finding of the whole run in one sentence: those that lost first, then those that kept all, then the rest."""
    arms = [(name, arm.sessions) for name, design in summary.designs.items() if (arm := shown(design)) is not None]
    judged = [(name, sessions) for name, sessions in arms if sessions.judged]
    losers = sorted((pair for pair in judged if pair[1].lost), key=lambda pair: -pair[1].lost)
    others = [(name, sessions, _harm(sessions)) for name, sessions in judged if not sessions.lost]
    told = [f"{name} lost {_count(sessions.lost, sessions)}{_risk(sessions)}" for name, sessions in losers[:_TOLD]]
    if rest := [sessions for _, sessions in losers[_TOLD:]]:
        lost, count = sum(sessions.lost for sessions in rest), sum(sessions.judged for sessions in rest)
        told.append(f"{plural(len(rest), 'design')} more lost {lost:,} of {count:,}")
    kept = [(name, sessions.judged) for name, sessions, harm in others if not harm]
    if kept:
        all_kept = plural(sum(count for _, count in kept), "session")
        told.append(f"{listed([name for name, _ in kept], 8)} lost none of {all_kept}")
    told += [f"{name} lost none, but {harm} of {plural(s.judged, 'session')}" for name, s, harm in others if harm]
    return f"{'; '.join(told) or 'No session was judged'}."


def _count(part: int, sessions: SessionFigures) -> str:
    return f"{part:,} of {plural(sessions.judged, 'session')}"


def _harm(sessions: SessionFigures) -> str:
    """Whatever befell sessions short of a loss: ``rolled back 3 and leaked 1``; empty where nothing did."""
    counts = sessions.outcomes
    harms = [f"{outcome.participle} {counts[outcome]:,}" for outcome in _HARMS if counts[outcome]]
    return listed(harms) if harms else ""


def _risk(sessions: SessionFigures) -> str:
    """How the loss stands against the sessions at risk, one by one where that was attributed."""
    if sessions.at_risk is None or sessions.expected_lost is None:
        return ""
    if sessions.lost == sessions.expected_lost == sessions.at_risk and not sessions.lost_not_at_risk:
        return ", exactly those at risk"
    if sessions.expected_lost == sessions.lost:
        return ", as predicted"
    return f", predicted {sessions.expected_lost:,}"


def notes(summary: Summary, load: str = "") -> tuple[str, ...]:
    """What must stand beside the table. ``load`` is its kind: closed, partly_open or open."""
    told = [
        "Detect: from the fault's effect to the last error that it caused. Recover: until correct replies were back at "
        "95 % of before for one second. A dash: not measured.",
    ]
    if load == "closed":
        told.append(
            "The load is closed: every user waits for its reply and thinks, so each design gets about the same "
            "throughput whatever its capacity. harness scale measures capacity."
        )
    if mute := [name for name, design in summary.designs.items() if (arm := shown(design)) and not arm.sessions.judged]:
        told.append(
            f"No session was judged in {listed(mute, 12)}: its users keep no ledger, as those of a plain locustfile, "
            "or no reply showed what they look for. A SessionUser keeps one."
        )
    emulated = [f"{name} ({how})" for name, design in summary.designs.items() if (how := _service(design))]
    if emulated:
        names = listed(emulated, 12)
        told.append(f"Service time is emulated, so throughput and latency are not those of real work: {names}.")
    return tuple(told)


def _service(design: DesignSummary) -> str:
    seconds = design.describe.get("service_time_s", 0)
    if not isinstance(seconds, int | float) or seconds <= 0:
        return ""
    return f"{number(1000 * seconds, 'ms')}, {design.describe.get('slots', 1)} at once a replica"


def _strain(driver: DriverFigures) -> str:
    """What a load process did not bear, and on which core."""
    lag = f"lag p99 {number(driver.lag_p99_ms, 'ms')}"
    if driver.cpu_median is None or driver.core is None:
        return lag
    return f"{lag}, {100 * driver.cpu_median:.0f} % of {driver.core} used"


def doubts(summary: Summary) -> tuple[str, ...]:
    """What makes this run's figures hard to believe; it belongs in the first line."""
    told = []
    for name, design in summary.designs.items():
        for arm, figures in design.arms.items():
            if figures.driver.saturated:
                told.append(
                    f"The load driver was saturated in {name} ({arm}, {_strain(figures.driver)}): "
                    "its times cannot be trusted."
                )
    calibration = summary.controls.calibration
    if calibration is not None and not calibration.diagonal:
        wrong = calibration.sessions - calibration.correct
        told.append(
            f"The judge was wrong about {wrong:,} of {plural(calibration.sessions, 'session')} with a known bug: "
            "no count can be trusted."
        )
    return tuple(told)
