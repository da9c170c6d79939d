"""The results of the claims: docs/claims.md with a picture for each claim, and claims.json for scripts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.claims.claim import Claim, ClaimFinding, ClaimVerdict, CounterFinding, Runs
from harness.report.charts import style
from harness.report.charts.chart import Drawing, Table
from harness.results.files import write_text

_HEAD = """# The claims, measured

Common claims about stateless and stateful services, each tested by an experiment whose prediction could fail, and by
the counter-experiment that argues against it most strongly. `make claims` writes this page and the figures beside it;
`make claims ONLY=C07` repeats one claim. Shares have exact 95 % confidence intervals. *Supported with limits*: the
prediction held, and the counter-experiment shows where the claim stops. *Refuted* is a result like any other; *unknown*
comes with what would settle the claim.
"""
_JSON = "claims.json"
_ROW_INCHES = 0.22
_COLORS = {
    ClaimVerdict.SUPPORTED: style.GREEN,
    ClaimVerdict.LIMITED: style.BLUE,
    ClaimVerdict.REFUTED: style.VERMILION,
    ClaimVerdict.UNKNOWN: style.MUTED,
}


@dataclass(frozen=True)
class ClaimResult:
    """One claim's finding, and the runs that it comes from."""

    finding: ClaimFinding
    runs: tuple[str, ...]

    @classmethod
    def from_runs(cls, claim: Claim, runs: Runs) -> "ClaimResult":
        """Evaluate the claim."""
        names = [
            f"{required.name}/{run.run}"
            for required in dict.fromkeys(claim.all_runs)
            if (run := runs.summaries.get(required.name) or runs.scaled.get(required.name))
        ]
        return cls(claim.evaluate(runs), tuple(names))

    def to_dict(self) -> dict[str, Any]:
        """The claim's entry in claims.json, with the first point as its main figure."""
        main = self.finding.points[0] if self.finding.points else None
        interval = main.interval if main else None
        return {
            "verdict": self.finding.verdict.value,
            "figure": None if main is None else round(main.value, 4),
            "interval": None if interval is None else [round(end, 4) for end in interval],
            "unit": self.finding.unit,
            "run": ", ".join(self.runs),
            "says": self.finding.says,
            "counter": asdict(self.finding.counter),
            "points": [asdict(point) for point in self.finding.points],
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> "ClaimResult":
        """The reverse of ``to_dict``."""
        return cls(msgspec.convert(entry, ClaimFinding), tuple(filter(None, entry["run"].split(", "))))


def read_results(docs: Path) -> dict[str, ClaimResult]:
    """The results of earlier attempts by claim; empty if claims.json is missing or unreadable."""
    try:
        entries = json.loads((docs / _JSON).read_text())
        return {claim: ClaimResult.from_dict(entry) for claim, entry in entries.items()}
    except (OSError, ValueError, KeyError, AttributeError, msgspec.ValidationError):
        return {}


def write(claims: Sequence[Claim], results: Mapping[str, ClaimResult], docs: Path) -> None:
    """Write ``claims.json``, ``claims.md`` and ``claims/<ID>.svg`` into ``docs``."""
    pictures = docs / "claims"
    pictures.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        if claim.id in results and results[claim.id].finding.points:
            draw(claim, results[claim.id].finding).save(pictures)
    entries = {claim.id: results[claim.id].to_dict() for claim in claims if claim.id in results}
    write_text(docs / _JSON, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    write_text(docs / "claims.md", page(claims, results))


def page(claims: Sequence[Claim], results: Mapping[str, ClaimResult]) -> str:
    """The table of all claims, then a section for each with its experiment, its figures and its picture."""
    rows = [_row(claim, results.get(claim.id)) for claim in claims]
    head = ["| | the claim | verdict | observed | but |", "| --- | --- | --- | --- | --- |"]
    table = "\n".join([*head, *rows])
    sections = [_section(claim, results[claim.id]) for claim in claims if claim.id in results]
    return "\n".join([_HEAD, table, "", *sections])


def _row(claim: Claim, result: ClaimResult | None) -> str:
    if result is None:
        return f"| {claim.id} | {claim.says} | not attempted | | |"
    verdict, observed = result.finding.verdict.value, _cell(result.finding.says)
    counter = _cell(_describe_counter(result.finding.counter))
    return f"| [{claim.id}](#{claim.id.lower()}) | {claim.says} | **{verdict}** | {observed} | {counter} |"


def _describe_counter(counter: CounterFinding) -> str:
    """Its outcome, after a word that says whether it limits the claim."""
    verdict = {True: "", False: "it does not bite: ", None: "unknown: "}[counter.bites]
    return f"{verdict}{counter.says}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _section(claim: Claim, result: ClaimResult) -> str:
    finding = result.finding
    lines = [
        f"## {claim.id}",
        "",
        f"**{claim.says[0].upper()}{claim.says[1:]}** (section {claim.section}): **{finding.verdict.value}**.",
        "",
        f"- Experiment: {claim.experiment}.",
        f"- Supported if: {claim.prediction}.",
        f"- Observed: {finding.says}.",
        f"- Counter-experiment: {claim.counter.question if claim.counter else 'none'}",
        f"- Its outcome: {_describe_counter(finding.counter)}.",
        f"- Runs: {', '.join(f'`{run}`' for run in result.runs) or 'none'}.",
        "",
    ]
    if finding.points:
        lines += [f"![{claim.id}: {_cell(finding.says)}](claims/{claim.id}.svg)", "", *_figures(finding), ""]
    return "\n".join(lines)


def _figures(finding: ClaimFinding) -> list[str]:
    head = [f"| | {finding.unit} | 95 % interval | predicted |", "| --- | --- | --- | --- |"]
    return head + [
        f"| {point.label} | {_number(point.value)} | {_interval(point.interval)} | {_number(point.predicted)} |"
        for point in finding.points
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"


def draw(claim: Claim, finding: ClaimFinding) -> Drawing:
    """Draw one row per point: its value, its interval, and a diamond at the prediction."""
    table = Table(
        ("", finding.unit, "95 % interval", "predicted"),
        tuple((point.label, point.value, _interval(point.interval), point.predicted) for point in finding.points),
    )
    with style.styled():
        figure = _figure(claim, finding)
    alt = f"Dots with intervals, one per row: {finding.says}"
    return Drawing(claim.id, f"{claim.id}: {claim.says}", finding.says, alt, table, figure)


def _figure(claim: Claim, finding: ClaimFinding) -> Figure:
    names = [point.label for point in finding.points]
    title = f"{claim.id}  {finding.verdict.value}"
    frame = style.Frame(left=style.room(names) + 0.2, right=0.9, top=0.45, bottom=0.5)
    figure, [[axes]] = style.panels(title, (1, 1), _ROW_INCHES * len(names) + 0.15, frame)
    color = _COLORS[finding.verdict]
    for row, point in enumerate(finding.points):
        if point.interval:
            axes.plot(point.interval, [row, row], color=color, lw=1.6)
        axes.plot(point.value, row, "o", color=color, ms=5.5)
        if point.predicted is not None:
            axes.plot(point.predicted, row, "D", color=style.INK, mfc="none", ms=6.5, mew=1)
        axes.annotate(_number(point.value), (1.01, row), xycoords=("axes fraction", "data"), va="center")
    style.name_rows(axes, names)
    _set_span(axes, finding)
    axes.set_xlabel(f"{finding.unit}; a diamond is the prediction")
    return figure


def _set_span(axes: Axes, finding: ClaimFinding) -> None:
    """Show everything from 0 to a little beyond the farthest point, so that lengths can be compared."""
    ends = [end for point in finding.points for end in (point.value, point.predicted or 0.0, *(point.interval or ()))]
    low, high = min(0.0, *ends), max(*ends, 0.0)
    margin = 0.03 * ((high - low) or 1.0)
    axes.set_xlim(low - margin, high + margin)
