"""``report.html`` of a run: the verdict and the finding first, then the charts, then why to trust them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report import table
from harness.report.charts.chart import Chart
from harness.report.charts.words import UNMEASURED
from harness.report.html import page
from harness.results.summary import Summary
from harness.results.verdicts import Verdict

#: The plan of a run, as run.json holds it.
Plan = Mapping[str, object]


@dataclass(frozen=True)
class Section:
    """A question, and the names of the charts that answer it."""

    anchor: str
    question: str
    charts: tuple[str, ...]


SECTIONS = (
    Section("fault", "What did the fault do?", ("timeline", "failover")),
    Section("sessions", "Who lost what?", ("outcomes", "losses")),
    Section("latency", "How slow was it?", ("spectrum",)),
    Section("spread", "How even was the load?", ("spread",)),
    Section("cost", "What does it cost?", ("cost",)),
)


def write(run_path: Path, summary: Summary, verdicts: Sequence[Verdict], charts: Sequence[Chart], plan: Plan) -> Path:
    """Write ``report.html`` into the run's directory, completely or not at all.

    The page shows ``plan`` as it is, except for two entries: ``load`` (``closed``, ``partly_open`` or ``open``) also
    adds a note to the table, and ``source`` is the text of the scenario.
    """
    return page.write(run_path / "report.html", render(summary, verdicts, charts, plan))


def render(summary: Summary, verdicts: Sequence[Verdict], charts: Sequence[Chart], plan: Plan) -> str:
    """The page's HTML."""
    return page.render(
        "report.html.j2",
        summary=summary,
        sentence=table.sentence(summary),
        doubts=table.doubts(summary),
        columns=table.COLUMNS,
        rows=table.rows(summary),
        notes=table.notes(summary, str(plan.get("load", ""))),
        sections=list(_sections(charts)),
        verdicts=sorted(verdicts, key=lambda verdict: ("fail", "unknown", "pass").index(verdict.result)),
        plan=list(_flatten({key: value for key, value in plan.items() if key != "source"})),
        source=str(plan.get("source", "")),
    )


def _sections(charts: Sequence[Chart]) -> Iterator[tuple[Section, list[Chart]]]:
    """Charts under their questions; charts that belong to no question come last."""
    known = {name for section in SECTIONS for name in section.charts}
    others = tuple(chart.name for chart in charts if chart.name not in known)
    for section in (*SECTIONS, Section("more", "What else was seen?", others)):
        answers = [chart for chart in charts if chart.name in section.charts]
        if answers:
            yield section, answers


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as pairs of ``a.b`` and text."""
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _flatten(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, UNMEASURED if value is None else str(value)
