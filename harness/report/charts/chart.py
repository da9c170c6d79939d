"""A Chart: a figure, the sentence that says what it shows, and the values behind it."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.charts.style import styled

#: The content of a table cell; None if it could not be measured.
Cell = str | int | float | None
_DPI = 130  # sharp on a page, and quick to write


@dataclass(frozen=True)
class Table:
    """The values behind a chart: every row as long as ``columns``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of a table needs one cell per column")


@dataclass(frozen=True)
class Tooltip:
    """A place in a chart that shows ``text`` under the pointer, together with the texts of the same ``group``.

    ``x`` and ``y`` are fractions of the figure's width and height, from its top left corner.
    """

    x: float
    y: float
    text: str
    group: str = ""


def tooltip_at(axes: Axes, point: tuple[float, float], text: str, group: str = "") -> Tooltip:
    """The tooltip at a point of the data; the axis limits must be final."""
    figure = axes.figure
    x, y = axes.transData.transform(point) / figure.bbox.size
    return Tooltip(round(float(x), 4), round(1 - float(y), 4), text, group)


@dataclass(frozen=True)
class Drawing:
    """A chart before it is saved. ``finding`` is computed from the values; ``alt`` describes the picture."""

    name: str
    title: str
    finding: str
    alt: str
    table: Table
    figure: Figure
    tooltips: tuple[Tooltip, ...] = ()

    def save(self, directory: Path) -> "Chart":
        """Write ``name.svg`` and ``name.png``: the same values give the same bytes."""
        svg, png = directory / f"{self.name}.svg", directory / f"{self.name}.png"
        no_metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with styled():
            self.figure.savefig(svg, format="svg", metadata=no_metadata)
            self.figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
        return Chart(self.name, self.title, self.finding, self.alt, svg, png, self.table, self.tooltips)


@dataclass(frozen=True)
class Chart:
    """A saved chart: its words, its two files and the values behind it."""

    name: str
    title: str
    finding: str
    alt: str
    svg: Path
    png: Path
    table: Table
    tooltips: tuple[Tooltip, ...] = ()
