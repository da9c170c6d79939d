"""Compare a run with a baseline: counts as counts, performance only as ratios inside one session.

A machine's absolute speed never enters. Each figure is divided by another of the same repeat, and it is that ratio
which is compared with the baseline's: Welch's t interval on log ratios, a margin, Holm's correction over all metrics.
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
#: With fewer pairs than this on either side a metric is inconclusive.
MIN_PAIRS = 6
#: The share by which the A/A arm and the echo may move.
MAX_NOISE = 0.05
_MAX_NAMES = 3  # metrics named with one and the same reason


@dataclass(frozen=True)
class MetricComparison:
    """One ratio against the baseline's. ``ratio`` above 1 is worse, also for a throughput; None: no pair on a side.

    ``interval`` needs two pairs on each side, and an outcome six.
    """

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
    def has_too_few_pairs(self) -> bool:
        """Whether what was seen says nothing for certain."""
        return min(self.pairs) < MIN_PAIRS

    @property
    def name(self) -> str:
        """The metric in words."""
        return f"{self.design}, {self.arm} arm: {self.measure} against {self.against}"


@dataclass(frozen=True)
class Noise:
    """By how much the figures moved that should not move."""

    aa: Mapping[str, float | None] = field(default_factory=dict)  # by measure, a share such as 0.03
    echo: tuple[float, float] | None = None  # the interval of its throughput over the baseline's

    def find_doubt(self, measure: str, moved: float) -> str:
        """Why a shift of this measure cannot be believed; empty if it can. ``moved`` is a log ratio."""
        aa = self.aa.get(measure)
        if aa is None or self.echo is None:
            return "without an A/A arm and an echo in both runs the noise is unknown"
        if aa > MAX_NOISE:
            return f"the A/A arm, which is the same twice, moved by {aa:.1%}"
        if self.echo[0] > 1 + MAX_NOISE or self.echo[1] < 1 / (1 + MAX_NOISE):
            return f"the echo ran at {self.echo[0]:.0%} to {self.echo[1]:.0%} of its speed in the baseline's session"
        return f"no more than the A/A arm moved ({aa:.1%})" if 0 < moved <= math.log1p(aa) else ""


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison. ``obstacles`` are the reasons why times, or everything, could not be compared."""

    run: str
    baseline: str
    scenario: str
    margin: float
    outcome: ComparisonOutcome
    why: tuple[str, ...]
    obstacles: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()  # differences of the machines that the user declared acceptable
    changes: tuple[str, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    metrics: tuple[MetricComparison, ...] = ()
    noise: Noise = Noise()


def read_and_compare(
    run: Path,
    baseline: Path,
    margin: float = MARGIN,
    allow_environment: bool = False,
    *,
    also: Sequence[Path] = (),
    also_baseline: Sequence[Path] = (),
) -> Comparison:
    """Read the directories and compare them. A baseline that cannot be read leaves nothing to compare.

    ``also`` and ``also_baseline`` are runs of the same two builds in other sessions of the machine.

    Raises:
        UsageError: ``run`` or one of ``also`` cannot be read.
    """
    ours = ComparedRun.read(run, also)
    try:
        altered = find_altered_file(baseline)
        unreadable = f"{baseline / altered} is not what was accepted" if altered else ""
        theirs = ComparedRun.read(baseline, also_baseline)
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
    """Compare a run with a baseline.

    Another scenario, load or set of designs leaves nothing to compare. Another machine leaves the invariants,
    unless the user declares the difference acceptable.
    """
    names = (run.plan.run, baseline.plan.run, run.plan.scenario, margin)
    differences = find_experiment_differences(run, baseline)
    if differences:
        return Comparison(*names, ComparisonOutcome.NOT_COMPARABLE, differences, obstacles=differences)
    machine = find_machine_differences(run, baseline)
    obstacles, declared = ((), machine) if allow_environment else (machine, ())
    noise = Noise(_aa_noise(run, baseline), _echo_noise(run, baseline))
    exact = check_invariants(run, baseline, margin)
    metrics = () if obstacles else _compare_metrics(list_contrasts(run, baseline), noise, math.log1p(margin))
    outcome, why = _decide_outcome(exact, metrics, obstacles)
    return Comparison(
        *names, outcome, why, obstacles, declared, find_other_differences(run, baseline), exact, metrics, noise
    )


def _aa_noise(run: ComparedRun, baseline: ComparedRun) -> dict[str, float | None]:
    """By measure, how far the A/A arm lay from its twin, in the noisiest of the sessions; None if one has none."""
    divided = [divide_aa_arm(session) for side in (run, baseline) for session in side.sessions]
    return {
        measure.name: max(math.expm1(abs(float(np.mean(each[measure.name])))) for each in divided)
        if all(each[measure.name] for each in divided)
        else None
        for measure in MEASURES
    }


def _echo_noise(run: ComparedRun, baseline: ComparedRun) -> tuple[float, float] | None:
    """The 95 % interval of the echo's throughput over the baseline's; None if there are too few rounds."""
    now, before = (
        tuple(tuple(math.log(echo.throughput) for echo in session.list_echoes() if echo) for session in side.sessions)
        for side in (run, baseline)
    )
    if min(sum(map(len, now)), sum(map(len, before))) < 2:
        return None
    low, high = Shift(now, before).interval
    return math.exp(low), math.exp(high)


def _compare_metrics(contrasts: Sequence[Contrast], noise: Noise, margin: float) -> tuple[MetricComparison, ...]:
    """Judge every contrast; those with enough pairs form the family that Holm's correction counts."""
    shifts = {
        contrast: Shift(contrast.now, contrast.before) for contrast in contrasts if min(contrast.pairs) >= MIN_PAIRS
    }
    above = dict(zip(shifts, adjust_p_values([shift.p_above(margin) for shift in shifts.values()]), strict=True))
    below = dict(zip(shifts, adjust_p_values([shift.p_below(margin) for shift in shifts.values()]), strict=True))
    needed = f"pairs, at least {MIN_PAIRS} are needed (--repeat {MIN_PAIRS})"
    return tuple(
        _compare_metric(contrast, shifts[contrast], (above[contrast], below[contrast]), noise, margin)
        if contrast in shifts
        else _report(contrast, ComparisonOutcome.INCONCLUSIVE, f"{min(contrast.pairs)} {needed}", *_see(contrast))
        for contrast in contrasts
    )


def _judge_shift(shift: Shift, p: tuple[float, float], margin: float) -> tuple[ComparisonOutcome, str]:
    """The outcome of one shift alone, by its p values above and below the margin.

    With the two sides exchanged, a regression is an improvement.
    """
    low, high = shift.interval
    if -margin < low and high < margin:
        return ComparisonOutcome.EQUIVALENT, "the whole interval lies inside the margin"
    if min(p) >= ALPHA:
        why = "the interval reaches over the margin, or Holm's correction says it may be chance"
        return ComparisonOutcome.INCONCLUSIVE, why
    if not shift.recurs(margin):
        return ComparisonOutcome.INCONCLUSIVE, "beyond the margin, but not in each half or session of both sides"
    outcome = ComparisonOutcome.REGRESSION if p[0] < ALPHA else ComparisonOutcome.IMPROVED
    return outcome, "the whole interval lies beyond the margin, in each half or session of both sides too"


def _compare_metric(
    contrast: Contrast, shift: Shift, p: tuple[float, float], noise: Noise, margin: float
) -> MetricComparison:
    outcome, why = _judge_shift(shift, p, margin)
    flagged = outcome in (ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED)
    doubt = noise.find_doubt(contrast.measure.name, abs(shift.mean) if flagged else 0.0)
    if doubt:
        without = "" if outcome is ComparisonOutcome.INCONCLUSIVE else f"; without that: {outcome.value}"
        outcome, why = ComparisonOutcome.INCONCLUSIVE, doubt + without
    return _report(contrast, outcome, why, *_see(contrast))


def _see(contrast: Contrast) -> tuple[float | None, tuple[float, float] | None]:
    """The ratio that too few pairs show, and its interval if there are two on each side; neither decides anything."""
    if min(contrast.pairs) < 1:
        return None, None
    now, before = ([value for session in side for value in session] for side in (contrast.now, contrast.before))
    ratio = math.exp(float(np.mean(now) - np.mean(before)))
    if min(contrast.pairs) < 2:
        return ratio, None
    low, high = Shift(contrast.now, contrast.before).interval
    return ratio, (math.exp(low), math.exp(high))


def _report(
    contrast: Contrast,
    outcome: ComparisonOutcome,
    why: str,
    ratio: float | None = None,
    interval: tuple[float, float] | None = None,
) -> MetricComparison:
    return MetricComparison(
        design=contrast.design,
        arm=contrast.arm,
        measure=contrast.measure.name,
        against=contrast.against,
        gates=contrast.gates,
        pairs=contrast.pairs,
        ratio=ratio,
        interval=interval,
        outcome=outcome,
        why=why,
    )


def _decide_outcome(
    exact: Sequence[Invariant], metrics: Sequence[MetricComparison], obstacles: Sequence[str]
) -> tuple[ComparisonOutcome, tuple[str, ...]]:
    """The gravest outcome that counts, with all reasons that are as grave.

    A metric that does not gate counts only as a regression.
    """
    reasons = [(invariant.outcome, invariant.design or "the run", invariant.why) for invariant in exact]
    reasons += [
        (metric.outcome, metric.name, metric.why)
        for metric in metrics
        if metric.gates or metric.outcome is ComparisonOutcome.REGRESSION
    ]
    reasons += [(ComparisonOutcome.NOT_COMPARABLE, "times", obstacle) for obstacle in obstacles]
    reasons += [(ComparisonOutcome.INCONCLUSIVE, name, why) for name, why in _find_ambiguous(metrics)]
    worst = find_gravest(outcome for outcome, _, _ in reasons)
    if worst is ComparisonOutcome.EQUIVALENT:
        return worst, ()
    return worst, tuple(_group_by_reason([(name, why) for outcome, name, why in reasons if outcome is worst]))


def _group_by_reason(reasons: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Every reason once, after the names that it applies to."""
    names_by_why: dict[str, list[str]] = {}
    for name, why in reasons:
        names_by_why.setdefault(why, []).append(name)
    for why, names in names_by_why.items():
        more = f"; and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        yield f"{'; '.join(names[:_MAX_NAMES])}{more}: {why}"


def _find_ambiguous(metrics: Sequence[MetricComparison]) -> Iterator[tuple[str, str]]:
    """The designs that improved against a reference which may itself have become slower, with that reason."""
    floor = {metric.measure: metric.outcome for metric in metrics if metric.against == ECHO}
    for metric in metrics:
        improved = metric.arm == "control" and metric.against != ECHO and metric.outcome is ComparisonOutcome.IMPROVED
        if improved and floor[metric.measure] not in (ComparisonOutcome.EQUIVALENT, ComparisonOutcome.IMPROVED):
            yield metric.name, f"improved, or {metric.against} became worse: the echo cannot show which"
