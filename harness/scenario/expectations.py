"""What a scenario expects of its designs, as pure functions of their summaries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from harness.common.intervals import upper_bound_of_none
from harness.results.summary import ArmFigures, DesignSummary, FaultFigures, Summary
from harness.results.verdicts import Result, Verdict

Judged = tuple[Result, str]
#: The beginnings of the names of requests that write.
WRITING = ("POST", "PUT", "DELETE", "PATCH")


@dataclass(frozen=True)
class Expect:
    """One check over several designs; ``check`` judges one of them."""

    name: str
    designs: tuple[str, ...]
    check: Callable[[DesignSummary], Judged]

    def judge(self, summary: Summary) -> Sequence[Verdict]:
        """One verdict per design; it is unknown for a design that did not run."""
        return tuple(self._verdict(name, summary.designs.get(name)) for name in self.designs)

    def only(self, names: Sequence[str]) -> Self | None:
        """The same expectation for those of its designs that are among ``names``; None if there are none."""
        designs = tuple(design for design in self.designs if design in names)
        return replace(self, designs=designs) if designs else None

    def _verdict(self, name: str, design: DesignSummary | None) -> Verdict:
        if design is None or not design.arms:
            return Verdict(self.name, Result.UNKNOWN, "it did not run", name)
        result, why = self.check(design)
        return Verdict(self.name, result, why, name)


def keeps(*designs: str) -> Expect:
    """No session and no acknowledged write is lost, with or without the fault."""
    return Expect("keeps", designs, lambda design: _every_arm(design, _kept))


def delivers(*designs: str) -> Expect:
    """Every acknowledged message reached everyone in its room: once, and in its sender's order."""
    return Expect("delivers", designs, lambda design: _every_arm(design, _delivered))


def loses_messages(*designs: str) -> Expect:
    """Under the fault some acknowledged messages do not reach everyone in their room (a positive control)."""

    def check(design: DesignSummary) -> Judged:
        messages = _faulted(design).messages
        if messages is None or not messages.due:
            return Result.UNKNOWN, "no message was due to anyone"
        why = f"{messages.lost:,} of {messages.due:,} messages lost, {messages.missed:,} of them while away"
        return (Result.PASS if messages.lost else Result.FAIL), why

    return Expect("loses_messages", designs, check)


def loses_the_at_risk(*designs: str, judged: int = 1) -> Expect:
    """Under the fault the lost sessions are exactly those at risk, over at least ``judged`` sessions."""
    return Expect("loses_the_at_risk", designs, lambda design: _lost_as_theory_says(_faulted(design), judged))


def loses_only_the_at_risk(*designs: str, judged: int = 1) -> Expect:
    """Under the fault no session is lost except those at risk, some of which may be kept."""
    return Expect("loses_only_the_at_risk", designs, lambda design: _lost_only_at_risk(_faulted(design), judged))


def loses_at_most(*designs: str, seconds: float, give: float = 0.3) -> Expect:
    """Under the fault no session is lost, and the lost acknowledged writes are worth at most this many ``seconds``.

    The lost writes are converted to seconds by the rate of acknowledged writes before the fault. ``give`` is a
    tolerance, as a share of ``seconds``: the rate varies, and the loss may cover slightly more time than it should.
    """

    def check(design: DesignSummary) -> Judged:
        arm = _faulted(design)
        lost_s = seconds_lost(arm)
        if lost_s is None or not arm.sessions.judged:
            return Result.UNKNOWN, "no writes were acknowledged before the fault, or no session could be judged"
        why = (
            f"{arm.writes.lost} acknowledged writes lost, as many as come in {lost_s:.2f} s; at most "
            f"{seconds:g} s of them were allowed, and {arm.sessions.lost} of {arm.sessions.judged} sessions"
        )
        return (Result.FAIL if arm.sessions.lost or lost_s > seconds * (1 + give) else Result.PASS), why

    return Expect("loses_at_most", designs, check)


def seconds_lost(arm: ArmFigures) -> float | None:
    """The lost acknowledged writes, as the time in which the same number was acknowledged before the first fault."""
    before, ok = arm.phases.before, sum(named.ok for named in arm.names.values())
    writes = sum(named.ok for name, named in arm.names.items() if name.startswith(WRITING))
    if before is None or not before.throughput.mean or not writes:
        return None
    return arm.writes.lost / (before.throughput.mean * writes / ok)


def moves_a_share(*designs: str, share: float, within: float = 0.1) -> Expect:
    """Under the fault this share of all sessions, plus or minus ``within``, moves to another replica."""

    def check(design: DesignSummary) -> Judged:
        sessions = _faulted(design).sessions
        if not sessions.started:
            return Result.UNKNOWN, "no session was started"
        moved = sessions.moved / sessions.started
        why = f"{sessions.moved} of {sessions.started} sessions moved ({moved:.1%}), {share:.1%} predicted"
        return (Result.PASS if abs(moved - share) <= within else Result.FAIL), why

    return Expect("moves_a_share", designs, check)


def recovers(*designs: str, within: float | None = None) -> Expect:
    """After every fault correct goodput returns to 95 % of its earlier value.

    ``within`` limits the time from the undo, in seconds; None sets no limit.
    """
    return Expect("recovers", designs, lambda design: _recovered(_faulted(design), within))


def stays_down(*designs: str) -> Expect:
    """After its fault is undone, correct goodput does not come back (a metastable failure)."""

    def check(design: DesignSummary) -> Judged:
        result, why = _recovered(_faulted(design), None)
        return {Result.PASS: Result.FAIL, Result.FAIL: Result.PASS}.get(result, result), why

    return Expect("stays_down", designs, check)


def surges(*designs: str, least: float) -> Expect:
    """After a fault, at least ``least`` times as many sessions begin per second as before: a herd of logins."""

    def check(design: DesignSummary) -> Judged:
        surges = [fault.surge for fault in _faulted(design).faults if fault.surge is not None]
        if not surges:
            return Result.UNKNOWN, "no session began before the fault, or there was none"
        why = f"{max(surges):.1f} times as many sessions began in the worst second after the fault as before it"
        return (Result.PASS if max(surges) >= least else Result.FAIL), why

    return Expect("surges", designs, check)


def settles(*designs: str) -> Expect:
    """Every saga ends, with or without the fault: shipped or completely undone, each effect once."""
    return Expect("settles", designs, lambda design: _every_arm(design, _settled))


def _settled(arm: ArmFigures) -> Judged:
    sagas = arm.sagas
    if sagas is None:
        return Result.UNKNOWN, "the effect journal has no saga"
    why = (
        f"half done {zero(sagas.half_done, sagas.begun)} sagas, with an effect that happened twice {sagas.repeated}; "
        f"{sagas.shipped} shipped, {sagas.undone} undone, {sagas.resumed} of them by a later start"
    )
    return (Result.FAIL if sagas.half_done or sagas.repeated else Result.PASS), why


def leaves_half_done(*designs: str) -> Expect:
    """Under the fault at least one saga is left half done (a positive control)."""

    def check(design: DesignSummary) -> Judged:
        result, why = _settled(_faulted(design))
        return {Result.PASS: Result.FAIL, Result.FAIL: Result.PASS}.get(result, result), why

    return Expect("leaves_half_done", designs, check)


def finds(*designs: str, among: Sequence[str]) -> Expect:
    """The finding of the design is one of ``among`` (a positive control: what must go wrong does)."""

    def check(design: DesignSummary) -> Judged:
        result = Result.PASS if design.finding in among else Result.FAIL
        return result, f"found {design.finding}, expected {' or '.join(among)}"

    return Expect("finds", designs, check)


def clean_control(*designs: str) -> Expect:
    """Without a fault there is no anomaly at all."""
    return Expect("clean_control", designs, lambda design: _clean(design.arms.get("control")))


def zero(bad: int, of: int) -> str:
    """A count with its sample size; for a zero, also the rate that it rules out (exact binomial bound, 95 %)."""
    if bad or not of:
        return f"{bad:,} of {of:,}"
    return f"0 of {of:,} (95 % upper bound {100 * upper_bound_of_none(of):.2g} %)"


def _every_arm(design: DesignSummary, check: Callable[[ArmFigures], Judged]) -> Judged:
    judged = {name: check(arm) for name, arm in design.arms.items()}
    reported = {name: verdict for name, verdict in judged.items() if verdict[0] is not Result.PASS} or judged
    worst = max((result for result, _ in reported.values()), key=[Result.PASS, Result.UNKNOWN, Result.FAIL].index)
    return worst, "; ".join(f"{name}: {why}" for name, (_, why) in reported.items())


def _kept(arm: ArmFigures) -> Judged:
    sessions, writes = arm.sessions, arm.writes
    why = (
        f"sessions lost {zero(sessions.lost, sessions.judged)}, "
        f"acknowledged writes lost {zero(writes.lost, writes.acknowledged)}"
    )
    if sessions.lost or writes.lost:
        return Result.FAIL, why
    if not sessions.judged or sessions.unknown:
        return Result.UNKNOWN, f"{why}; {sessions.unknown} sessions could not be judged"
    return Result.PASS, why


_UNRECORDED = Result.UNKNOWN, "the requests that would show it were not recorded"


def _delivered(arm: ArmFigures) -> Judged:
    messages = arm.messages
    if messages is None or not messages.due:
        return Result.UNKNOWN, "no message was due to anyone"
    counts = {"lost": messages.lost, "repeated": messages.repeated, "disordered": messages.disordered}
    why = "messages " + ", ".join(f"{word} {zero(count, messages.due)}" for word, count in counts.items())
    return (Result.FAIL if any(counts.values()) else Result.PASS), why


def _lost_as_theory_says(arm: ArmFigures, least: int) -> Judged:
    sessions = arm.sessions
    if sessions.at_risk is None:
        return _UNRECORDED
    if sessions.judged < least:
        return Result.UNKNOWN, f"only {sessions.judged} sessions judged, at least {least} wanted"
    why = (
        f"{sessions.lost} of {sessions.judged} sessions lost, {sessions.expected_lost} predicted; "
        f"{sessions.lost_not_at_risk} lost without being at risk, {sessions.at_risk_not_lost} at risk but kept"
    )
    equal = sessions.lost_not_at_risk == 0 and sessions.at_risk_not_lost == 0 and sessions.at_risk > 0
    return (Result.PASS if equal else Result.FAIL), why


def _lost_only_at_risk(arm: ArmFigures, least: int) -> Judged:
    sessions = arm.sessions
    if sessions.at_risk is None:
        return _UNRECORDED
    if sessions.judged < least or sessions.lost_not_at_risk is None:
        return Result.UNKNOWN, f"only {sessions.judged} sessions judged, at least {least} wanted, and some fault"
    why = (
        f"{sessions.lost} of {sessions.judged} sessions lost, {sessions.at_risk} at risk; "
        f"{sessions.lost_not_at_risk} lost without being at risk"
    )
    return (Result.FAIL if sessions.lost_not_at_risk else Result.PASS), why


def _recovered(arm: ArmFigures, within: float | None) -> Judged:
    if not arm.faults or None in [fault.effective for fault in arm.faults]:
        return Result.UNKNOWN, "no fault took effect"
    if None in [fault.detect_s for fault in arm.faults]:
        return _UNRECORDED
    latest = _latest_recovery_s(arm.faults)
    if latest is None:
        return Result.FAIL, "correct goodput did not come back to 95 % of before"
    why = f"correct goodput was back {latest:.2f} s after the fault was undone"
    return (Result.PASS if within is None or latest <= within else Result.FAIL), why


def _latest_recovery_s(faults: Sequence[FaultFigures]) -> float | None:
    """The longest time from an undo until goodput was back (0 if it was back earlier); None if it never was."""
    latest = 0.0
    for fault in faults:
        if fault.recover_s is None or fault.effective is None:
            return None
        latest = max(latest, fault.effective + fault.recover_s - (fault.healed or fault.effective))
    return latest


def _clean(arm: ArmFigures | None) -> Judged:
    if arm is None:
        return Result.UNKNOWN, "the control arm did not run"
    sessions, writes = arm.sessions, arm.writes
    outcomes = {**sessions.outcomes, **writes.outcomes}
    if any(outcomes.values()):
        counts = ", ".join(f"{count} {outcome.phrase}" for outcome, count in outcomes.items() if count)
        return Result.FAIL, f"without a fault: {counts}"
    if not sessions.judged:
        return Result.UNKNOWN, "no session could be judged"
    return Result.PASS, f"no anomaly in {sessions.judged} sessions and {writes.acknowledged:,} acknowledged writes"


def _faulted(design: DesignSummary) -> ArmFigures:
    return design.arms.get("fault", next(iter(design.arms.values())))
