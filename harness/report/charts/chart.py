"""A Chart: a figure, the sentence that says what it shows, and the values behind it."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.charts.style import styled

#: What stands in a table's cell; None is what could not be measured.
Cell = str | int | float | None
_DOTS = 130  # to the inch: sharp on a page, and quick


@dataclass(frozen=True)
class Table:
    """The values behind a chart: every row as long as ``columns``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of a table has a cell a column")


@dataclass(frozen=True)
class Tooltip:
    """A place of a chart that tells its value to the pointer. Spots of one ``group`` tell theirs together.

    ``x`` and ``y`` are shares of the figure's width and height, from its top left corner.
    """

    x: float
    y: float
    text: str
    group: str = ""


def spot(axes: Axes, at: tuple[float, float], text: str, group: str = "") -> Tooltip:
    """The spot at a point of the data; the axes' limits must be final."""
    figure = axes.figure
    x, y = axes.transData.transform(at) / figure.bbox.size
    return Tooltip(round(float(x), 4), round(1 - float(y), 4), text, group)


@dataclass(frozen=True)
class Drawing:
    """A chart before it is a file. ``finding`` is worked out from the values; ``alt`` says what is to be seen."""

    name: str
    title: str
    finding: str
    alt: str
    table: Table
    figure: Figure
    spots: tuple[Tooltip, ...] = ()

    def save(self, directory: Path) -> "Chart":
        """Write ``name.svg`` and ``name.png``: the same bytes whenever the same values are drawn."""
        svg, png = directory / f"{self.name}.svg", directory / f"{self.name}.png"
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with styled():
            self.figure.savefig(svg, format="svg", metadata=nothing)
            self.figure.savefig(png, format="png", dpi=_DOTS, metadata={"Software": None})
        return Chart(self.name, self.title, self.finding, self.alt, svg, png, self.table, self.spots)


@dataclass(frozen=True)
class Chart:
    """A drawn chart: its words, its two files and the values behind it."""

    name: str
    title: str
    finding: str
    alt: str
    svg: Path
    png: Path
    table: Table
    spots: tuple[Tooltip, ...] = ()
