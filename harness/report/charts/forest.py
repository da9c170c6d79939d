"""A comparison's lead figure: every ratio with its interval, and the margin that it is judged by."""

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
_ROW = 0.21  # inches
_WIDEST = 2.0  # beyond this ratio an interval is cut, and says so with an arrow


def draw(found: Comparison, directory: Path) -> Chart | None:
    """Save ``compare.svg`` and ``compare.png`` in ``directory``; None where no ratio was measured."""
    measured = [one for one in found.metrics if one.interval is not None]
    if not measured:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    with style.styled():
        drawing = Drawing(
            "compare", _TITLE, finding(found), _alt(found), _table(found.metrics), figure(found, measured)
        )
    return drawing.save(directory)


def figure(found: Comparison, measured: Sequence[MetricComparison]) -> Figure:
    """A row a ratio; right is worse, for a throughput too."""
    handles: list[Line2D | Patch] = [
        style.symbol(outcome.value, marker, color) for outcome, (color, marker) in _LOOKS.items()
    ]
    handles.append(Patch(fc=style.SHADE, label=f"margin, {found.margin:.0%}"))
    names = [_name(one) for one in measured]
    frame = style.Frame(left=0.35 + 0.062 * max(map(len, names)), right=0.25, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), _ROW * len(measured) + 0.1, frame)
    axes.axvspan(1 / (1 + found.margin), 1 + found.margin, color=style.SHADE, lw=0, zorder=0)
    axes.axvline(1, color=style.INK, lw=0.8, zorder=1)
    for place, one in enumerate(measured):
        _row(axes, place, one)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    _scale(axes, found, measured)
    style.legend(drawn, handles)
    return drawn


def _row(axes: Axes, place: int, one: MetricComparison) -> None:
    assert one.ratio is not None and one.interval is not None  # noqa: S101 - only measured ones come here
    color, marker = _LOOKS[one.outcome]
    low, high = one.interval
    axes.plot([max(low, 1 / _WIDEST), min(high, _WIDEST)], [place, place], color=color, lw=1.6)
    for end, cut, arrow in ((1 / _WIDEST, low < 1 / _WIDEST, "<"), (_WIDEST, high > _WIDEST, ">")):
        if cut:
            axes.plot(end, place, marker=arrow, color=color, ms=5, clip_on=False)
    if 1 / _WIDEST <= one.ratio <= _WIDEST:
        axes.plot(one.ratio, place, marker=marker, color=color, mfc=color if one.gates else style.PAPER, ms=5.5)


def _scale(axes: Axes, found: Comparison, measured: Sequence[MetricComparison]) -> None:
    """The same room on both sides of 1, on a logarithmic axis: half and twice are as far."""
    ends = [max(end, 1 / end) for one in measured if one.interval for end in one.interval]
    far = min(max([*ends, 1 + 2 * found.margin]) * 1.02, _WIDEST)
    ticks = [tick for tick in (0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0) if 1 / far <= tick <= far]
    axes.set_xscale("log")
    axes.set_xlim(1 / far, far)
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(
        "← better        times the baseline's ratio, 95 % interval (hollow: told, not gating)        worse →"
    )


def _name(one: MetricComparison) -> str:
    what = "1 / throughput" if one.measure == "throughput" else one.measure
    design, against = style.short(one.design), style.short(one.against)
    return f"{design} {one.arm}: {what}, by {against}"


def finding(found: Comparison) -> str:
    """The ratios that moved, or that none did."""
    flagged = {
        kind: [one.name for one in found.metrics if one.outcome is kind]
        for kind in (ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED)
    }
    told = [f"{kind}: {listed(names)}" for kind, names in flagged.items() if names]
    equal = sum(one.outcome is ComparisonOutcome.EQUIVALENT for one in found.metrics)
    rest = f"{equal} of {len(found.metrics)} ratios lie within {found.margin:.0%} of the baseline's"
    return "; ".join([*told, rest]) + "."


def _alt(found: Comparison) -> str:
    return (
        f"Forest plot: {len(found.metrics)} ratios of this run over the baseline's, each with its 95 % interval, "
        f"on a logarithmic axis around 1, with a band of {found.margin:.0%} as the margin."
    )


def _table(metrics: Sequence[MetricComparison]) -> Table:
    rows = tuple(
        (one.name, one.ratio, *(one.interval or (None, None)), one.pairs[0], one.pairs[1], one.outcome.value)
        for one in metrics
    )
    return Table(("ratio", "moved", "low", "high", "pairs", "baseline's pairs", "verdict"), rows)
