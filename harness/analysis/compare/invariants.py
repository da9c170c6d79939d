"""What is counted: exactly where one is too many, and as counts with chance in them where a design loses some."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.analysis.compare.counts import Counted, CountShift, sum_counts
from harness.analysis.compare.outcome import ComparisonOutcome
from harness.analysis.compare.ratios import ALPHA, adjust_p_values
from harness.analysis.compare.side import ComparedRun
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures
from harness.results.verdicts import Result

_NOT_JUDGED = SessionOutcome.UNKNOWN.phrase
#: Checks that concern times alone.
_OF_TIMES = ("driver_kept_up", "targets_kept_up")


@dataclass(frozen=True)
class Invariant:
    """One thing that was checked; ``design`` is empty where it concerns the whole run."""

    design: str
    what: str
    outcome: ComparisonOutcome
    why: str


@dataclass(frozen=True)
class _CountedThing:
    """One count of one arm on both sides. ``exact``: the design has none of it by its theory, or had none before."""

    design: str
    arm: str
    what: str
    shift: CountShift
    exact: bool

    @property
    def counts(self) -> tuple[int, int]:
        """The run's and the baseline's."""
        return sum_counts(self.shift.now).count, sum_counts(self.shift.before).count

    def report(self, outcome: ComparisonOutcome, why: str = "") -> Invariant:
        """Its outcome, with the counts."""
        now, before = self.counts
        figures = f"{self.arm} arm: {now:,} {self.what}, {before:,} in the baseline"
        return Invariant(self.design, f"{self.what}, {self.arm}", outcome, f"{figures}{why and '; '}{why}")


def check_invariants(run: ComparedRun, baseline: ComparedRun, margin: float) -> tuple[Invariant, ...]:
    """Every count of every arm over all its repeats, and every verdict. ``margin`` is a share, such as 0.1."""
    return (*_check_counts(run, baseline, margin), *_check_verdicts(run, baseline))


def _check_counts(run: ComparedRun, baseline: ComparedRun, margin: float) -> Iterator[Invariant]:
    for design, name in _list_arms(baseline):
        if _count_judged(baseline, design, name) and not _count_judged(run, design, name):
            why = f"{name} arm: no session could be judged"
            yield Invariant(design, f"sessions judged, {name}", ComparisonOutcome.INCONCLUSIVE, why)
    things = tuple(_list_things(run, baseline))
    above = adjust_p_values([thing.shift.p_above(margin) for thing in things])
    below = adjust_p_values([thing.shift.p_below(margin) for thing in things])
    for thing, p_above, p_below in zip(things, above, below, strict=True):
        yield _check_count(thing, p_above, p_below, margin)


def _check_count(thing: _CountedThing, above: float, below: float, margin: float) -> Invariant:
    """One more is worse where there must be none; elsewhere the share must certainly have moved beyond the margin.

    A session that could not be judged may have had any anomaly: more of them leave the comparison open.
    """
    now, before = thing.counts
    if thing.what == _NOT_JUDGED:
        more = now > before and not (before and thing.shift.is_within(margin))
        return thing.report(ComparisonOutcome.INCONCLUSIVE if more else ComparisonOutcome.EQUIVALENT)
    if thing.exact and now > before:
        return thing.report(ComparisonOutcome.REGRESSION)
    if above < ALPHA:
        return thing.report(ComparisonOutcome.REGRESSION, f"their share certainly grew by more than {margin:.0%}")
    if below < ALPHA:
        return thing.report(ComparisonOutcome.IMPROVED)
    if thing.exact or thing.shift.is_within(margin):
        return thing.report(ComparisonOutcome.EQUIVALENT)
    return thing.report(ComparisonOutcome.INCONCLUSIVE, "their share may have moved beyond the margin, or not")


def _list_arms(baseline: ComparedRun) -> tuple[tuple[str, str], ...]:
    return tuple((design, name) for design, summary in baseline.summary.designs.items() for name in summary.arms)


def _list_things(run: ComparedRun, baseline: ComparedRun) -> Iterator[_CountedThing]:
    for design, name in _list_arms(baseline):
        keeps = baseline.summary.designs[design].describe.get("at_risk") == "none"
        now, before = ([_count(arm) for arm in side.list_repeats(design, name)] for side in (run, baseline))
        for what in before[0]:
            shift = CountShift(tuple(each[what] for each in now), tuple(each[what] for each in before))
            yield _CountedThing(design, name, what, shift, keeps or sum_counts(shift.before).count == 0)


def _count(arm: ArmFigures) -> Mapping[str, Counted]:
    """Everything that an arm counts and a sound design has at zero, each under its phrase."""
    sessions, sagas = arm.sessions, arm.sagas
    messages = arm.messages.due if arm.messages else 0
    groups = sessions.started  # they share a fate: what a session wrote is lost with it
    wholes = {"sessions": sessions.started, "messages": messages}
    counted = {
        outcome.phrase: Counted(
            arm.outcomes.get(outcome, 0), wholes.get(outcome.phrase.split()[0], arm.writes.acknowledged), groups
        )
        for outcome in SessionOutcome
        if outcome not in (SessionOutcome.KEPT, SessionOutcome.UNKNOWN)
    }
    return counted | {
        "sessions lost without being at risk": Counted(sessions.lost_not_at_risk or 0, sessions.started),
        "orders left half done": Counted(sagas.half_done, sagas.begun, groups) if sagas else Counted(0, 0),
        "orders with a step done twice": Counted(sagas.repeated, sagas.begun, groups) if sagas else Counted(0, 0),
        _NOT_JUDGED: Counted(sessions.unknown, sessions.started),
    }


def _count_judged(side: ComparedRun, design: str, name: str) -> int:
    return sum(arm.sessions.judged for arm in side.list_repeats(design, name))


def _check_verdicts(run: ComparedRun, baseline: ComparedRun) -> Iterator[Invariant]:
    """A check that failed only now is a regression; one that became unknown leaves the comparison inconclusive."""
    failed = {(verdict.design, verdict.check) for verdict in baseline.all_verdicts if verdict.result is Result.FAIL}
    for verdict in run.all_verdicts:
        outcome = ComparisonOutcome.EQUIVALENT
        if verdict.result is Result.FAIL and (verdict.design, verdict.check) not in failed:
            outcome = ComparisonOutcome.REGRESSION
        if verdict.result is Result.UNKNOWN and verdict.check not in _OF_TIMES:
            outcome = ComparisonOutcome.INCONCLUSIVE
        yield Invariant(verdict.design, f"verdict of {verdict.check}", outcome, verdict.why)
