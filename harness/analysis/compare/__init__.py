"""Compare a run with a baseline: invariants exactly, performance only as ratios inside one session.

A machine's absolute speed never enters. Each figure is divided by another of the same repeat, and it is that ratio
which is held against the baseline's: Welch's t interval on log ratios, a margin, Holm's correction over all metrics.
A regression is an interval that lies wholly beyond the margin, an equivalence one that lies wholly inside.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.analysis.compare.contrasts import ECHO, MEASURES, Contrast, divide_aa_arm, list_contrasts
from harness.analysis.compare.invariants import Invariant, check_invariants
from harness.analysis.compare.outcome import ComparisonOutcome, find_gravest
from harness.analysis.compare.ratios import ALPHA, Shift, adjust_p_values
from harness.analysis.compare.side import (
    ComparedRun,
    find_experiment_differences,
    find_machine_differences,
    find_other_differences,
)
from harness.common.errors import UsageError
from harness.results.baselines import find_altered_file

__all__ = [
    "MARGIN",
    "ComparedRun",
    "Comparison",
    "ComparisonOutcome",
    "MetricComparison",
    "compare",
    "read_and_compare",
]

MARGIN = 0.10
#: Fewer pairs than this on either side say nothing.
MIN_PAIRS = 6
#: What the A/A arm and the echo may move by.
STILL = 0.05
_NAMED = 3  # metrics with one and the same reason


@dataclass(frozen=True)
class MetricComparison:
    """One ratio against the baseline's. ``ratio`` above 1 is worse, also for a throughput; None: too few pairs."""

    design: str
    arm: str
    measure: str
    against: str
    gates: bool
    pairs: tuple[int, int]  # the run's, the baseline's
    ratio: float | None
    interval: tuple[float, float] | None
    outcome: ComparisonOutcome
    why: str

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.design}, {self.arm} arm: {self.measure} against {self.against}"


@dataclass(frozen=True)
class Noise:
    """By how much what should not move did."""

    aa: Mapping[str, float | None] = field(default_factory=dict)  # by measure, a share such as 0.03
    echo: tuple[float, float] | None = None  # the interval of its throughput over the baseline's

    def doubt(self, measure: str, moved: float) -> str:
        """Why a shift of this measure cannot be believed; empty where it can. ``moved`` is a log ratio."""
        aa = self.aa.get(measure)
        if aa is None or self.echo is None:
            return "without an A/A arm and an echo in both runs nobody knows the noise"
        if aa > STILL:
            return f"the A/A arm, which is the same twice, moved by {aa:.1%}"
        if self.echo[0] > 1 + STILL or self.echo[1] < 1 / (1 + STILL):
            return f"the echo ran at {self.echo[0]:.0%} to {self.echo[1]:.0%} of its speed in the baseline's session"
        return f"no more than the A/A arm moved ({aa:.1%})" if 0 < moved <= math.log1p(aa) else ""


@dataclass(frozen=True)
class Comparison:
    """All that was found. ``obstacles`` are why times, or all, could not be compared."""

    run: str
    baseline: str
    scenario: str
    margin: float
    outcome: ComparisonOutcome
    why: tuple[str, ...]
    obstacles: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()  # differences of the machines that were declared to be all right
    changes: tuple[str, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    metrics: tuple[MetricComparison, ...] = ()
    noise: Noise = Noise()


def read_and_compare(run: Path, baseline: Path, margin: float = MARGIN, allow_environment: bool = False) -> Comparison:
    """Read both directories and compare them. A baseline that cannot be read leaves nothing to compare.

    Raises:
        UsageError: ``run`` cannot be read.
    """
    ours = ComparedRun.read(run)
    try:
        unreadable = f"{baseline / name} is not what was accepted" if (name := find_altered_file(baseline)) else ""
        theirs = ComparedRun.read(baseline)
    except UsageError as problem:
        unreadable = problem.message
    if unreadable:
        why = f'{unreadable} (harness baseline accept {run} --reason "..." makes this run the baseline)'
        names = (ours.plan.run, baseline.name, ours.plan.scenario, margin)
        return Comparison(*names, ComparisonOutcome.NOT_COMPARABLE, (why,), obstacles=(why,))
    return compare(ours, theirs, margin, allow_environment)


def compare(
    run: ComparedRun, baseline: ComparedRun, margin: float = MARGIN, allow_environment: bool = False
) -> Comparison:
    """Hold a run against a baseline.

    Another scenario, load or set of designs leaves nothing to compare. Another machine leaves the invariants,
    unless it is declared to be all right.
    """
    names = (run.plan.run, baseline.plan.run, run.plan.scenario, margin)
    other = find_experiment_differences(run, baseline)
    if other:
        return Comparison(*names, ComparisonOutcome.NOT_COMPARABLE, other, obstacles=other)
    machine = find_machine_differences(run, baseline)
    obstacles, declared = ((), machine) if allow_environment else (machine, ())
    noise = Noise(_aa_noise(run, baseline), _echo_noise(run, baseline))
    exact = check_invariants(run, baseline)
    metrics = () if obstacles else _metrics(list_contrasts(run, baseline), noise, math.log1p(margin))
    outcome, why = _overall(exact, metrics, obstacles)
    return Comparison(
        *names, outcome, why, obstacles, declared, find_other_differences(run, baseline), exact, metrics, noise
    )


def _aa_noise(run: ComparedRun, baseline: ComparedRun) -> dict[str, float | None]:
    """By measure, how far the A/A arm lay from its twin, in the noisier of the two sessions."""
    now, before = divide_aa_arm(run), divide_aa_arm(baseline)
    return {
        measure.name: max(_share(now[measure.name]), _share(before[measure.name]))
        if now[measure.name] and before[measure.name]
        else None
        for measure in MEASURES
    }


def _share(logs: Sequence[float]) -> float:
    return math.expm1(abs(float(np.mean(logs))))


def _echo_noise(run: ComparedRun, baseline: ComparedRun) -> tuple[float, float] | None:
    """The 95 % interval of the echo's throughput over the baseline's; None where there are too few rounds."""
    now, before = (tuple(math.log(echo.throughput) for echo in side.list_echoes() if echo) for side in (run, baseline))
    if min(len(now), len(before)) < 2:
        return None
    low, high = Shift(now, before).interval
    return math.exp(low), math.exp(high)


def _metrics(found: Sequence[Contrast], noise: Noise, margin: float) -> tuple[MetricComparison, ...]:
    """Judge every contrast; those with enough pairs form the family that Holm's correction counts."""
    shifts = {one: Shift(one.now, one.before) for one in found if min(len(one.now), len(one.before)) >= MIN_PAIRS}
    above = dict(zip(shifts, adjust_p_values([shift.p_above(margin) for shift in shifts.values()]), strict=True))
    below = dict(zip(shifts, adjust_p_values([shift.p_below(margin) for shift in shifts.values()]), strict=True))
    return tuple(
        _metric(one, shifts[one], _judged(shifts[one], (above[one], below[one]), margin), noise)
        if one in shifts
        else _unmeasured(one)
        for one in found
    )


def _judged(shift: Shift, p: tuple[float, float], margin: float) -> tuple[ComparisonOutcome, str]:
    """What one shift says by itself. Turn the two sides round, and a regression is an improvement."""
    low, high = shift.interval
    if -margin < low and high < margin:
        return ComparisonOutcome.EQUIVALENT, "the whole interval lies inside the margin"
    if min(p) >= ALPHA:
        return (
            ComparisonOutcome.INCONCLUSIVE,
            "the interval reaches over the margin, or Holm's correction says it may be chance",
        )
    if not shift.recurs(margin):
        return ComparisonOutcome.INCONCLUSIVE, "beyond the margin, but not in each half of both sessions"
    return (
        ComparisonOutcome.REGRESSION if p[0] < ALPHA else ComparisonOutcome.IMPROVED,
        "the whole interval lies beyond the margin, in each half of both sessions too",
    )


def _metric(one: Contrast, shift: Shift, judged: tuple[ComparisonOutcome, str], noise: Noise) -> MetricComparison:
    outcome, why = judged
    flagged = outcome in (ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED)
    doubt = noise.doubt(one.measure.name, abs(shift.mean) if flagged else 0.0)
    if doubt:
        without = "" if outcome is ComparisonOutcome.INCONCLUSIVE else f"; without that: {outcome.value}"
        outcome, why = ComparisonOutcome.INCONCLUSIVE, doubt + without
    low, high = shift.interval
    ratio, interval = math.exp(shift.mean), (math.exp(low), math.exp(high))
    return MetricComparison(
        one.design, one.arm, one.measure.name, one.against, one.gates, one.pairs, ratio, interval, outcome, why
    )


def _unmeasured(one: Contrast) -> MetricComparison:
    why = f"{min(one.pairs)} pairs, at least {MIN_PAIRS} are needed (--repeat {MIN_PAIRS})"
    return MetricComparison(
        one.design,
        one.arm,
        one.measure.name,
        one.against,
        one.gates,
        one.pairs,
        None,
        None,
        ComparisonOutcome.INCONCLUSIVE,
        why,
    )


def _overall(
    exact: Sequence[Invariant], metrics: Sequence[MetricComparison], obstacles: Sequence[str]
) -> tuple[ComparisonOutcome, tuple[str, ...]]:
    """The gravest of all that counts, with everything that is as grave as that. What does not gate can only fail it."""
    said = [(one.outcome, one.design or "the run", one.why) for one in exact]
    said += [
        (one.outcome, one.name, one.why) for one in metrics if one.gates or one.outcome is ComparisonOutcome.REGRESSION
    ]
    said += [(ComparisonOutcome.NOT_COMPARABLE, "times", obstacle) for obstacle in obstacles]
    said += [(ComparisonOutcome.INCONCLUSIVE, name, why) for name, why in _ambiguous(metrics)]
    outcome = find_gravest(outcome for outcome, _, _ in said)
    told = [(name, why) for gravity, name, why in said if gravity is outcome]
    return outcome, () if outcome is ComparisonOutcome.EQUIVALENT else tuple(_grouped(told))


def _grouped(told: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Every reason once, with the names that it is of."""
    by_why: dict[str, list[str]] = {}
    for name, why in told:
        by_why.setdefault(why, []).append(name)
    for why, names in by_why.items():
        more = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{'; '.join(names[:_NAMED])}{more}: {why}"


def _ambiguous(metrics: Sequence[MetricComparison]) -> Iterator[tuple[str, str]]:
    """Where a design improved against the reference, the reference may as well have become slower."""
    floor = {one.measure: one.outcome for one in metrics if one.against == ECHO}
    for one in metrics:
        improved = one.arm == "control" and one.against != ECHO and one.outcome is ComparisonOutcome.IMPROVED
        if improved and floor[one.measure] not in (ComparisonOutcome.EQUIVALENT, ComparisonOutcome.IMPROVED):
            yield one.name, f"improved, or {one.against} became worse: the echo cannot tell which"
