"""What must not get worse by even one: exact, with no statistics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.compare.outcome import ComparisonOutcome
from harness.analysis.compare.side import ComparedRun
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures
from harness.results.verdicts import Result

#: Counts of an arm that a sound design has at zero.
_OUTCOMES = (
    SessionOutcome.LOST,
    SessionOutcome.ROLLED_BACK,
    SessionOutcome.STALE,
    SessionOutcome.LEAKED,
    SessionOutcome.FORCED_LOGIN,
    SessionOutcome.LOST_WRITES,
    SessionOutcome.DUPLICATED,
    SessionOutcome.UNEXPLAINED,
    SessionOutcome.LOST_MESSAGES,
    SessionOutcome.REPEATED_MESSAGES,
    SessionOutcome.DISORDERED,
)


@dataclass(frozen=True)
class Invariant:
    """One thing that was checked; ``design`` is empty where it concerns the whole run."""

    design: str
    what: str
    outcome: ComparisonOutcome
    why: str


def check_invariants(run: ComparedRun, baseline: ComparedRun) -> tuple[Invariant, ...]:
    """Every count of every arm over all its repeats, and every verdict."""
    return (*_check_counts(run, baseline), *_check_verdicts(run, baseline))


def _check_counts(run: ComparedRun, baseline: ComparedRun) -> Iterator[Invariant]:
    for design, summary in baseline.summary.designs.items():
        keeps = summary.describe.get("at_risk") == "none"
        for name in summary.arms:
            ours, theirs = _list_repeats(run, design, name), _list_repeats(baseline, design, name)
            if _count_judged(theirs) and not _count_judged(ours):
                why = f"{name} arm: no session could be judged"
                yield Invariant(design, f"sessions judged, {name}", ComparisonOutcome.INCONCLUSIVE, why)
            now, before = _sum_outcomes(ours), _sum_outcomes(theirs)
            for what in now:
                yield _check_count(design, name, what, (now[what], before[what]), keeps)


def _check_count(design: str, name: str, what: str, counts: tuple[int, int], keeps: bool) -> Invariant:
    """More than before is worse where the design keeps all by its theory, or kept all before; others lose by theory."""
    now, before = counts
    worse = now > before and (keeps or before == 0)
    why = f"{name} arm: {now:,} {what}, {before:,} in the baseline"
    return Invariant(
        design, f"{what}, {name}", ComparisonOutcome.REGRESSION if worse else ComparisonOutcome.EQUIVALENT, why
    )


def _sum_outcomes(arms: Sequence[ArmFigures]) -> dict[str, int]:
    """The counts of all these arms together, each under its phrase."""
    totals = {outcome.phrase: sum(arm.outcomes.get(outcome, 0) for arm in arms) for outcome in _OUTCOMES}
    return totals | {"sessions lost without being at risk": sum(arm.sessions.lost_not_at_risk or 0 for arm in arms)}


def _count_judged(arms: Sequence[ArmFigures]) -> int:
    return sum(arm.sessions.judged for arm in arms)


def _list_repeats(side: ComparedRun, design: str, name: str) -> tuple[ArmFigures, ...]:
    """All that was measured of an arm; of the reference design's control the A/A arm too, which is the same."""
    arms = [side.arm(design, name)]
    if name == "control" and design == side.reference:
        arms.append(side.aa_arm())
    return tuple(repeat for arm in arms if arm for repeat in arm.repeats or (arm,))


def _check_verdicts(run: ComparedRun, baseline: ComparedRun) -> Iterator[Invariant]:
    """A check that failed only now is a regression; one that became unknown leaves the comparison inconclusive."""
    before = {(verdict.design, verdict.check): verdict.result for verdict in baseline.verdicts}
    for verdict in run.verdicts:
        outcome = ComparisonOutcome.EQUIVALENT
        if verdict.result is Result.FAIL and before.get((verdict.design, verdict.check)) is not Result.FAIL:
            outcome = ComparisonOutcome.REGRESSION
        if verdict.result is Result.UNKNOWN and verdict.check != "driver_kept_up":  # that check concerns times alone
            outcome = ComparisonOutcome.INCONCLUSIVE
        yield Invariant(verdict.design, f"verdict of {verdict.check}", outcome, verdict.why)
