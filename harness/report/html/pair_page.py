"""Two runs in one page: what differs first, then their tables and charts side by side."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.report import table
from harness.report.charts.chart import Cell, Chart, Table
from harness.report.html import page
from harness.results.summary import Summary

#: A reader may ignore rates and times that differ by less than this share; harness compare judges them properly.
_NOISE = 0.25


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
    html = page.render("pair.html.j2", sides=sides, differences=differences(*sides), pairs=pair_charts(*sides))
    return page.write(target, html)


def pair_charts(left: Side, right: Side) -> tuple[tuple[str, tuple[Chart | None, Chart | None]], ...]:
    """The charts of both sides by title; None where a side has no chart of that title."""
    ours, theirs = ({chart.title: chart for chart in side.charts} for side in (left, right))
    return tuple((title, (ours.get(title), theirs.get(title))) for title in dict.fromkeys([*ours, *theirs]))


def differences(left: Side, right: Side) -> Table:
    """Findings, verdicts and counts that are not the same, and rates and times that differ by more than noise."""
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys([*left.summary.designs, *right.summary.designs]):
        ours, theirs = (dict(_figures(side.summary, name)) for side in (left, right))
        for key in dict.fromkeys([*ours, *theirs]):
            if _differ(ours.get(key), theirs.get(key)):
                rows.append((name, key, ours.get(key), theirs.get(key)))
    return Table(("design", "figure", left.summary.run, right.summary.run), tuple(rows))


def _differ(ours: Cell, theirs: Cell) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) > _NOISE * max(abs(ours), abs(theirs))
    return ours != theirs


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
