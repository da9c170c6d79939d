"""A line chart as SVG, quick enough to be drawn twice per second; ``plot.html.j2`` renders it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from harness.report.charts.words import number

#: Where the axes lie, in the units of the viewBox.
LEFT, TOP, RIGHT, BOTTOM = 52, 12, 14, 26
#: The labels of the shades have rows of this height above the axes; with more shades than rows, they take turns.
_ROW, _MOST_ROWS = 13, 3
_CHARACTER = 6.5  # about the width of one of theirs
_TICKS = 4

Point = tuple[float, float | None]


@dataclass(frozen=True)
class Line:
    """A series of points by rising x. None is a gap: not measured, or not to be trusted."""

    name: str
    points: Sequence[Point]
    steps: bool = False  # it holds a value until the next

    @property
    def last(self) -> float | None:
        """Its latest value."""
        return self.points[-1][1] if self.points else None


@dataclass(frozen=True)
class Shade:
    """A stretch of x that is shaded, with its label."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at a place of the viewBox."""

    at: float
    label: str


@dataclass(frozen=True)
class PlacedLabel:
    """Text at a place of the viewBox; ``anchor`` is which of its ends is there: start or end."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Plot:
    """Lines over one range of x; y begins at 0. ``x_labels`` replace the numbers under their values of x."""

    title: str
    unit: str
    lines: Sequence[Line]
    x_range: tuple[float, float]
    shades: Sequence[Shade] = ()
    x_labels: Sequence[tuple[float, str]] = ()
    marks: bool = False  # draw each point
    width: int = 420
    height: int = 170

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def alt(self) -> str:
        """What the chart shows, for those who do not see it."""
        latest = ", ".join(f"{line.name} {number(line.last, self.unit)}".strip() for line in self.lines)
        shaded = "".join(f"; {shade.label}, {shade.start:.1f} s to {shade.end:.1f} s" for shade in self.shades)
        return f"{self.title}: latest {latest}{shaded}"

    @property
    def top(self) -> float:
        """Where the axes end: below the labels, which no line crosses."""
        return TOP + _ROW * self._rows

    @property
    def _rows(self) -> int:
        return min(_MOST_ROWS, len(self.shades))

    @property
    def labels(self) -> Iterator[PlacedLabel]:
        """The label of each shade, from its left edge; where it does not fit there, up to its right edge."""
        for index, shade in enumerate(self.shades):
            left, right = self.x(shade.start), self.x(shade.end)
            fits = left + _CHARACTER * len(shade.label) <= self.width
            at, anchor = (left, "start") if fits else (right, "end")
            yield PlacedLabel(at, TOP + _ROW * (index % self._rows), anchor, shade.label)

    @property
    def y_top(self) -> float:
        """The upper end of the y axis."""
        return self._y_values[-1]

    @property
    def _y_values(self) -> list[float]:
        values = [y for line in self.lines for _, y in line.points if y is not None]
        locator = MaxNLocator(_TICKS, steps=[1, 2, 5, 10], integer=self.unit == "")
        return [float(tick) for tick in locator.tick_values(0, max(values, default=0) or 1)]

    def x(self, value: float) -> float:
        """Where a value of x lies."""
        start, end = self.x_range
        return round(LEFT + (value - start) / ((end - start) or 1) * (self.width - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Where a value of y lies."""
        return round(self.height - BOTTOM - value / self.y_top * (self.height - self.top - BOTTOM), 1)

    @property
    def x_ticks(self) -> list[Tick]:
        """The marks of the x axis."""
        if self.x_labels:
            return [Tick(self.x(value), label) for value, label in self.x_labels]
        start, end = self.x_range
        values = MaxNLocator(_TICKS, steps=[1, 2, 5, 10]).tick_values(start, end)
        return [Tick(self.x(value), f"{value:g}") for value in values if start <= value <= end]

    @property
    def y_ticks(self) -> list[Tick]:
        """The marks of the y axis."""
        return [Tick(self.y(value), number(value)) for value in self._y_values]

    def path(self, line: Line) -> str:
        """The line as the data of an SVG path, interrupted at its gaps."""
        parts, drawing = [], False
        for x, y in line.points:
            if y is not None and drawing and line.steps:
                parts.append(f"H{self.x(x)} V{self.y(y)}")
            elif y is not None:
                parts.append(f"{'L' if drawing else 'M'}{self.x(x)} {self.y(y)}")
            drawing = y is not None
        return " ".join(parts)

    def dots(self, line: Line) -> Iterator[tuple[float, float]]:
        """Where to draw the points: all, or those without a neighbour, which no line would show."""
        values = [None, *(y for _, y in line.points), None]
        for (x, y), left, right in zip(line.points, values, values[2:], strict=False):
            if y is not None and (self.marks or left is right is None):
                yield self.x(x), self.y(y)
