"""A figure of several panels in pieces, so that a narrow page can show them one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.figure import Figure

from harness.report.charts.style import TITLE_ROOM, Frame


@dataclass(frozen=True)
class Piece:
    """A part of a figure; a page hides it with its ``design``.

    ``x``, ``y``, ``width`` and ``height`` are fractions of the figure, from its top left corner. A panel whose rows are
    named by its neighbour also needs the figure's first ``labels`` of the width, if it stands alone.
    """

    x: float
    y: float
    width: float
    height: float
    design: str = ""
    labels: float = 0.0


def cut(
    figure: Figure, columns: int, frame: Frame, *, designs: Sequence[str] = (), shared_labels: bool = False
) -> tuple[Piece, ...]:
    """The title with the legend, then every panel with what belongs to it, row by row.

    Row ``i`` belongs to ``designs[i]``, if they are given. With ``shared_labels`` only the first column names its rows.
    """
    grid = [figure.axes[start : start + columns] for start in range(0, len(figure.axes), columns)]
    width, height = figure.get_size_inches()
    tops = [*(float(1 - row[0].get_position().y1 - TITLE_ROOM / height) for row in grid), 1.0]
    own = 0.05 if shared_labels else frame.gap_x - 0.2  # of a gap, the inches that belong to the panel on its right
    lefts = [0.0, *(axes.get_position().x0 - own / width for axes in grid[0][1:]), 1.0]
    pieces = [Piece(0.0, 0.0, 1.0, tops[0])]
    for row, (top, bottom) in enumerate(pairwise(tops)):
        for column, (left, right) in enumerate(pairwise(lefts)):
            labels = frame.left / width if shared_labels and column else 0.0
            design = designs[row] if designs else ""
            pieces.append(Piece(left, top, right - left, bottom - top, design, labels))
    return tuple(pieces)
