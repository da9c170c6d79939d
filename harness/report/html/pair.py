"""Two runs in one page: what differs first, then their tables and charts side by side."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.report import table
from harness.report.charts.chart import Cell, Chart, Table
from harness.results.summary import Summary


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    summary: Summary
    charts: tuple[Chart, ...]

    @property
    def sentence(self) -> str:
        """Its finding."""
        return table.sentence(self.summary)

    @property
    def table(self) -> Table:
        """Its decision table."""
        return Table(table.COLUMNS, tuple(row.cells for row in table.rows(self.summary)))

    def named(self, side: int) -> "Side":
        """With names for its charts that the other side's do not have: they stand in one page."""
        return replace(self, charts=tuple(replace(chart, name=f"{chart.name}{'ab'[side]}") for chart in self.charts))


def pairs(left: Side, right: Side) -> tuple[tuple[str, tuple[Chart | None, Chart | None]], ...]:
    """The charts by title, one of each side."""
    titles = dict.fromkeys(chart.title for side in (left, right) for chart in side.charts)
    return tuple((title, (_titled(left, title), _titled(right, title))) for title in titles)


def _titled(side: Side, title: str) -> Chart | None:
    return next((chart for chart in side.charts if chart.title == title), None)


def differences(left: Side, right: Side) -> Table:
    """What a reader wants to know: another finding, verdict or count, and rates and times that differ beyond noise."""
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys([*left.summary.designs, *right.summary.designs]):
        ours, theirs = (dict(_figures(side.summary, name)) for side in (left, right))
        for key in dict.fromkeys([*ours, *theirs]):
            if _differ(ours.get(key), theirs.get(key)):
                rows.append((name, key, ours.get(key), theirs.get(key)))
    return Table(("design", "figure", left.summary.run, right.summary.run), tuple(rows))


#: Rates and times that differ by less than this share are noise to a reader; harness compare judges them properly.
_NOISE = 0.25


def _differ(one: Cell, other: Cell) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) > _NOISE * max(abs(one), abs(other))
    return one != other


def _figures(summary: Summary, name: str) -> Iterator[tuple[str, Cell]]:
    design = summary.designs.get(name)
    if design is None:
        yield "ran", "no"
        return
    yield "finding", design.finding
    yield "verdict", design.verdict
    for arm, figures in design.arms.items():
        yield from ((f"{arm}: {outcome.phrase}", count) for outcome, count in figures.sessions.outcomes.items())
        yield f"{arm}: writes lost", figures.writes.lost
        yield f"{arm}: correct/s", figures.throughput.correct
        yield f"{arm}: p99 ms", figures.latency_ms.p99
