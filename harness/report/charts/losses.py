"""When sessions were lost: one step up per session."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.metrics.sessions import group_known_by_session
from harness.oracle.verdict import SessionVerdict
from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.measured import Floats, Ints
from harness.report.charts.words import listed, number, plural
from harness.results.summary import FaultFigures

_TITLE = "Sessions lost over time"
_MAX_LOSERS = 3  # designs that the caption names as losers
_MAX_ROWS = 40  # of the table, per design


@dataclass(frozen=True)
class Losses:
    """When each session of a design that lost its state did so first: ascending seconds from T0."""

    design: str
    times: Floats
    judged: int  # sessions
    faults: tuple[FaultFigures, ...]
    look: style.SeriesStyle

    @classmethod
    def of(
        cls,
        design: str,
        judgements: Sequence[SessionVerdict],
        faults: tuple[FaultFigures, ...],
        look: style.SeriesStyle,
    ) -> "Losses":
        """Gather the first loss of each of an arm's sessions, whichever of its writers saw it."""
        judged = group_known_by_session(judgements)
        losses = [[loss.t_ns for verdict in verdicts for loss in verdict.losses] for verdicts in judged.values()]
        times = [min(own) for own in losses if own]
        return cls(design, np.sort(np.array(times, dtype=np.float64)) / 1e9, len(judged), faults, look)

    @property
    def healed_at(self) -> float:
        """When the last fault had healed, in seconds from T0; infinite if a fault never healed or there was none."""
        return max((float("inf") if f.healed is None else f.healed for f in self.faults), default=float("inf"))


def figure(designs: Sequence[Losses], end: float) -> Figure:
    """One step line per design on one time axis; the time of the fault is shaded."""
    handles = _handles(designs)
    frame = style.Frame(left=0.62, right=0.25, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), 2.1, frame)
    if designs:
        style.shade(axes, designs[0].faults, end)
    for losses in designs:
        x = np.concatenate([[0.0], losses.times, [max(end, losses.times.max(initial=0.0))]])
        y = np.concatenate([np.arange(losses.times.size + 1), [losses.times.size]])
        line = axes.step(x, y, where="post", color=losses.look.color, ls=losses.look.dashes, lw=1.6)
        line += axes.plot(x[-1], y[-1], marker=losses.look.marker, color=losses.look.color, ms=5, clip_on=False)
        losses.look.own(line, "losses")
    most = max((losses.times.size for losses in designs), default=0)
    axes.set_ylim(0, max(most * 1.12, 1))
    axes.set_xlim(0, max([end, *(losses.times.max(initial=0.0) for losses in designs)]))
    axes.set_xlabel("seconds from the start of the load")
    axes.set_ylabel("sessions lost so far")
    style.legend(drawn, handles)
    return drawn


def _handles(designs: Sequence[Losses]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=losses.look.color,
            marker=losses.look.marker,
            ls=losses.look.dashes,
            label=f"{style.short(losses.design)}: {losses.times.size:,}",
        )
        for losses in designs
    ]
    return [*handles, Patch(color=style.SHADE, label="fault until healed")]


def finding(designs: Sequence[Losses]) -> str:
    """How many sessions were lost, and how many of them after the fault had healed."""
    losers = sorted((losses for losses in designs if losses.times.size), key=lambda losses: -losses.times.size)
    if not losers:
        return f"None of {plural(sum(losses.judged for losses in designs), 'session')} was lost."
    rest = len(losers) - _MAX_LOSERS
    more = f"; fewer in {plural(rest, 'more design')}" if rest > 0 else ""
    return f"{'; '.join(map(_describe, losers[:_MAX_LOSERS]))}{more}."


def _describe(losses: Losses) -> str:
    first, last = losses.times[0], losses.times[-1]
    when = f"between {number(float(first))} s and {number(float(last))} s"
    if any(fault.effective is not None for fault in losses.faults):
        late = int((losses.times >= losses.healed_at).sum())
        when += f", {late:,} of them after the fault had healed" if late else ", all before the fault had healed"
    return f"{losses.design} lost {losses.times.size:,} of {plural(losses.judged, 'session')}, {when}"


def _row_indexes(losses: Losses) -> Ints:
    """The losses that the table shows: all, or a limited number spread evenly over them."""
    count = min(losses.times.size, _MAX_ROWS)
    rows: Ints = np.unique(np.linspace(0, losses.times.size - 1, count).astype(int))
    return rows


def _table(designs: Sequence[Losses]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for losses in designs:
        rows += [(losses.design, round(float(losses.times[i]), 3), int(i) + 1) for i in _row_indexes(losses)]
    return Table(("design", "second", "sessions lost so far"), tuple(rows))


def drawing(designs: Sequence[Losses], end: float, left_out: Sequence[str] = ()) -> Drawing:
    """The chart with its words; ``end`` is the end of the load, in seconds from T0.

    ``left_out`` names designs that must fail: their losses would hide those of the others.
    """
    alt = f"Step lines of the sessions lost so far, one for each of {len(designs)} designs; the fault is shaded."
    drawn = figure(designs, end)
    without = f" Left out, because they must fail: {listed(left_out)}." if left_out else ""
    return Drawing(
        "losses", _TITLE, finding(designs) + without, alt, _table(designs), drawn, tuple(_tooltips(drawn, designs))
    )


def _tooltips(drawn: Figure, designs: Sequence[Losses]) -> Iterator[Tooltip]:
    for losses in designs:
        for i in _row_indexes(losses):
            when = float(losses.times[i])
            text = f"{losses.design}: {i + 1:,} lost by {number(when)} s"
            yield tooltip_at(drawn.axes[0], (when, float(i + 1)), text, losses.design)
