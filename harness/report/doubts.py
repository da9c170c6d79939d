"""Why not to trust a run's figures: one sentence per kind of doubt, with a count of arms and the worst of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.report.charts.words import number, plural
from harness.results.summary import ArmFigures, Summary

_NO_TIMES = "times cannot be trusted"
_NO_P99 = "p99 cannot be trusted"


@dataclass(frozen=True)
class _Doubtful:
    """An arm of which times are in doubt, the reasons, and how bad it is."""

    design: str
    arm: str
    whys: tuple[str, ...]
    degree: float


def doubts(summary: Summary) -> tuple[str, ...]:
    """The sentences: doubts about times, then about counts."""
    arms = [(name, arm, figures) for name, design in summary.designs.items() for arm, figures in design.arms.items()]
    saturated = [_strained(*arm) for arm in arms if arm[2].driver.saturated]
    delayed = [_strained(*arm) for arm in arms if arm[2].times_trusted and arm[2].driver.doubtful]
    starved = [
        _Doubtful(design, arm, (f"other programs used {number(use.other_cpu)} of them",), use.waited or 0)
        for design, arm, figures in arms
        if (use := figures.resources).starved
    ]
    return (
        *_summarize("The load driver was saturated in", saturated, len(arms)),
        *_summarize("Cores were short in", starved, len(arms)),
        *_summarize("The load driver had short delays in", delayed, len(arms), _NO_P99),
        *_doubt_the_judge(summary),
    )


def _strained(design: str, arm: str, figures: ArmFigures) -> _Doubtful:
    driver = figures.driver
    whys = driver.doubts or (f"lag p99 {number(driver.lag_p99_ms, 'ms')}",)
    delay = driver.lag_p99_ms if driver.own_p99_ms is None else driver.own_p99_ms
    return _Doubtful(design, arm, whys, delay or 0)


def _summarize(what: str, doubtful: Sequence[_Doubtful], of: int, untrusted: str = _NO_TIMES) -> Iterator[str]:
    if len(doubtful) == 1:
        (arm,) = doubtful
        yield f"{what} {arm.design} ({arm.arm}, {'; '.join(arm.whys)}): its {untrusted}."
    elif doubtful:
        worst = max(doubtful, key=lambda arm: arm.degree)
        example = f"{worst.design} ({worst.arm}, {worst.whys[-1]})"
        yield f"{what} {len(doubtful)} of {plural(of, 'arm')}: their {untrusted}. The worst: {example}."


def _doubt_the_judge(summary: Summary) -> Iterator[str]:
    calibration = summary.controls.calibration
    if calibration is not None and not calibration.diagonal:
        wrong = calibration.sessions - calibration.correct
        yield (
            f"The judge was wrong about {wrong:,} of {plural(calibration.sessions, 'session')} with a known bug: "
            "no count can be trusted."
        )
