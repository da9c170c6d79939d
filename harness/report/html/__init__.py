"""report.html: one file that tells a run to somebody who has nothing else. Works offline.

Without JavaScript everything is there; with it values show under the pointer, and designs can be switched off.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from harness.analysis.scaling.scaling_run import ScalingRun, Size
from harness.report import table
from harness.report.charts.chart import Chart, Table, Tooltip
from harness.report.charts.words import UNMEASURED, format_ratio, number
from harness.report.html import pair
from harness.report.html.inline import inline
from harness.report.html.pair import Side
from harness.results.summary import Summary
from harness.results.verdicts import Verdict

#: What a plan may hold: ``source`` (the scenario's text) and ``load`` (its kind) have a place of their own.
Plan = Mapping[str, object]


@dataclass(frozen=True)
class Section:
    """A question, and the charts that answer it, by name."""

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
_MARKS = {"pass": "✓", "fail": "✗", "unknown": "?"}


def write(run_path: Path, summary: Summary, verdicts: Sequence[Verdict], charts: Sequence[Chart], plan: Plan) -> Path:
    """Write ``report.html`` into the run's directory, at once or not at all.

    ``plan`` is what run.json says: shown as it is, but for ``load`` (``closed``, ``partly_open`` or ``open``), which
    adds a note to the table, and ``source``, the scenario's text.
    """
    return _written(run_path, page(summary, verdicts, charts, plan))


def write_scaling(run_path: Path, scaled: ScalingRun, charts: Sequence[Chart]) -> Path:
    """The same for a run of ``harness scale``."""
    busy = Table(
        ("design", "replicas", "bound by", "utilisation at the edge"),
        tuple(
            (design.name, size.replicas, size.capacity.bound_by, _utilisation(size))
            for design in scaled.designs
            for size in design.sizes
        ),
    )
    template = _environment().get_template("scaling.html.j2")
    return _written(run_path, template.render(scaled=scaled, charts=charts, busy=busy))


def write_pair(target: Path, left: Side, right: Side) -> Path:
    """Two runs in one page, at ``target``."""
    sides = left.named(0), right.named(1)
    template = _environment().get_template("pair.html.j2")
    html = template.render(sides=sides, differences=pair.differences(*sides), pairs=pair.pairs(*sides))
    return _written(target.parent, html, target.name)


def _utilisation(size: Size) -> str:
    edge = size.capacity.edge
    use = sorted(edge.use.items(), key=lambda item: -item[1]) if edge else []
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in use) or UNMEASURED


def _written(run_path: Path, html: str, name: str = "report.html") -> Path:
    target, draft = run_path / name, run_path / f".{name}.part"
    draft.write_text(html, encoding="utf-8")
    return draft.replace(target)


def page(summary: Summary, verdicts: Sequence[Verdict], charts: Sequence[Chart], plan: Plan) -> str:
    """The page's HTML; every text that is not the template's own is escaped."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            summary=summary,
            sentence=table.sentence(summary),
            doubts=table.doubts(summary),
            columns=table.COLUMNS,
            rows=table.rows(summary),
            notes=table.notes(summary, str(plan.get("load", ""))),
            sections=list(_sections(charts)),
            verdicts=sorted(verdicts, key=lambda verdict: ("fail", "unknown", "pass").index(verdict.result)),
            plan=list(_flat({key: value for key, value in plan.items() if key != "source"})),
            source=str(plan.get("source", "")),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(inline=inline, spots=_spots, cell=_cell, number=number, tight=_tight)
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The script is ours and the hash lets in nothing else; what is put into it is nothing.
    environment.globals.update(script=Markup(script), script_hash=f"sha256-{digest}")  # noqa: S704
    environment.globals.update(of=format_ratio, mark=lambda result: _MARKS.get(result, "?"))
    return environment


def _sections(charts: Sequence[Chart]) -> Iterator[tuple[Section, list[Chart]]]:
    """Charts under their questions; one that no question asks for comes last, rather than not at all."""
    known = {name for section in SECTIONS for name in section.charts}
    rest = tuple(chart.name for chart in charts if chart.name not in known)
    for section in (*SECTIONS, Section("more", "What else was seen?", rest)):
        shown = [chart for chart in charts if chart.name in section.charts]
        if shown:
            yield section, shown


def _flat(values: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as ``a.b: text`` pairs."""
    for key, value in values.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, UNMEASURED if value is None else str(value)


def _spots(spots: Sequence[Tooltip]) -> Markup:
    """As JSON inside of HTML: characters that could end the element are escaped."""
    return htmlsafe_json_dumps([asdict(spot) for spot in spots], separators=(",", ":"))


def _tight(text: str) -> str:
    """A figure and its per cent sign stay on one line."""
    return text.replace(" %", "\u00a0%")


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return UNMEASURED
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value
