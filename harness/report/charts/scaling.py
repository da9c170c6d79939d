"""Capacity by replicas with the ideal line and the fitted law, and the result at each offered load."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes

from harness.analysis.scaling.capacity import Objectives
from harness.analysis.scaling.scaling_run import ScaledDesign, ScalingRun, Size
from harness.report.charts import style
from harness.report.charts.chart import Drawing, Table, Tooltip, tooltip_at

_DASHED = (0, (4, 2))
_DOTTED = (0, (1, 2))
_CAPACITY_TITLE = "Capacity by number of replicas"
_DEMANDS_TITLE = "Achieved load and latency at each offered load"


def drawings(scaled: ScalingRun) -> tuple[Drawing, ...]:
    """The capacity, and the results at each offered load, of the designs with at least one measured size."""
    designs = [design for design in scaled.designs if design.sizes]
    if not designs:
        return ()
    with style.styled():
        return _capacity_drawing(designs), _demands_drawing(designs, scaled.objectives)


def _capacity_drawing(designs: Sequence[ScaledDesign]) -> Drawing:
    handles = [
        *(style.symbol(design.name, style.look(i).marker, style.look(i).color) for i, design in enumerate(designs)),
        style.stroke("fitted law, dashed beyond the data", style.INK),
        style.stroke("linear from one replica", style.MUTED, _DOTTED),
        style.symbol("left out: bound by driver or host", "o", style.INK, "none"),
    ]
    frame = style.Frame(left=0.75, right=0.3, top=style.top(handles), bottom=0.55)
    figure, [[axes]] = style.panels(_CAPACITY_TITLE, (1, 1), 3.4, frame)
    for index, design in enumerate(designs):
        _draw_capacity(axes, design, style.look(index))
    axes.set_xlabel("replicas")
    axes.set_ylabel("requests/s held")
    axes.set_xticks(sorted({size.replicas for design in designs for size in design.sizes}))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    style.legend(figure, handles)
    return Drawing(
        "scaling",
        _CAPACITY_TITLE,
        " ".join(f"{design.name}: {design.fit.sentence}" for design in designs),
        "For each design the highest load that it held at each number of replicas, with the fitted law.",
        Table(
            (
                "design",
                "replicas",
                "held, requests/s",
                "failed, requests/s",
                "efficiency",
                "bound by",
                "used in the fit",
            ),
            tuple(_row(design, size) for design in designs for size in design.sizes),
        ),
        figure,
        tuple(_capacity_tooltips(axes, designs)),
    )


def _capacity_tooltips(axes: Axes, designs: Sequence[ScaledDesign]) -> Iterator[Tooltip]:
    for design in designs:
        for size in design.sizes:
            text = f"{design.name}, {size.replicas} replicas: {size}"
            yield tooltip_at(axes, (size.replicas, size.capacity.held), text, design.name)


def _row(design: ScaledDesign, size: Size) -> tuple[str | float | None, ...]:
    capacity, efficiency = size.capacity, design.fit.efficiency(size.point)
    return (
        design.name,
        size.replicas,
        round(capacity.held, 1),
        None if capacity.failed is None else round(capacity.failed, 1),
        None if efficiency is None else round(efficiency, 3),
        capacity.bound_by,
        "yes" if capacity.usable else "no",
    )


def _draw_capacity(axes: Axes, design: ScaledDesign, look: style.SeriesStyle) -> None:
    fit = design.fit
    for size in design.sizes:
        face = look.color if size.capacity.usable else "none"
        axes.plot(size.replicas, size.capacity.held, ls="none", marker=look.marker, color=look.color, mfc=face, ms=6)
    law = fit.chosen
    if law is None:
        return
    last = max(point.replicas for point in fit.points)
    inside, beyond = np.linspace(0.5, last, 80), np.linspace(last, min(fit.reach, 1.5 * last), 40)
    axes.plot(inside, law.at(inside), color=look.color, lw=1.6)
    axes.plot(beyond, law.at(beyond), color=look.color, lw=1.2, ls=_DASHED)
    if law.g.low is not None and law.g.high is not None:
        ratio = law.at(inside) / law.g.value
        axes.fill_between(inside, ratio * law.g.low, ratio * law.g.high, color=look.color, alpha=0.12, lw=0)
    first = min(fit.points, key=lambda point: point.replicas)
    ideal = np.array([0, last])
    axes.plot(ideal, ideal * first.capacity / first.replicas, color=style.MUTED, lw=1, ls=_DOTTED, zorder=1)


def _demands_drawing(designs: Sequence[ScaledDesign], objectives: Objectives) -> Drawing:
    handles = [
        style.symbol("held", "o", style.INK),
        style.symbol("failed", "X", style.INK),
        style.stroke(f"p99 objective, {objectives.p99_ms:g} ms", style.MUTED, _DASHED),
    ]
    frame = style.Frame(left=0.75, right=0.3, top=style.top(handles, titled=True), bottom=0.55, gap_x=0.7, gap_y=0.6)
    figure, grid = style.panels(_DEMANDS_TITLE, (len(designs), 2), 1.9, frame)
    for index, (design, [left, right]) in enumerate(zip(designs, grid, strict=True)):
        _draw_trials(left, right, design, style.look(index), objectives)
        right.axhline(objectives.p99_ms, color=style.MUTED, ls=_DASHED, lw=1)
    for axes in grid[-1]:
        axes.set_xlabel("offered, requests/s")
    style.legend(figure, handles)
    rows = tuple(
        (
            design.name,
            size.replicas,
            round(trial.demand, 1),
            round(trial.achieved, 1),
            trial.p99_ms,
            round(trial.errors, 5),
        )
        for design in designs
        for size in design.sizes
        for trial in size.capacity.trials
    )
    return Drawing(
        "demands",
        _DEMANDS_TITLE,
        "Beyond the capacity the achieved rate no longer follows the offered rate, and latency exceeds its objective.",
        "For each design, offered load against achieved load, and against p99 latency.",
        Table(("design", "replicas", "offered", "achieved", "p99 ms", "errors"), rows),
        figure,
    )


def _draw_trials(
    left: Axes, right: Axes, design: ScaledDesign, look: style.SeriesStyle, objectives: Objectives
) -> None:
    trials = [(trial, trial.held(objectives)) for size in design.sizes for trial in size.capacity.trials]
    highest = max((trial.demand for trial, _ in trials), default=1.0)
    left.plot([0, highest], [0, highest], color=style.MUTED, lw=1, ls=_DOTTED)
    latencies = [trial.p99_ms for trial, _ in trials if trial.p99_ms]
    for trial, held in trials:
        marker = "o" if held else "X"
        left.plot(trial.demand, trial.achieved, marker=marker, color=look.color, ls="none", ms=5)
        if trial.p99_ms:
            right.plot(trial.demand, trial.p99_ms, marker=marker, color=look.color, ls="none", ms=5)
    if latencies:
        style.log_axis(right, min(latencies), max(latencies))
    left.set_title(f"{design.name}: achieved/s", loc="left")
    right.set_title("p99 latency, ms", loc="left")
