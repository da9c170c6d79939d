"""Two runs in one page: what differs first, then their tables and charts side by side; only what both have."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.report import table
from harness.report.charts.chart import Chart, Table
from harness.report.deltas import list_deltas
from harness.report.html import page
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

    def suffix_charts(self, suffix: str) -> "Side":
        """The same side with the suffix at the end of every chart's name: names are unique in a page."""
        return replace(self, charts=tuple(replace(chart, name=f"{chart.name}{suffix}") for chart in self.charts))


def write(target: Path, left: Side, right: Side) -> Path:
    """Write the page of two runs to ``target``, completely or not at all."""
    sides = left.suffix_charts("a"), right.suffix_charts("b")
    deltas = list_deltas(left.summary, right.summary)
    html = page.render("pair.html.j2", sides=sides, deltas=deltas, pairs=pair_charts(*sides))
    return page.write(target, html)


def pair_charts(left: Side, right: Side) -> tuple[tuple[str, tuple[Chart, Chart]], ...]:
    """The charts of both sides by title, those that both have."""
    ours, theirs = ({chart.title: chart for chart in side.charts} for side in (left, right))
    return tuple((title, (chart, theirs[title])) for title, chart in ours.items() if title in theirs)
