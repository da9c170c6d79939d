"""What is expected of sessions and their acknowledged writes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, SessionFigures
from harness.results.verdicts import Result
from harness.scenario.checks import require
from harness.scenario.expectations.expectation import (
    Expect,
    Judged,
    check_every_arm,
    explain_not_judged,
    faulted,
    zero,
)

_NEVER = (SessionOutcome.LEAKED, SessionOutcome.WRONG)
_RISK_UNKNOWN = Result.UNKNOWN, "who was at risk: the replies name no replica that is known, or were not recorded"
#: The beginnings of the names of requests that write.
WRITING = ("POST", "PUT", "DELETE", "PATCH")


@dataclass(frozen=True)
class _OfLosses(Expect):
    """What may be lost under the fault. No fault excuses another's session, or content that was not requested."""

    def check(self, design: DesignSummary) -> Judged:
        """Look for such a reply, then at what was lost."""
        sessions = faulted(design).sessions
        shown = [f"{sessions.outcomes[word]:,} {word.phrase}" for word in _NEVER if sessions.outcomes[word]]
        return (Result.FAIL, ", ".join(shown)) if shown else self.check_losses(design)

    @abstractmethod
    def check_losses(self, design: DesignSummary) -> Judged:
        """The result of what was lost, and the reason."""


@dataclass(frozen=True)
class Keeps(_OfLosses):
    """No session and no acknowledged write is lost.

    One that is implied is about the fault alone, and lets 5 % of the sessions remain without a judgement.
    """

    name: ClassVar[str] = "keeps"

    def check_losses(self, design: DesignSummary) -> Judged:
        """In every arm; one that is implied, in the one with the fault."""
        return self._check_arm(faulted(design)) if self.implied else check_every_arm(design.arms, self._check_arm)

    def _check_arm(self, arm: ArmFigures) -> Judged:
        sessions, writes = arm.sessions, arm.writes
        why = (
            f"sessions lost {zero(sessions.lost, sessions.known)}, "
            f"acknowledged writes lost {zero(writes.lost, writes.acknowledged)}"
        )
        if sessions.lost or writes.lost:
            return Result.FAIL, why
        if doubt := self._find_doubt(arm):
            return Result.UNKNOWN, f"{why}; {doubt}"
        return Result.PASS, why

    def _find_doubt(self, arm: ArmFigures) -> str:
        sessions = arm.sessions
        if doubt := explain_not_judged(sessions) or describe_unexplained(arm):
            return doubt
        if sessions.unknown and not self.implied:
            return "; ".join([f"{sessions.unknown} sessions could not be judged", *sessions.not_judged_because])
        return ""


def describe_unexplained(arm: ArmFigures) -> str:
    """What is wrong and cannot be explained; empty if nothing is."""
    if not arm.writes.unexplained and not arm.sessions.unexplained:
        return ""
    return f"{arm.writes.unexplained:,} writes unexplained, in {arm.sessions.unexplained:,} sessions"


@dataclass(frozen=True)
class LosesTheAtRisk(_OfLosses):
    """Under the fault the lost sessions are exactly those at risk, over at least ``judged`` sessions."""

    judged: int = field(default=1, kw_only=True)
    name: ClassVar[str] = "loses_the_at_risk"

    def check_losses(self, design: DesignSummary) -> Judged:
        """Compare the two sets, session by session."""
        sessions = faulted(design).sessions
        if sessions.at_risk is None:
            return _RISK_UNKNOWN
        predicted = "" if sessions.expected_lost is None else f", {sessions.expected_lost} predicted"
        why = (
            f"{sessions.lost} of {sessions.known} sessions lost{predicted}; "
            f"{sessions.lost_not_at_risk} lost without being at risk, {sessions.at_risk_not_lost} at risk but kept"
        )
        if sessions.judged < self.judged:
            return _too_few(sessions, self.judged)
        if sessions.lost_not_at_risk != 0 or sessions.at_risk_not_lost != 0 or not sessions.at_risk:
            return Result.FAIL, why
        doubt = explain_not_judged(sessions)
        return (Result.UNKNOWN, f"{why}; {doubt}") if doubt else (Result.PASS, why)


@dataclass(frozen=True)
class LosesOnlyTheAtRisk(_OfLosses):
    """Under the fault no session is lost except those at risk, some of which may be kept.

    One that is implied asks it of writes, too, and where no fault took state away nothing was at risk.
    """

    judged: int = field(default=1, kw_only=True)
    name: ClassVar[str] = "loses_only_the_at_risk"

    def check_losses(self, design: DesignSummary) -> Judged:
        """Look for a lost session that was not at risk."""
        arm = faulted(design)
        sessions = arm.sessions
        if self.implied and not sessions.lost and not arm.writes.lost:
            return _judged_or_not(arm, f"sessions lost {zero(0, sessions.known)}")
        if sessions.at_risk is None:
            return _RISK_UNKNOWN
        if self.implied:
            return self._check_implied(arm, sessions.at_risk)
        if sessions.judged < self.judged or sessions.lost_not_at_risk is None:
            return _too_few(sessions, self.judged, ", and some fault")
        why = (
            f"{sessions.lost} of {sessions.known} sessions lost, {sessions.at_risk} at risk; "
            f"{sessions.lost_not_at_risk} lost without being at risk"
        )
        return (Result.FAIL, why) if sessions.lost_not_at_risk else _judged_or_not(arm, why)

    @staticmethod
    def _check_implied(arm: ArmFigures, at_risk: int) -> Judged:
        sessions, writes = arm.sessions, arm.writes
        lost = sessions.lost if sessions.lost_not_at_risk is None else sessions.lost_not_at_risk
        gone = writes.lost if writes.lost_not_at_risk is None else writes.lost_not_at_risk
        why = (
            f"{sessions.lost} of {sessions.known} sessions lost, {at_risk} at risk; without being at risk {lost} were "
            f"lost, and {gone} acknowledged writes"
        )
        return (Result.FAIL, why) if lost or gone else _judged_or_not(arm, why)


def _judged_or_not(arm: ArmFigures, why: str) -> Judged:
    """Pass, unless too few sessions were judged, or some cannot be explained."""
    doubt = explain_not_judged(arm.sessions) or describe_unexplained(arm)
    if not doubt:
        return Result.PASS, why
    return Result.UNKNOWN, f"{why}; {doubt}" if arm.sessions.known else doubt


def _too_few(sessions: SessionFigures, least: int, more: str = "") -> Judged:
    reasons = [f"only {sessions.judged} sessions judged, at least {least} wanted{more}", *sessions.not_judged_because]
    return Result.UNKNOWN, "; ".join(reasons)


@dataclass(frozen=True)
class LosesAtMost(_OfLosses):
    """Under the fault no session is lost, and the lost acknowledged writes are worth at most this many ``seconds``.

    The lost writes are converted to seconds by the rate of acknowledged writes before the fault. ``give`` is a
    tolerance, as a share of ``seconds``: the rate varies, and the loss may cover slightly more time than it should.
    """

    seconds: float = field(kw_only=True)
    give: float = field(default=0.3, kw_only=True)
    name: ClassVar[str] = "loses_at_most"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.seconds > 0, f"seconds must be above 0, not {self.seconds}")
        require(self.give >= 0, f"give must not be below 0, as {self.give} is")

    def check_losses(self, design: DesignSummary) -> Judged:
        """Compare the loss with that of so many seconds."""
        arm = faulted(design)
        lost_s = seconds_lost(arm)
        if lost_s is None or not arm.sessions.judged:
            return Result.UNKNOWN, "no writes were acknowledged before the fault, or no session could be judged"
        why = (
            f"{arm.writes.lost} acknowledged writes lost, as many as come in {lost_s:.2f} s; at most "
            f"{self.seconds:g} s of them were allowed, and {arm.sessions.lost} of {arm.sessions.known} sessions"
        )
        if arm.sessions.lost or lost_s > self.seconds * (1 + self.give):
            return Result.FAIL, why
        return _judged_or_not(arm, why)


def seconds_lost(arm: ArmFigures) -> float | None:
    """The lost acknowledged writes, as the time in which the same number was acknowledged before the first fault."""
    before, ok = arm.phases.before, sum(named.ok for named in arm.names.values())
    writes = sum(named.ok for name, named in arm.names.items() if name.startswith(WRITING))
    if before is None or not before.throughput.mean or not writes:
        return None
    return arm.writes.lost / (before.throughput.mean * writes / ok)


@dataclass(frozen=True)
class MayLose(_OfLosses):
    """Nothing is expected of the design's sessions under the fault: what they lose is measured, and does not fail."""

    name: ClassVar[str] = "may_lose"

    def check_losses(self, design: DesignSummary) -> Judged:
        """Say what was lost; unknown if that is not known."""
        arm = faulted(design)
        why = (
            f"sessions lost {zero(arm.sessions.lost, arm.sessions.known)}, "
            f"acknowledged writes lost {zero(arm.writes.lost, arm.writes.acknowledged)}"
        )
        doubt = explain_not_judged(arm.sessions)
        return (Result.UNKNOWN, f"{why}; {doubt}") if doubt else (Result.PASS, why)


@dataclass(frozen=True)
class MovesAShare(Expect):
    """Under the fault this share of all sessions, plus or minus ``within``, moves to another replica."""

    share: float = field(kw_only=True)
    within: float = field(default=0.1, kw_only=True)
    name: ClassVar[str] = "moves_a_share"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.share <= 1, f"a share lies between 0 and 1, not at {self.share}")
        require(self.within >= 0, f"within must not be below 0, as {self.within} is")

    def check(self, design: DesignSummary) -> Judged:
        """Compare the share with the prediction."""
        sessions = faulted(design).sessions
        if not sessions.started:
            return Result.UNKNOWN, "no session was started"
        moved = sessions.moved / sessions.started
        why = f"{sessions.moved} of {sessions.started} sessions moved ({moved:.1%}), {self.share:.1%} predicted"
        return (Result.PASS if abs(moved - self.share) <= self.within else Result.FAIL), why


@dataclass(frozen=True)
class Finds(Expect):
    """The finding of the design is one of ``among`` (a positive control: what must go wrong does)."""

    outcomes: tuple[str, ...] = field(kw_only=True)
    name: ClassVar[str] = "finds"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "outcomes", tuple(str(outcome) for outcome in self.outcomes))
        words = [outcome.value for outcome in SessionOutcome]
        require(len(self.outcomes) > 0, "finds needs among=", 'finds("broken", among=("lost",))')
        for outcome in self.outcomes:
            require(outcome in words, f"there is no finding {outcome!r}", f"one of {', '.join(words)}")

    @property
    def declares_harm(self) -> bool:
        """Whether the design is expected not to keep everything."""
        return SessionOutcome.KEPT not in self.outcomes

    def check(self, design: DesignSummary) -> Judged:
        """Compare the finding."""
        why = f"found {design.finding}, expected {' or '.join(self.outcomes)}"
        if design.finding in self.outcomes:
            return Result.PASS, why
        if design.finding is SessionOutcome.UNKNOWN:
            return Result.UNKNOWN, f"{why}; {explain_not_judged(faulted(design).sessions)}"
        return Result.FAIL, why


@dataclass(frozen=True)
class CleanControl(Expect):
    """Without a fault there is no anomaly at all."""

    of_messages: bool = field(default=True, kw_only=True)  # whether lost, repeated and disordered ones count
    name: ClassVar[str] = "clean_control"

    def check(self, design: DesignSummary) -> Judged:
        """Look for any in the control arm."""
        arm = design.arms.get("control")
        if arm is None:
            return Result.UNKNOWN, "the control arm did not run"
        if found := [f"{count:,} {outcome.phrase}" for outcome, count in self._count(arm).items() if count]:
            return Result.FAIL, f"without a fault: {', '.join(found)}"
        return _judged_or_not(
            arm, f"no anomaly in {arm.sessions.judged} sessions and {arm.writes.acknowledged:,} acknowledged writes"
        )

    def _count(self, arm: ArmFigures) -> Mapping[SessionOutcome, int]:
        return arm.outcomes if self.of_messages else {**arm.sessions.outcomes, **arm.writes.outcomes}

    def hint(self, name: str, design: DesignSummary) -> str:
        """A design that is broken without any fault has no theory of a fault."""
        found = next(outcome for outcome, count in self._count(design.arms["control"]).items() if count)
        line = f'expect=[finds("{name}", among=("{found}",))]'
        stated = design.describe.get("at_risk") in ("none", "victim")
        return f"if it must be broken without a fault: {line}{', and no at_risk=' if stated else ''}"


def keeps(*designs: str) -> Expect:
    """No session and no acknowledged write is lost, with or without the fault."""
    return Keeps(designs)


def loses_the_at_risk(*designs: str, judged: int = 1) -> Expect:
    """Under the fault the lost sessions are exactly those at risk, over at least ``judged`` sessions."""
    return LosesTheAtRisk(designs, judged=judged)


def loses_only_the_at_risk(*designs: str, judged: int = 1) -> Expect:
    """Under the fault no session is lost except those at risk, some of which may be kept."""
    return LosesOnlyTheAtRisk(designs, judged=judged)


def loses_at_most(*designs: str, seconds: float, give: float = 0.3) -> Expect:
    """Under the fault no session is lost, and no more acknowledged writes than come in ``seconds`` (plus ``give``)."""
    return LosesAtMost(designs, seconds=seconds, give=give)


def may_lose(*designs: str) -> Expect:
    """Nothing is expected of the sessions under the fault: what they lose is measured, and does not fail."""
    return MayLose(designs)


def moves_a_share(*designs: str, share: float, within: float = 0.1) -> Expect:
    """Under the fault this share of all sessions, plus or minus ``within``, moves to another replica."""
    return MovesAShare(designs, share=share, within=within)


def finds(*designs: str, among: Sequence[str]) -> Expect:
    """The finding of the design is one of ``among`` (a positive control: what must go wrong does)."""
    return Finds(designs, outcomes=tuple([among] if isinstance(among, str) else among))


def clean_control(*designs: str) -> Expect:
    """Without a fault there is no anomaly at all."""
    return CleanControl(designs)
