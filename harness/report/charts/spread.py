"""How evenly the replies were spread over the replicas, without the fault and with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.charts import style
from harness.report.charts.chart import Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.pieces import cut
from harness.report.charts.words import UNMEASURED, listed
from harness.results.summary import Spread

_TITLE = "Spread of replies over the replicas"
_ARMS = {"control": "without the fault", "fault": "with the fault"}
_MAX_NAMED = 5  # replicas per design: with more, the bars are too thin for names


@dataclass(frozen=True)
class Spreads:
    """One design's spread in each of its arms, by arm name."""

    design: str
    arms: Mapping[str, Spread]
    look: style.SeriesStyle


def figure(designs: Sequence[Spreads]) -> Figure:
    """One panel per arm; a group of bars per design, one bar per replica, in per cent of the design's replies."""
    names = [design.design for design in designs]
    max_replicas = max(len(spread.per_replica) for design in designs for spread in design.arms.values())
    height = len(designs) * (0.14 * max(max_replicas, 2) + 0.16)
    arms = _measured_arms(designs)
    drawn, [panels] = style.panels(_TITLE, (1, len(arms)), height, _frame(designs))
    longest = 0.0
    for axes, arm in zip(panels, arms, strict=True):
        bars = [_draw_group(axes, place, design.look, design.arms.get(arm)) for place, design in enumerate(designs)]
        longest = max(longest, *bars)
        style.name_rows(axes, names)
        axes.set_title(_ARMS[arm])
        axes.set_xlabel("% of the design's replies")
    for axes in panels:
        axes.set_xlim(0, longest * 1.25 or 100)
    for axes in panels[1:]:
        axes.set_yticklabels([])
    return drawn


def _frame(designs: Sequence[Spreads]) -> style.Frame:
    left = style.room([design.design for design in designs])
    return style.Frame(left=left, right=0.75, top=style.top([], titled=True), bottom=0.5, gap_x=0.85)


def _measured_arms(designs: Sequence[Spreads]) -> list[str]:
    return [arm for arm in _ARMS if any(arm in design.arms for design in designs)]


def _draw_group(axes: Axes, place: int, look: style.SeriesStyle, spread: Spread | None) -> float:
    """Draw one design's bars; returns the length of the longest bar in per cent."""
    if spread is None or not sum(spread.per_replica.values()):
        axes.text(0.01, place, "nothing measured", transform=axes.get_yaxis_transform(), va="center", color=style.MUTED)
        return 0.0
    total, size = sum(spread.per_replica.values()), 0.8 / len(spread.per_replica)
    shares = {name: 100 * count / total for name, count in sorted(spread.per_replica.items())}
    for index, (name, value) in enumerate(shares.items()):
        y = place - 0.4 + size * (index + 0.5)
        bar = axes.barh(y, value, size * 0.82, color=look.color, alpha=0.85 if index % 2 == 0 else 0.55)
        look.own(bar, f"{axes.figure.axes.index(axes)}.{place}.{index}")
        if len(shares) <= _MAX_NAMED:
            label = f"{style.short(name)}  {value:.0f} %"
            axes.annotate(label, (value, y), (3, 0), textcoords="offset points", va="center", fontsize=6.5)
    label = UNMEASURED if spread.max_over_mean is None else f"busiest\n+{100 * (spread.max_over_mean - 1):.0f} %"
    axes.text(1.02, place, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=style.INK)
    return max(shares.values())


def finding(designs: Sequence[Spreads]) -> str:
    """How far the busiest replica was above its share, in the most and the least even design; controls first."""
    arm = next(iter(_measured_arms(designs)), "control")
    busiest = {design.design: design.arms[arm].max_over_mean for design in designs if arm in design.arms}
    known = sorted((100 * (times - 1), design) for design, times in busiest.items() if times is not None)
    if not known:
        return "No spread was measured."
    place, (least, even), (most, uneven) = _ARMS[arm].capitalize(), known[0], known[-1]
    if f"{least:.0f}" == f"{most:.0f}":
        names = listed([design for _, design in known])
        return f"{place}, the busiest replica answered {most:.0f} % more than an even share in {names}."
    return (
        f"{place}, the busiest replica answered {least:.0f} % more than an even share in {even}, the most even design, "
        f"and {most:.0f} % more in {uneven}, the least even."
    )


def drawing(designs: Sequence[Spreads]) -> Drawing:
    """The chart with its words."""
    rows = tuple(
        (design.design, arm, name, count, None if spread.cv is None else round(spread.cv, 4))
        for design in designs
        for arm, spread in design.arms.items()
        for name, count in sorted(spread.per_replica.items())
    )
    alt = (
        f"Grouped horizontal bars: the share of replies from each replica, for each of {len(designs)} designs, "
        "without the fault and with it."
    )
    table = Table(("design", "arm", "replica", "replies", "coefficient of variation"), rows)
    drawn = figure(designs)
    pieces = cut(drawn, len(drawn.axes), _frame(designs), shared_labels=True)
    return Drawing("spread", _TITLE, finding(designs), alt, table, drawn, tuple(_tooltips(drawn, designs)), pieces)


def _tooltips(drawn: Figure, designs: Sequence[Spreads]) -> Iterator[Tooltip]:
    """A tooltip at the end of each bar."""
    for axes, arm in zip(drawn.axes, _measured_arms(designs), strict=True):
        for place, design in enumerate(designs):
            counts = sorted(design.arms[arm].per_replica.items()) if arm in design.arms else []
            total = max(1, sum(count for _, count in counts))
            for index, (name, count) in enumerate(counts):
                y = place - 0.4 + 0.8 / len(counts) * (index + 0.5)
                text = f"{design.design}, {_ARMS[arm]}: {count:,} replies from {name} ({100 * count / total:.1f} %)"
                yield tooltip_at(axes, (100 * count / total, y), text, design.design)
