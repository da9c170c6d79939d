"""The charts of a run, each with a sentence that says what it shows and the table of its values."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.report.charts import cost, losses, outcomes, spectrum, spread, style, timeline
from harness.report.charts.chart import Chart, Drawing, Table, saving_png
from harness.report.charts.measured import WINDOW_S, Measured, measured, windows
from harness.results.arm_files import ArmObservations
from harness.results.summary import ArmFigures, FaultFigures, Summary

__all__ = ["Chart", "Table", "draw", "drawing"]


@dataclass(frozen=True)
class _Run:
    """A summary with the observations from which it was computed."""

    summary: Summary
    arms: dict[tuple[str, str], ArmObservations]
    must_fail: frozenset[str]

    @property
    def looks(self) -> dict[str, style.SeriesStyle]:
        return {name: style.look(index) for index, name in enumerate(self.summary.designs)}

    def arm(self, design: str, name: str) -> ArmFigures | None:
        return self.summary.designs[design].arms.get(name)

    def faults(self, design: str) -> tuple[FaultFigures, ...]:
        arm = self.arm(design, "fault")
        return arm.faults if arm else ()

    def observed_arms(self) -> Iterator[ArmObservations]:
        """The arms in the summary's order of designs, each control before its fault."""
        for design in self.summary.designs:
            for name in ("control", "fault"):
                if (design, name) in self.arms:
                    yield self.arms[design, name]

    def judged_arms(self) -> list[ArmObservations]:
        """One arm per design: the one with the fault if there is one, otherwise the control."""
        return list({arm.design: arm for arm in self.observed_arms()}.values())


def draw(
    summary: Summary, arms: Sequence[ArmObservations], directory: Path, must_fail: frozenset[str] = frozenset()
) -> tuple[Chart, ...]:
    """Draw every chart that this run has values for, as SVG and PNG in ``directory``, which is created if missing.

    ``must_fail`` names the positive controls. Only the first repeat of an arm is drawn: percentiles are never averaged.
    """
    with drawing(summary, arms, directory, must_fail) as charts:
        return charts


@contextmanager
def drawing(
    summary: Summary, arms: Sequence[ArmObservations], directory: Path, must_fail: frozenset[str] = frozenset()
) -> Iterator[tuple[Chart, ...]]:
    """As ``draw``: the SVG files are there at once, the PNG files when the scope ends."""
    directory.mkdir(parents=True, exist_ok=True)
    first = {(arm.design, arm.arm): arm for arm in reversed(arms)}
    run = _Run(summary, first, must_fail)
    with style.styled():
        drawings = [drawing for drawing in _drawings(run) if drawing is not None]
    with saving_png(drawings, directory):
        yield tuple(drawing.save_svg(directory) for drawing in drawings)


def _drawings(run: _Run) -> Iterator[Drawing | None]:
    requests = {key: measured(arm) for key, arm in run.arms.items()}
    arms = run.judged_arms()
    if arms:
        yield from _timelines(run, arms, requests)
        yield _outcomes(run)
        yield _losses(run, arms)
        spectra = [
            spectrum.Spectrum.of(arm.design, arm.arm, requests[arm.design, arm.arm].latency_ns)
            for arm in run.observed_arms()
        ]
        yield spectrum.drawing(spectra, [run.looks[arm.design] for arm in arms])
    yield _spread(run)
    cost_arms = {design: run.arm(design, "control") or run.arm(design, "fault") for design in run.summary.designs}
    if costs := [cost.Cost.of(design, arm) for design, arm in cost_arms.items() if arm]:
        yield cost.drawing(costs)


def _timelines(
    run: _Run, arms: Sequence[ArmObservations], requests: Mapping[tuple[str, str], Measured]
) -> Iterator[Drawing]:
    """The whole run, and a close-up of its faults if the run is much longer."""

    def faults(arm: ArmObservations) -> tuple[FaultFigures, ...]:
        return run.faults(arm.design) if arm.arm == "fault" else ()

    def rows(width: float, stretch: tuple[float, float] | None = None) -> list[timeline.TimelineRow]:
        return [
            timeline.TimelineRow(
                windows(requests[arm.design, arm.arm], width, stretch), faults(arm), run.looks[arm.design]
            )
            for arm in arms
        ]

    length = max(arm.duration - arm.warmup for arm in arms)
    yield timeline.drawing(rows(timeline.window_width(length)))
    stretch = timeline.close_up([fault for arm in arms for fault in faults(arm)], length)
    if stretch is not None:
        yield timeline.drawing(rows(WINDOW_S, stretch), close=True)


def _outcomes(run: _Run) -> Drawing | None:
    bars = []
    for arm in run.observed_arms():
        if arm.judgements:
            figures = run.arm(arm.design, arm.arm)
            sessions = figures.sessions if figures else None
            bars.append(outcomes.count_outcomes(arm.design, arm.arm, arm.judgements, sessions))
    return outcomes.drawing(bars) if bars else None


def _losses(run: _Run, arms: Sequence[ArmObservations]) -> Drawing | None:
    lines = [
        losses.Losses.of(arm.design, arm.judgements, run.faults(arm.design), run.looks[arm.design])
        for arm in arms
        if arm.arm == "fault" and arm.judgements
    ]
    shown = [line for line in lines if line.design not in run.must_fail] or lines
    left_out = [line.design for line in lines if line not in shown]
    return losses.drawing(shown, max(arm.duration for arm in arms), left_out) if lines else None


def _spread(run: _Run) -> Drawing | None:
    spreads = [
        spread.Spreads(design, {name: arm.spread for name, arm in figures.arms.items()}, run.looks[design])
        for design, figures in run.summary.designs.items()
        if figures.arms
    ]
    return spread.drawing(spreads) if spreads else None
