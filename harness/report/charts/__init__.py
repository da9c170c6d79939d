"""Charts of a run: each says in a sentence what it shows, and has the values behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report.charts import cost, losses, outcomes, spectrum, spread, style, timeline
from harness.report.charts.chart import Chart, Drawing, Table
from harness.report.charts.measured import FINE, Measured, measured, windows
from harness.results.arm_files import ArmObservations
from harness.results.summary import ArmFigures, FaultFigures, Summary

__all__ = ["Chart", "Table", "draw"]


@dataclass(frozen=True)
class _Run:
    """A summary beside the observations that it was folded from."""

    summary: Summary
    arms: dict[tuple[str, str], ArmObservations]

    @property
    def looks(self) -> dict[str, style.SeriesStyle]:
        return {name: style.look(index) for index, name in enumerate(self.summary.designs)}

    def arm(self, design: str, name: str) -> ArmFigures | None:
        return self.summary.designs[design].arms.get(name)

    def faults(self, design: str) -> tuple[FaultFigures, ...]:
        arm = self.arm(design, "fault")
        return arm.faults if arm else ()

    def seen(self) -> Iterator[ArmObservations]:
        """Arms in the summary's order of designs, control before fault."""
        for design in self.summary.designs:
            for name in ("control", "fault"):
                if (design, name) in self.arms:
                    yield self.arms[design, name]

    def shown(self) -> list[ArmObservations]:
        """An arm a design: with its faults where it has such a one."""
        return list({arm.design: arm for arm in self.seen()}.values())


def draw(summary: Summary, arms: Sequence[ArmObservations], directory: Path) -> tuple[Chart, ...]:
    """Draw every chart that this run has values for, as SVG and PNG in ``directory`` (made where missing).

    Of an arm that was repeated the first repeat is drawn: percentiles are never averaged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    first = {(arm.design, arm.arm): arm for arm in reversed(arms)}
    run = _Run(summary, first)
    with style.styled():
        drawings = [drawing for drawing in _drawings(run) if drawing is not None]
    return tuple(drawing.save(directory) for drawing in drawings)


def _drawings(run: _Run) -> Iterator[Drawing | None]:
    requests = {key: measured(arm) for key, arm in run.arms.items()}
    shown = run.shown()
    if shown:
        yield from _timelines(run, shown, requests)
        yield _outcomes(run)
        yield _losses(run, shown)
        spectra = [
            spectrum.Spectrum.of(arm.design, arm.arm, requests[arm.design, arm.arm].latency_ns) for arm in run.seen()
        ]
        yield spectrum.drawing(spectra, [run.looks[arm.design] for arm in shown])
    yield _spread(run)
    yield _cost(run)


def _timelines(
    run: _Run, shown: Sequence[ArmObservations], requests: Mapping[tuple[str, str], Measured]
) -> Iterator[Drawing]:
    """The whole run, and a close-up of its faults where the run is much longer."""

    def faults(arm: ArmObservations) -> tuple[FaultFigures, ...]:
        return run.faults(arm.design) if arm.arm == "fault" else ()

    def rows(width: float, stretch: tuple[float, float] | None = None) -> list[timeline.TimelineRow]:
        return [
            timeline.TimelineRow(
                windows(requests[arm.design, arm.arm], width, stretch), faults(arm), run.looks[arm.design]
            )
            for arm in shown
        ]

    length = max(arm.duration - arm.warmup for arm in shown)
    yield timeline.drawing(rows(timeline.fitting(length)))
    stretch = timeline.close_up([fault for arm in shown for fault in faults(arm)], length)
    if stretch is not None:
        yield timeline.drawing(rows(FINE, stretch), close=True)


def _outcomes(run: _Run) -> Drawing | None:
    judged = [arm for arm in run.seen() if arm.judgements]
    folded = []
    for arm in judged:
        figures = run.arm(arm.design, arm.arm)
        sessions = figures.sessions if figures else None
        folded.append(outcomes.outcomes(arm.design, arm.arm, arm.judgements, sessions))
    return outcomes.drawing(folded) if folded else None


def _losses(run: _Run, shown: Sequence[ArmObservations]) -> Drawing | None:
    folded = [
        losses.Losses.of(arm.design, arm.judgements, run.faults(arm.design), run.looks[arm.design])
        for arm in shown
        if arm.arm == "fault" and arm.judgements
    ]
    return losses.drawing(folded, max(arm.duration for arm in shown)) if folded else None


def _spread(run: _Run) -> Drawing | None:
    folded = [
        spread.Spreads(design, {name: arm.spread for name, arm in told.arms.items()}, run.looks[design])
        for design, told in run.summary.designs.items()
        if told.arms
    ]
    return spread.drawing(folded) if folded else None


def _cost(run: _Run) -> Drawing | None:
    arms = {design: run.arm(design, "control") or run.arm(design, "fault") for design in run.summary.designs}
    folded = [cost.Cost.of(design, arm) for design, arm in arms.items() if arm]
    return cost.drawing(folded) if folded else None
