"""By how much the figures of two runs differ, each with its interval: for the page that shows both.

It compares what was measured and knows nothing of the machine: ``harness compare`` judges whether a build got worse.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

from harness.report.charts.words import number, plural
from harness.results.summary import ArmFigures, Summary

_CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)


@dataclass(frozen=True)
class Delta:
    """One figure of both runs, in words. ``direction``: better, worse, or empty if neither is certain."""

    figure: str
    left: str
    right: str
    change: str
    interval: str
    direction: str


@dataclass(frozen=True)
class ArmDeltas:
    """The figures of one arm that both runs have."""

    design: str
    arm: str
    deltas: tuple[Delta, ...]


def list_deltas(left: Summary, right: Summary) -> tuple[ArmDeltas, ...]:
    """The arms that both runs have, in the order of the first."""
    return tuple(
        ArmDeltas(name, arm, (*_compare_counts(ours, theirs), *_compare_times(ours, theirs)))
        for name, design in left.designs.items()
        for arm, ours in design.arms.items()
        if name in right.designs and (theirs := right.designs[name].arms.get(arm)) is not None
    )


def _compare_counts(left: ArmFigures, right: ArmFigures) -> Iterator[Delta]:
    """Shares of the sessions, writes and requests, in percentage points; more is worse."""
    shares = {
        "sessions lost": [(arm.sessions.lost, arm.sessions.known) for arm in (left, right)],
        "writes lost": [(arm.writes.lost, arm.writes.acknowledged) for arm in (left, right)],
        "errors": [(arm.requests.attempted - arm.requests.ok, arm.requests.attempted) for arm in (left, right)],
    }
    for name, (before, after) in shares.items():
        if not before[1] or not after[1]:
            continue
        low, high = subtract_shares(after, before)
        yield Delta(
            name,
            f"{before[0]:,} of {before[1]:,}",
            f"{after[0]:,} of {after[1]:,}",
            f"{100 * (after[0] / after[1] - before[0] / before[1]):+.2g} points",
            f"{100 * low:+.2g} to {100 * high:+.2g}",
            "worse" if low > 0 else "better" if high < 0 else "",
        )


def subtract_shares(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, each given as a count and the number that it is of.

    Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10.
    """
    (p, p_low, p_high), (q, q_low, q_high) = _bound_share(*one), _bound_share(*other)
    return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def _bound_share(count: int, of: int) -> tuple[float, float, float]:
    """A share with its interval by Wilson (1927)."""
    share, square = count / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return share, middle - half, middle + half


def _compare_times(left: ArmFigures, right: ArmFigures) -> Iterator[Delta]:
    """Ratios of rates and times over the repeats. Without two trusted repeats on each side none has an interval."""
    repeats = [arm.repeats or (arm,) for arm in (left, right)]
    figures = {
        "correct/s": [[each.throughput.correct for each in side] for side in repeats],
        "p50 ms": [[each.latency_ms.p50 for each in side] for side in repeats],
        "p99 ms": [[each.latency_ms.p99 for each in side] for side in repeats],
    }
    for name, sides in figures.items():
        trusted = all(arm.times_trusted if name == "correct/s" else arm.trusts(name[:3]) for arm in (left, right))
        before, after = ([math.log(value) for value in side if value] for side in sides)
        if before and after:
            yield _compare_logarithms(name, before, after, trusted)


def _compare_logarithms(name: str, before: Sequence[float], after: Sequence[float], trusted: bool) -> Delta:
    moved, half = fmean(after) - fmean(before), _halve_interval(before, after)
    interval, direction = "times cannot be trusted", ""
    if trusted and half is None:
        interval = f"measured {plural(min(len(before), len(after)), 'time')}"
    elif trusted and half is not None:
        interval = " to ".join(f"{100 * math.expm1(end):+.1f} %" for end in (moved - half, moved + half))
        is_more = moved > 0
        if abs(moved) > half:
            direction = "better" if is_more == (name == "correct/s") else "worse"
    old, new = (number(math.exp(fmean(values))) for values in (before, after))
    return Delta(name, old, new, f"{100 * math.expm1(moved):+.1f} %", interval, direction)


def _halve_interval(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Half of Welch's 95 % interval of the difference of two means; None with fewer than two values on a side."""
    from scipy import stats  # noqa: PLC0415 - it loads slowly, and most pages show one run

    if min(len(before), len(after)) < 2:
        return None
    parts = [(variance(values) / len(values), len(values) - 1) for values in (before, after)]
    error = sum(part for part, _ in parts)
    if not error:
        return 0.0
    freedom = error**2 / sum(part**2 / n for part, n in parts)
    return float(stats.t.ppf((1 + _CONFIDENCE) / 2, freedom)) * math.sqrt(error)
