"""A Chart: a figure, the sentence that says what it shows, and the values behind it."""

import multiprocessing
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.charts.pieces import Piece
from harness.report.charts.style import styled

#: The content of a table cell; None if it could not be measured.
Cell = str | int | float | None
_DPI = 260  # sharp when it is shown twice as large as in a page
_COMPRESSION = 3  # of at most 9: by default a third of the time is spent on making the files a fifth smaller


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

    ``x`` and ``y`` are fractions of the figure's width and height, from its top left corner. ``design`` is whose value
    it shows: a page that hides the design hides it too.
    """

    x: float
    y: float
    text: str
    group: str = ""
    design: str = ""


def tooltip_at(axes: Axes, point: tuple[float, float], text: str, design: str, group: str = "") -> Tooltip:
    """The tooltip at a point of the data; the axis limits must be final."""
    figure = axes.figure
    x, y = axes.transData.transform(point) / figure.bbox.size
    return Tooltip(round(float(x), 4), round(1 - float(y), 4), text, group, design)


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
    pieces: tuple[Piece, ...] = ()  # none: the figure is one piece

    def save(self, directory: Path) -> "Chart":
        """Write ``name.svg`` and ``name.png``: the same values give the same bytes."""
        self.save_png(directory)
        return self.save_svg(directory)

    def save_svg(self, directory: Path) -> "Chart":
        """Write ``name.svg``. The chart that is returned also names ``name.png``, which ``save_png`` writes."""
        svg, png = directory / f"{self.name}.svg", directory / f"{self.name}.png"
        no_metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with styled():
            self.figure.savefig(svg, format="svg", metadata=no_metadata)
        return Chart(self.name, self.title, self.finding, self.alt, svg, png, self.table, self.tooltips, self.pieces)

    def save_png(self, directory: Path) -> None:
        """Write ``name.png``."""
        with styled():
            file = directory / f"{self.name}.png"
            compressed = {"compress_level": _COMPRESSION}
            self.figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None}, pil_kwargs=compressed)


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
    pieces: tuple[Piece, ...] = ()


@contextmanager
def saving_png(drawings: Sequence[Drawing], directory: Path) -> Iterator[None]:
    """Write the PNG files of drawings while the body of the scope runs: they are there when it ends.

    A second process draws them, where a fork is safe: on Linux, and not in a thread of somebody else's program.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        yield
        _save_png(drawings, directory)
        return
    second = multiprocessing.get_context("fork").Process(target=_save_png_quietly, args=[drawings, directory])
    second.start()
    try:
        yield
    except BaseException:
        second.kill()
        raise
    finally:
        second.join()
    if second.exitcode:
        _save_png(drawings, directory)  # again, so that the error is raised here


def _save_png(drawings: Sequence[Drawing], directory: Path) -> None:
    for drawing in drawings:
        drawing.save_png(directory)


def _save_png_quietly(drawings: Sequence[Drawing], directory: Path) -> None:
    try:
        _save_png(drawings, directory)
    except Exception:
        sys.exit(1)
