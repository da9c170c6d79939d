"""What must not get worse by even one: exact, with no statistics."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.compare.outcome import ComparisonOutcome
from harness.analysis.compare.side import ComparedRun
from harness.results.summary import ArmFigures
from harness.results.verdicts import Result

#: Counts of an arm that a sound design has at zero.
_COUNTS: dict[str, Callable[[ArmFigures], int | None]] = {
    "sessions lost": lambda arm: arm.sessions.lost,
    "sessions lost without being at risk": lambda arm: arm.sessions.lost_not_at_risk,
    "sessions rolled back": lambda arm: arm.sessions.rolled_back,
    "sessions stale": lambda arm: arm.sessions.stale,
    "sessions leaked": lambda arm: arm.sessions.leaked,
    "sessions forced to log in": lambda arm: arm.sessions.forced_login,
    "acknowledged writes lost": lambda arm: arm.writes.lost,
    "writes duplicated": lambda arm: arm.writes.duplicated,
    "writes unexplained": lambda arm: arm.writes.unexplained,
    "messages lost": lambda arm: arm.messages.lost if arm.messages else 0,
    "messages repeated": lambda arm: arm.messages.repeated if arm.messages else 0,
    "messages disordered": lambda arm: arm.messages.disordered if arm.messages else 0,
}


@dataclass(frozen=True)
class Invariant:
    """One thing that was checked; ``design`` is empty where it concerns the whole run."""

    design: str
    what: str
    outcome: ComparisonOutcome
    why: str


def check_invariants(run: ComparedRun, baseline: ComparedRun) -> tuple[Invariant, ...]:
    """Every count of every arm over all its repeats, and every verdict."""
    return (*_counts(run, baseline), *_verdicts(run, baseline))


def _counts(run: ComparedRun, baseline: ComparedRun) -> Iterator[Invariant]:
    for design, told in baseline.summary.designs.items():
        keeps = told.describe.get("at_risk") == "none"
        for name in told.arms:
            ours, theirs = _repeats(run, design, name), _repeats(baseline, design, name)
            if _judged(theirs) and not _judged(ours):
                why = f"{name} arm: no session could be judged"
                yield Invariant(design, f"sessions judged, {name}", ComparisonOutcome.INCONCLUSIVE, why)
            for what in _COUNTS:
                yield _count(design, name, what, (_total(what, ours), _total(what, theirs)), keeps)


def _count(design: str, name: str, what: str, counts: tuple[int, int], keeps: bool) -> Invariant:
    """More than before is worse where the design keeps all by its theory, or kept all before; others lose by theory."""
    now, before = counts
    worse = now > before and (keeps or before == 0)
    why = f"{name} arm: {now:,} {what}, {before:,} in the baseline"
    return Invariant(
        design, f"{what}, {name}", ComparisonOutcome.REGRESSION if worse else ComparisonOutcome.EQUIVALENT, why
    )


def _total(what: str, arms: Sequence[ArmFigures]) -> int:
    return sum(_COUNTS[what](arm) or 0 for arm in arms)


def _judged(arms: Sequence[ArmFigures]) -> int:
    return sum(arm.sessions.judged for arm in arms)


def _repeats(side: ComparedRun, design: str, name: str) -> tuple[ArmFigures, ...]:
    """All that was measured of an arm; of the reference design's control the A/A arm too, which is the same."""
    arms = [side.arm(design, name)]
    if name == "control" and design == side.reference:
        arms.append(side.aa_arm())
    return tuple(one for arm in arms if arm for one in arm.repeats or (arm,))


def _verdicts(run: ComparedRun, baseline: ComparedRun) -> Iterator[Invariant]:
    """A check that failed only now is a regression; one that cannot be told leaves the comparison open."""
    before = {(verdict.design, verdict.check): verdict.result for verdict in baseline.verdicts}
    for verdict in run.verdicts:
        outcome = ComparisonOutcome.EQUIVALENT
        if verdict.result is Result.FAIL and before.get((verdict.design, verdict.check)) is not Result.FAIL:
            outcome = ComparisonOutcome.REGRESSION
        if verdict.result is Result.UNKNOWN and verdict.check != "driver_kept_up":  # that one concerns times alone
            outcome = ComparisonOutcome.INCONCLUSIVE
        yield Invariant(verdict.design, f"verdict of {verdict.check}", outcome, verdict.why)
