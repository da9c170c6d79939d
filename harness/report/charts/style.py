"""One look for every chart: colours that colour-blind readers can distinguish, and never colour alone.

The colours are from Okabe and Ito (2008). Every design has its own colour, marker and dash, the same in every chart.
The layout is computed here, in inches: automatic layout draws a figure several times, and its result depends on the
text.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from harness.results.summary import FaultFigures

INK = "#1c2127"
MUTED = "#5b6570"
GRID = "#dfe3e8"
PAPER = "#ffffff"
SHADE = "#f0dfc9"  # while a fault lasts

BLUE, ORANGE, GREEN, VERMILION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, PURPLE, YELLOW, GREY = "#56b4e9", "#cc79a7", "#f0e442", "#c9d0d7"

#: Every colour of the charts: the page replaces them by name to suit a dark page too.
NAMED = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "paper": PAPER,
    "shade": SHADE,
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "vermilion": VERMILION,
    "sky": SKY,
    "purple": PURPLE,
    "yellow": YELLOW,
    "grey": GREY,
}

SOLID: tuple[float, tuple[float, ...]] = (0, ())
DASHED: tuple[float, tuple[float, ...]] = (0, (4, 2))

WIDTH = 8.2  # inches: at 72 dots per inch the text of a chart is as large as the surrounding text
_SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = "osD^vPX*<>ph"
_MAX_LABEL_CHARS = 20
_LEGEND_LINE = 0.18  # inches
TITLE_ROOM = 0.2  # inches above axes that have a title

#: Keys are ``Any``: matplotlib's own type for them is new, and lists all settings.
RC: dict[Any, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name with a dollar sign is not a formula
}


@dataclass(frozen=True)
class SeriesStyle:
    """How one design is distinguished from the others."""

    color: str
    marker: str
    dashes: tuple[float, tuple[float, ...]]
    index: int = 0

    def own(self, artists: Iterable[Artist], part: str) -> None:
        """Mark these artists as the design's, so that a page can hide them; ``part`` is unique in its figure."""
        for number, artist in enumerate(artists):
            artist.set_gid(f"d{self.index}.{part}.{number}")


def look(index: int) -> SeriesStyle:
    """The look of the scenario's design number ``index``. The first twelve differ by marker."""
    dashes: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (1.5, 1.2), (5, 1.5, 1.2, 1.5))
    return SeriesStyle(
        _SERIES[index % len(_SERIES)],
        _MARKERS[index % len(_MARKERS)],
        (0, dashes[index // len(_SERIES) % len(dashes)]),
        index,
    )


@contextmanager
def styled() -> Iterator[None]:
    """Apply the settings of these charts to matplotlib within the block only."""
    with mpl.rc_context(RC):
        yield


def short(name: str, longest: int = _MAX_LABEL_CHARS) -> str:
    """A name that fits beside an axis; a long one loses its middle. The chart's table has the whole name."""
    tail = longest // 2
    return name if len(name) <= longest else f"{name[: longest - tail - 1]}…{name[-tail:]}"


def room(names: Sequence[str]) -> float:
    """The inches that the longest of these names takes to the left of an axis."""
    return 0.3 + 0.075 * max((len(short(name)) for name in names), default=0)


@dataclass(frozen=True)
class Frame:
    """Inches around and between the axes of a figure."""

    left: float
    right: float
    top: float
    bottom: float
    gap_x: float = 0.5
    gap_y: float = 0.25


def panels(title: str, shape: tuple[int, int], height: float, frame: Frame) -> tuple[Figure, list[list[Axes]]]:
    """A figure of ``shape`` (rows, columns) axes, each row ``height`` inches high, under one title."""
    rows, columns = shape
    total = frame.top + frame.bottom + rows * height + (rows - 1) * frame.gap_y
    figure = Figure(figsize=(WIDTH, total))
    FigureCanvasAgg(figure)
    width = (WIDTH - frame.left - frame.right - (columns - 1) * frame.gap_x) / columns
    grid: list[list[Axes]] = []
    for row in range(rows):
        bottom = (total - frame.top - height - row * (height + frame.gap_y)) / total
        grid.append([])
        for column in range(columns):
            left = (frame.left + column * (width + frame.gap_x)) / WIDTH
            grid[row].append(figure.add_axes((left, bottom, width / WIDTH, height / total)))
    figure.text(0.12 / WIDTH, 1 - 0.1 / total, title, va="top", ha="left", fontsize=10.5, fontweight="bold")
    return figure, grid


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the horizontal bars of an axis, the first at the top."""
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")


def shade(axes: Axes, faults: Sequence[FaultFigures], end: float) -> None:
    """Shade the time from each fault's effect to its healing, or to ``end`` if it never healed."""
    for fault in faults:
        if fault.effective is not None:
            axes.axvspan(fault.effective, end if fault.healed is None else fault.healed, color=SHADE, lw=0, zorder=0)


def symbol(label: str, marker: str, color: str, face: str | None = None) -> Line2D:
    """A legend's entry for a marker without a line."""
    return Line2D([], [], ls="none", marker=marker, ms=5, mew=1.1, color=color, mfc=face or color, label=label)


def stroke(label: str, color: str, dashes: tuple[float, tuple[float, ...]] = SOLID, width: float = 1.6) -> Line2D:
    """A legend's entry for a line."""
    return Line2D([], [], color=color, ls=dashes, lw=width, label=label)


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Make the vertical axis logarithmic, with plain numbers and room for both values."""
    low, high = max(low, 1e-3) / 1.15, max(high, low * 2, 2e-3) * 1.15
    decades = np.log10(high / low)
    steps = (1, 2, 5) if decades < 2.2 else (1,)
    ticks = [step * 10.0**power for power in range(-4, 8) for step in steps if low <= step * 10.0**power <= high]
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels([f"{tick:,.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks])
    axes.set_ylim(low, high)


def legend_rows(labels: Sequence[str]) -> list[list[int]]:
    """The lines of a legend as wide as the figure, each as the indexes of its entries."""
    rows: list[list[int]] = [[]]
    used = 0.0
    for place, label in enumerate(labels):
        width = 0.55 + 0.068 * len(label)
        if rows[-1] and used + width > WIDTH - 0.3:
            rows.append([])
            used = 0.0
        rows[-1].append(place)
        used += width
    return rows


def top(handles: Sequence[Artist], titled: bool = False) -> float:
    """The inches for the title, this legend and, if ``titled``, the titles of the axes below."""
    return 0.45 + _LEGEND_LINE * len(legend_rows(_labels(handles))) * bool(handles) + TITLE_ROOM * titled


def _labels(handles: Sequence[Artist]) -> list[str]:
    return [str(handle.get_label()) for handle in handles]


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Draw a legend under the figure's title, to be read line by line."""
    height = figure.get_size_inches()[1]
    for line, places in enumerate(legend_rows(_labels(handles))):
        figure.legend(
            handles=[handles[place] for place in places],
            loc="upper left",
            bbox_to_anchor=(0.12 / WIDTH, 1 - (0.36 + _LEGEND_LINE * line) / height),
            borderaxespad=0,
            borderpad=0,
            ncols=len(places),
            handlelength=1.8,
            columnspacing=1.3,
        )
