"""When sessions were lost: a step up at every loss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.metrics.sessions import group_judged_by_session
from harness.oracle.verdict import SessionVerdict
from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, spot
from harness.report.charts.measured import Floats
from harness.report.charts.words import number, plural
from harness.results.summary import FaultFigures

_TITLE = "Losses of session state over time"
_MAX_NAMED = 3  # designs in the caption
_MAX_ROWS = 40  # of the table, per design


@dataclass(frozen=True)
class Losses:
    """When one design lost a session's state. A session can lose it more than once."""

    design: str
    times: Floats  # seconds from T0, in order; shape (losses,)
    sessions: int  # judged
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
        """Gather the losses of an arm's sessions."""
        judged = group_judged_by_session(judgements)
        times = [loss.t_ns for writers in judged.values() for verdict in writers for loss in verdict.losses]
        return cls(design, np.sort(np.array(times, dtype=np.float64)) / 1e9, len(judged), faults, look)

    @property
    def healed_at(self) -> float:
        """When all faults were healed, in seconds from T0; infinity where one never was, or where there was none."""
        healed = [fault.healed for fault in self.faults if fault.healed is not None]
        return max(healed) if healed and len(healed) == len(self.faults) else float("inf")


def figure(designs: Sequence[Losses], end: float) -> Figure:
    """One step line per design over one time axis; the fault's time is shaded."""
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
    axes.set_ylabel("losses so far")
    style.legend(drawn, handles)
    return drawn


def _handles(designs: Sequence[Losses]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=d.look.color,
            marker=d.look.marker,
            ls=d.look.dashes,
            label=f"{style.short(d.design)}: {d.times.size:,}",
        )
        for d in designs
    ]
    return [*handles, Patch(color=style.SHADE, label="fault until healed")]


def finding(designs: Sequence[Losses]) -> str:
    """How many losses, and how many of them while the fault was in effect."""
    hit = sorted((losses for losses in designs if losses.times.size), key=lambda losses: -losses.times.size)
    if hit:
        more = f"; and in {plural(len(hit) - _MAX_NAMED, 'design')} more, fewer" if len(hit) > _MAX_NAMED else ""
        return f"{'; '.join(map(_describe, hit[:_MAX_NAMED]))}{more}."
    return f"No loss in any of {plural(sum(losses.sessions for losses in designs), 'session')}."


def _describe(losses: Losses) -> str:
    first, last = losses.times[0], losses.times[-1]
    effective = min((f.effective for f in losses.faults if f.effective is not None), default=None)
    when = f"between {number(float(first))} s and {number(float(last))} s"
    if effective is not None:
        late = int((losses.times >= losses.healed_at).sum())
        when += f", {late:,} of them after the fault had healed" if late else ", all before the fault had healed"
    count = f"{losses.times.size:,} {'loss' if losses.times.size == 1 else 'losses'}"
    return f"{losses.design}: {count} in {plural(losses.sessions, 'session')}, {when}"


def _table(designs: Sequence[Losses]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for losses in designs:
        chosen = np.unique(np.linspace(0, losses.times.size - 1, min(losses.times.size, _MAX_ROWS)).astype(int))
        rows += [(losses.design, round(float(losses.times[i]), 3), int(i) + 1) for i in chosen]
    return Table(("design", "second", "losses so far"), tuple(rows))


def drawing(designs: Sequence[Losses], end: float) -> Drawing:
    """The chart with its words; ``end`` is the load's, in seconds."""
    alt = f"Step lines of the losses so far over time, one for each of {len(designs)} designs; the fault is shaded."
    drawn = figure(designs, end)
    return Drawing("losses", _TITLE, finding(designs), alt, _table(designs), drawn, tuple(_spots(drawn, designs)))


def _spots(drawn: Figure, designs: Sequence[Losses]) -> Iterator[Tooltip]:
    for losses in designs:
        chosen = np.unique(np.linspace(0, losses.times.size - 1, min(losses.times.size, _MAX_ROWS)).astype(int))
        for i in chosen:
            when = float(losses.times[i])
            text = f"{losses.design}: {i + 1:,} lost by {number(when)} s"
            yield spot(drawn.axes[0], (when, float(i + 1)), text)
