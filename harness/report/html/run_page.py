"""``report.html`` of a run: the verdict and the finding first, then the charts, then why to trust them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.report import table
from harness.report.charts.chart import Chart
from harness.report.charts.words import UNMEASURED
from harness.report.doubts import doubts
from harness.report.html import page
from harness.report.request_table import COLUMNS, TOTAL, tables_of
from harness.report.setting import Setting, describe_place
from harness.report.stories import ArmStories
from harness.report.table import TableRow
from harness.results.summary import DesignSummary, Summary
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


@dataclass(frozen=True)
class DesignRow:
    """A design in the decision table: its row, its number in the summary, its place, and where its stories are."""

    row: TableRow
    number: int
    place: str
    must_fail: bool
    stories: str  # an anchor; empty without stories


def write(
    run_path: Path,
    summary: Summary,
    verdicts: Sequence[Verdict],
    charts: Sequence[Chart],
    plan: Plan,
    *,
    setting: Setting = Setting(),  # noqa: B008 - frozen
    stories: Sequence[ArmStories] = (),
) -> Path:
    """Write ``report.html`` into the run's directory, completely or not at all.

    The page shows ``plan`` as it is; its ``load`` (``closed``, ``partly_open`` or ``open``) and its ``cookies``
    (``immortal``) also add a note to the table.
    """
    return page.write(
        run_path / "report.html", render(summary, verdicts, charts, plan, setting=setting, stories=stories)
    )


def render(
    summary: Summary,
    verdicts: Sequence[Verdict],
    charts: Sequence[Chart],
    plan: Plan,
    *,
    setting: Setting = Setting(),  # noqa: B008 - frozen
    stories: Sequence[ArmStories] = (),
) -> str:
    """The page's HTML."""
    settings = _flatten({key: value for key, value in plan.items() if key not in _SHOWN_ELSEWHERE})
    return page.render(
        "report.html.j2",
        summary=summary,
        done=setting.describe(summary),
        sentence=_find_sentence(summary, setting.must_fail),
        doubts=doubts(summary),
        columns=table.COLUMNS,
        designs=_design_rows(summary, setting, stories),
        notes=(table.LEGEND, *table.notes(summary, {"kind": plan.get("load"), "cookies": plan.get("cookies")})),
        sections=list(_sections(charts)),
        requests=[(name, list(tables_of(name, design))) for name, design in summary.designs.items() if design.arms],
        request_columns=COLUMNS,
        total=TOTAL,
        stories=stories,
        verdicts=sorted(verdicts, key=lambda verdict: ("fail", "unknown", "pass").index(verdict.result)),
        common=list(_common_facts(summary)),
        settings=[(key, value) for key, value in settings if value not in (_LEFT_ALONE | {_DEFAULTS.get(key)})],
        everything=list(_flatten(plan)),
    )


def _find_sentence(summary: Summary, must_fail: frozenset[str]) -> str:
    """What came out of the designs, then of the controls."""
    sides: tuple[dict[str, DesignSummary], dict[str, DesignSummary]] = ({}, {})
    for name, design in summary.designs.items():
        sides[name in must_fail][name] = design
    found, controls = (table.sentence(replace(summary, designs=side)) if side else "" for side in sides)
    return f"{found} As they must, {controls}" if found and controls else found or controls


def _design_rows(summary: Summary, setting: Setting, stories: Sequence[ArmStories]) -> list[DesignRow]:
    """The designs in the summary's order, the positive controls last."""
    anchors: dict[str, str] = {}
    for number, arm in enumerate(stories):
        anchors.setdefault(arm.design, f"stories{number}")
    rows = [
        DesignRow(row, number, describe_place(design), name in setting.must_fail, anchors.get(name, ""))
        for number, (row, (name, design)) in enumerate(zip(table.rows(summary), summary.designs.items(), strict=True))
    ]
    return sorted(rows, key=lambda row: row.must_fail)


def _common_facts(summary: Summary) -> Iterator[tuple[str, object]]:
    """What holds of every design, such as the number of its replicas."""
    designs = [design.describe for design in summary.designs.values()]
    for key, value in (designs[0] if len(designs) > 1 else {}).items():
        if all(describe.get(key) == value for describe in designs):
            yield key, value


#: Of the plan, what the page shows in other places, or what only a program reads.
_SHOWN_ELSEWHERE = frozenset(("designs", "arms", "expect", "versions", "schema", "path", "sha256"))
_LEFT_ALONE = {UNMEASURED, "none", "False", "0"}  # flags that were not given
_DEFAULTS = {
    "flags.backend": "process",
    "flags.repeat": "1",
    "flags.ready": "/",
    "flags.policy": "cookie",
    "flags.namespace_prefix": "harness",
    "flags.image": "session-harness:latest",
    "flags.load_image": "session-harness-locust:latest",
}


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
