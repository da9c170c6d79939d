"""The main figure of a comparison: every ratio with its interval, and the margin that decides the outcome."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.analysis.compare import Comparison, ComparisonOutcome, MetricComparison
from harness.report.charts import style
from harness.report.charts.chart import Chart, Drawing, Table
from harness.report.charts.words import listed

_TITLE = "Ratios against the baseline"
_LOOKS = {
    ComparisonOutcome.REGRESSION: (style.VERMILION, "X"),
    ComparisonOutcome.INCONCLUSIVE: (style.MUTED, "o"),
    ComparisonOutcome.IMPROVED: (style.BLUE, "D"),
    ComparisonOutcome.EQUIVALENT: (style.GREEN, "s"),
}
_ROW_HEIGHT = 0.21  # inches
_MAX_RATIO = 2.0  # a longer interval is cut, and ends in an arrow


def draw(comparison: Comparison, directory: Path) -> Chart | None:
    """Save ``compare.svg`` and ``compare.png`` in ``directory``; returns None if no ratio was measured."""
    measured = [metric for metric in comparison.metrics if metric.ratio is not None]
    if not measured:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    with style.styled():
        drawing = Drawing(
            "compare",
            _TITLE,
            finding(comparison),
            _alt(comparison),
            _table(comparison.metrics),
            figure(comparison, measured),
        )
    return drawing.save(directory)


def figure(comparison: Comparison, measured: Sequence[MetricComparison]) -> Figure:
    """One row per ratio; further right is worse, for throughput too."""
    handles: list[Line2D | Patch] = [
        style.symbol(outcome.value, marker, color) for outcome, (color, marker) in _LOOKS.items()
    ]
    handles.append(Patch(fc=style.SHADE, label=f"margin, {comparison.margin:.0%}"))
    measures = ["1 / throughput" if metric.measure == "throughput" else metric.measure for metric in measured]
    names = [
        f"{style.short(metric.design)} {metric.arm}: {measure}, by {style.short(metric.against)}"
        for metric, measure in zip(measured, measures, strict=True)
    ]
    frame = style.Frame(left=0.35 + 0.062 * max(map(len, names)), right=0.25, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), _ROW_HEIGHT * len(measured) + 0.1, frame)
    axes.axvspan(1 / (1 + comparison.margin), 1 + comparison.margin, color=style.SHADE, lw=0, zorder=0)
    axes.axvline(1, color=style.INK, lw=0.8, zorder=1)
    for place, metric in enumerate(measured):
        _draw_row(axes, place, metric)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    _set_scale(axes, comparison, measured)
    style.legend(drawn, handles)
    return drawn


def _draw_row(axes: Axes, place: int, metric: MetricComparison) -> None:
    assert metric.ratio is not None  # noqa: S101 - only measured metrics are drawn
    color, marker = _LOOKS[metric.outcome]
    low, high = metric.interval or (metric.ratio, metric.ratio)  # of a single pair only the ratio is known
    axes.plot([max(low, 1 / _MAX_RATIO), min(high, _MAX_RATIO)], [place, place], color=color, lw=1.6)
    for end, cut, arrow in ((1 / _MAX_RATIO, low < 1 / _MAX_RATIO, "<"), (_MAX_RATIO, high > _MAX_RATIO, ">")):
        if cut:
            axes.plot(end, place, marker=arrow, color=color, ms=5, clip_on=False)
    if 1 / _MAX_RATIO <= metric.ratio <= _MAX_RATIO:
        axes.plot(metric.ratio, place, marker=marker, color=color, mfc=color if metric.gates else style.PAPER, ms=5.5)


def _set_scale(axes: Axes, comparison: Comparison, measured: Sequence[MetricComparison]) -> None:
    """A logarithmic axis with equal room on both sides of 1: a half is as far from it as a double."""
    seen = [end for metric in measured for end in (metric.ratio, *(metric.interval or ())) if end]
    ends = [max(end, 1 / end) for end in seen]
    far = min(max([*ends, 1 + 2 * comparison.margin]) * 1.02, _MAX_RATIO)
    ticks = [tick for tick in (0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0) if 1 / far <= tick <= far]
    axes.set_xscale("log")
    axes.set_xlim(1 / far, far)
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(
        "← better        times the baseline's ratio, 95 % interval (hollow: reported, not gating)        worse →"
    )


def finding(comparison: Comparison) -> str:
    """The ratios that moved, or a statement that none did."""
    flagged = {
        kind: [metric.name for metric in comparison.metrics if metric.outcome is kind]
        for kind in (ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED)
    }
    moved = [f"{kind}: {listed(names)}" for kind, names in flagged.items() if names]
    equal = sum(metric.outcome is ComparisonOutcome.EQUIVALENT for metric in comparison.metrics)
    rest = f"{equal} of {len(comparison.metrics)} ratios lie within {comparison.margin:.0%} of the baseline's"
    return "; ".join([*moved, rest]) + "."


def _alt(comparison: Comparison) -> str:
    return (
        f"Forest plot: {len(comparison.metrics)} ratios of this run over the baseline's, each with its 95 % interval, "
        f"on a logarithmic axis around 1, with a band of {comparison.margin:.0%} as the margin."
    )


def _table(metrics: Sequence[MetricComparison]) -> Table:
    rows = tuple(
        (
            metric.name,
            metric.ratio,
            *(metric.interval or (None, None)),
            metric.pairs[0],
            metric.pairs[1],
            metric.outcome.value,
        )
        for metric in metrics
    )
    return Table(("ratio", "moved", "low", "high", "pairs", "baseline's pairs", "verdict"), rows)
