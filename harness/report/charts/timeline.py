"""Throughput and latency over time, one row per design: what the fault did, and for how long."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.measured import WINDOW_S, Floats, Windows
from harness.report.charts.pieces import cut
from harness.report.charts.words import number
from harness.results.summary import FaultFigures

_TITLE = "Throughput and latency over time"
_CLOSE_TITLE = "Throughput and latency around the fault"
_ERRORS, _ANOMALIES = ("x", style.INK), ("v", style.VERMILION)
_ALL_DASHES = (0, (2.0, 1.2))
_SIGTERM_DASHES, _LEFT_DASHES = (0, (1.0, 1.0)), (0, (6.0, 1.5, 1.0, 1.5))
_MAX_ROWS = 1000  # of the table of values
_MAX_WINDOWS = 400  # per panel: with more, each would be narrower than a pixel
_MAX_MARKERS = 120  # per line: more would hide it
_MARGIN_S = 5.0  # shown in a close-up before a fault and after the last of its effects
_MAX_CLOSE_UP_S = 60.0


@dataclass(frozen=True)
class TimelineRow:
    """One design's windows, its faults, and its look."""

    windows: Windows
    faults: tuple[FaultFigures, ...]
    look: style.SeriesStyle

    @property
    def end(self) -> float:
        """Seconds from T0 at which the last window ends."""
        return float(self.windows.start[-1]) + self.windows.width

    @property
    def effective(self) -> float | None:
        """When the first fault took effect."""
        return min((fault.effective for fault in self.faults if fault.effective is not None), default=None)

    @property
    def lowest(self) -> float | None:
        """The worst window after the fault, divided by the mean before it; None if either is missing."""
        if self.effective is None:
            return None
        before = self.windows.correct[self.windows.start + self.windows.width <= self.effective]
        after = self.windows.correct[self.windows.start >= self.effective]
        return float(after.min() / before.mean()) if before.sum() and after.size else None

    @property
    def recover_s(self) -> float | None:
        """The longest recovery of its faults."""
        return max((fault.recover_s for fault in self.faults if fault.recover_s is not None), default=None)


def window_width(seconds: float) -> float:
    """The width of a window in seconds for a run this long: 250 ms, or the smallest multiple that fits its panel."""
    return WINDOW_S * max(int(np.ceil(seconds / WINDOW_S / _MAX_WINDOWS)), 1)


def close_up(faults: Sequence[FaultFigures], seconds: float) -> tuple[float, float] | None:
    """The stretch, in seconds from T0, that a separate chart of the faults shows in a run this long.

    None if no fault landed, or if the faults take up a third of the run: then the chart of the whole run shows them.
    """
    landed = [(fault, fault.effective) for fault in faults if fault.effective is not None]
    if not landed:
        return None
    begin = min(effective for _, effective in landed) - _MARGIN_S
    ends = [at + max(f.detect_s or 0, f.recover_s or 0, (f.healed or at) - at) for f, at in landed]
    end = min(max(ends) + _MARGIN_S, begin + _MAX_CLOSE_UP_S)
    return (begin, end) if end - begin < seconds / 3 else None


def figure(rows: Sequence[TimelineRow], title: str = _TITLE) -> Figure:
    """Small multiples on one time axis: replies per second on the left, the 99th percentile on the right."""
    drawn, grid = style.panels(title, (len(rows), 2), 0.95, _frame(rows))
    low, high = _latency_limits(rows)
    for row, (left, right) in zip(rows, grid, strict=True):
        _draw_throughput(left, row)
        _draw_latency(right, row)
        style.log_axis(right, low, high)
        left.set_title(style.short(row.windows.design, 36), fontweight="bold")
        left.set_title("replies/s", loc="right", color=style.MUTED, fontsize=8)
        right.set_title("p99 latency, ms", loc="right", color=style.MUTED, fontsize=8)
    _set_time_axes(grid, min(float(row.windows.start[0]) for row in rows), max(row.end for row in rows))
    style.legend(drawn, _handles(rows))
    return drawn


def _frame(rows: Sequence[TimelineRow]) -> style.Frame:
    return style.Frame(
        left=0.62, right=0.15, top=style.top(_handles(rows), titled=True), bottom=0.5, gap_x=0.62, gap_y=0.52
    )


def _set_time_axes(grid: Sequence[Sequence[Axes]], begin: float, end: float) -> None:
    """One time axis for all panels; each has its ticks, since a page may show it alone."""
    for panels in grid:
        for axes in panels:
            axes.set_xlim(begin, end)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
            if panels is grid[-1]:
                axes.set_xlabel("time from the start of the load")


def _draw_throughput(axes: Axes, row: TimelineRow) -> None:
    windows, look = row.windows, row.look
    edges = np.append(windows.start, row.end)
    _draw_faults(axes, row)
    drawn = [
        axes.stairs(windows.answered, edges, baseline=None, color=style.MUTED, lw=0.9, ls=_ALL_DASHES),
        axes.stairs(windows.correct, edges, color=look.color, fill=True, alpha=0.16, lw=0),
        axes.stairs(windows.correct, edges, baseline=None, color=look.color, lw=1.4),
    ]
    look.own(drawn, "throughput")
    top = max(float(windows.answered.max(initial=0)), 1.0) * 1.3
    axes.set_ylim(0, top)
    middle = windows.start + windows.width / 2
    for counts, height, (marker, color) in ((windows.errors, 0.93, _ERRORS), (windows.anomalies, 0.84, _ANOMALIES)):
        x = middle[counts > 0]
        marks = axes.plot(x, np.full(x.size, top * height), ls="none", marker=marker, color=color, ms=3.5, mew=1)
        look.own(marks, f"marks{height}")


def _draw_latency(axes: Axes, row: TimelineRow) -> None:
    _draw_faults(axes, row)
    middle = row.windows.start + row.windows.width / 2
    marker = row.look.marker if middle.size <= _MAX_MARKERS else ""
    line = axes.plot(middle, row.windows.p99_ms, color=row.look.color, lw=1.2, marker=marker, ms=2.4)
    row.look.own(line, "latency")


def _draw_faults(axes: Axes, row: TimelineRow) -> None:
    style.shade(axes, row.faults, row.end)
    for fault in row.faults:
        if fault.effective is not None and fault.recover_s is not None:
            axes.axvline(fault.effective + fault.recover_s, color=style.INK, lw=1, ls=style.DASHED, zorder=1)
        for pod in fault.pods:
            axes.axvline(pod.endpoint_left, color=style.INK, lw=0.8, ls=_LEFT_DASHES, zorder=1)
            if pod.sigterm is not None:
                axes.axvline(pod.sigterm, color=style.INK, lw=1, ls=_SIGTERM_DASHES, zorder=1)


def _latency_limits(rows: Sequence[TimelineRow]) -> tuple[float, float]:
    values = np.concatenate([row.windows.p99_ms for row in rows])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.1, 1000.0
    return float(values.min()), float(values.max())


def _handles(rows: Sequence[TimelineRow]) -> list[Artist]:
    color = rows[0].look.color if len(rows) == 1 else style.MUTED
    handles: list[Artist] = [
        style.stroke("correct", color),
        style.stroke("all answered", style.MUTED, _ALL_DASHES, 0.9),
        style.symbol("errors", *_ERRORS),
        style.symbol("anomalies", *_ANOMALIES),
    ]
    if any(row.effective is not None for row in rows):
        handles.append(Patch(color=style.SHADE, label="fault until healed"))
    if any(row.recover_s is not None for row in rows):
        handles.append(style.stroke("recovered", style.INK, style.DASHED, 1))
    if any(fault.pods for row in rows for fault in row.faults):
        handles.append(style.stroke("SIGTERM to a pod", style.INK, _SIGTERM_DASHES, 1))
        handles.append(style.stroke("pod leaves its Service", style.INK, _LEFT_DASHES, 0.8))
    return handles


def finding(rows: Sequence[TimelineRow]) -> str:
    """The designs that the fault hit most and least, and how long they took to recover."""
    hit = sorted((row for row in rows if row.lowest is not None), key=lambda row: row.lowest or 0.0)
    if not hit:
        return "No fault was in effect: throughput and latency without one."
    worst = f"In the worst {_width(rows)} after the fault,"
    if len(hit) == 1:
        return f"{worst} {_describe_worst(hit[0])}."
    return f"{worst} {_describe_worst(hit[0])}, the fewest of all designs; {_describe_worst(hit[-1])}, the most."


def _describe_worst(row: TimelineRow) -> str:
    """``sticky gave 41 % of its usual correct replies (back to normal after 2.1 s)``."""
    lowest = row.lowest or 0.0
    kept = "no less than its usual" if lowest >= 1 else f"{100 * lowest:.0f} % of its usual"
    return f"{row.windows.design} gave {kept} correct replies ({_describe_recovery(row)})"


def _width(rows: Sequence[TimelineRow]) -> str:
    width = rows[0].windows.width
    return f"{width:g} s" if width >= 1 else f"{1000 * width:g} ms"


def _describe_recovery(row: TimelineRow) -> str:
    if row.recover_s is None:
        return "not seen to be back to normal"
    return "as usual within a second" if row.recover_s == 0 else f"back to normal after {number(row.recover_s)} s"


def _table_rows(windows: Windows, step: int) -> list[tuple[Cell, ...]]:
    starts = np.arange(0, windows.start.size, step)
    sizes = np.diff(np.append(starts, windows.start.size))

    def mean(values: Floats) -> list[float]:
        return [round(float(value), 1) for value in np.add.reduceat(values, starts) / sizes]

    p99 = np.fmax.reduceat(windows.p99_ms, starts)
    return list(
        zip(
            [windows.design] * starts.size,
            windows.start[starts].tolist(),
            mean(windows.correct),
            mean(windows.answered),
            np.add.reduceat(windows.errors, starts).tolist(),
            np.add.reduceat(windows.anomalies, starts).tolist(),
            [None if np.isnan(value) else float(f"{value:.3g}") for value in p99],
            strict=True,
        )
    )


def drawing(rows: Sequence[TimelineRow], close: bool = False) -> Drawing:
    """The chart with its words; ``close`` if the rows belong to a close-up."""
    name, title = ("failover", _CLOSE_TITLE) if close else ("timeline", _TITLE)
    alt = (
        f"Two columns of line charts over time, one row for each of {len(rows)} designs: replies per second, "
        f"all and correct, and 99th percentile latency on a logarithmic scale, in windows of {_width(rows)}; "
        "the fault's time is shaded."
    )
    columns = ("design", "from s", "correct/s", "answered/s", "errors", "anomalies", "highest p99 ms")
    step = max(-(-sum(row.windows.start.size for row in rows) // _MAX_ROWS), 1)
    table = Table(columns, tuple(cells for row in rows for cells in _table_rows(row.windows, step)))
    drawn = figure(rows, title)
    pieces = cut(drawn, 2, _frame(rows), designs=[row.windows.design for row in rows])
    return Drawing(name, title, finding(rows), alt, table, drawn, tuple(_tooltips(drawn, rows)), pieces)


def _tooltips(drawn: Figure, rows: Sequence[TimelineRow]) -> Iterator[Tooltip]:
    """One tooltip per window in both columns; windows of the same time show their values together."""
    for place, row in enumerate(rows):
        left, right = drawn.axes[2 * place : 2 * place + 2]
        windows = row.windows
        for begin, correct, p99 in zip(windows.start, windows.correct, windows.p99_ms, strict=True):
            middle, group = float(begin) + windows.width / 2, f"{begin:.2f} s"
            slow = "" if np.isnan(p99) else f", p99 {number(float(p99), 'ms')}"
            yield tooltip_at(
                left,
                (middle, float(correct)),
                f"{windows.design}: {number(float(correct))} correct/s{slow}",
                windows.design,
                group,
            )
            if slow:
                yield tooltip_at(right, (middle, float(p99)), "", windows.design, group)
