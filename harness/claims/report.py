"""What the claims came to, for people and for scripts: docs/claims.md with a picture each, and claims.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.claims.claim import Claim, ClaimFinding, ClaimVerdict, Runs
from harness.report.charts import style
from harness.report.charts.chart import Drawing, Table
from harness.results.files import write_text

_HEAD = """# The claims, measured

What is commonly said of stateless and stateful services, each as an experiment whose prediction could have come out
false. `make claims` writes this page and the figures beside it; `make claims ONLY=C07` does one of them again. Shares
stand with their exact 95 % intervals. *Refuted* is a finding; *unknown* says what would settle it.
"""
_JSON = "claims.json"
_ROW = 0.22  # inches
_COLORS = {
    ClaimVerdict.SUPPORTED: style.GREEN,
    ClaimVerdict.REFUTED: style.VERMILION,
    ClaimVerdict.UNKNOWN: style.MUTED,
}


@dataclass(frozen=True)
class ClaimResult:
    """One claim's finding, and the runs it is from."""

    finding: ClaimFinding
    runs: tuple[str, ...]

    @classmethod
    def of(cls, claim: Claim, runs: Runs) -> "ClaimResult":
        """What these runs say of it."""
        names = [
            f"{need.name}/{found.run}"
            for need in claim.needs
            if (found := runs.summaries.get(need.name) or runs.scaled.get(need.name))
        ]
        return cls(claim.found(runs), tuple(names))

    def plain(self) -> dict[str, Any]:
        """As claims.json has it: the first point leads."""
        lead = self.finding.points[0] if self.finding.points else None
        return {
            "verdict": self.finding.support.value,
            "figure": None if lead is None else round(lead.value, 4),
            "interval": None if lead is None or lead.interval is None else [round(end, 4) for end in lead.interval],
            "unit": self.finding.unit,
            "run": ", ".join(self.runs),
            "says": self.finding.says,
            "points": [asdict(point) for point in self.finding.points],
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "ClaimResult":
        """The reverse of ``plain``."""
        finding = msgspec.convert({**plain, "support": plain["verdict"]}, ClaimFinding)
        return cls(finding, tuple(filter(None, plain["run"].split(", "))))


def read(docs: Path) -> dict[str, ClaimResult]:
    """What an earlier attempt wrote; nothing where it cannot be read."""
    try:
        return {name: ClaimResult.of_plain(one) for name, one in json.loads((docs / _JSON).read_text()).items()}
    except (OSError, ValueError, KeyError, AttributeError, msgspec.ValidationError):
        return {}


def write(claims: Sequence[Claim], told: Mapping[str, ClaimResult], docs: Path) -> None:
    """Write ``claims.json``, ``claims.md`` and ``claims/<ID>.svg`` into ``docs``."""
    pictures = docs / "claims"
    pictures.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        if claim.id in told and told[claim.id].finding.points:
            drawing(claim, told[claim.id].finding).save(pictures)
    plain = {claim.id: told[claim.id].plain() for claim in claims if claim.id in told}
    write_text(docs / _JSON, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    write_text(docs / "claims.md", page(claims, told))


def page(claims: Sequence[Claim], told: Mapping[str, ClaimResult]) -> str:
    """The table of all claims, then each with its experiment, its figures and its picture."""
    rows = [_row(claim, told.get(claim.id)) for claim in claims]
    table = "\n".join(["| | the claim | verdict | what was seen |", "| --- | --- | --- | --- |", *rows])
    parts = [_part(claim, told[claim.id]) for claim in claims if claim.id in told]
    return "\n".join([_HEAD, table, "", *parts])


def _row(claim: Claim, told: ClaimResult | None) -> str:
    if told is None:
        return f"| {claim.id} | {claim.says} | not attempted | |"
    verdict, seen = told.finding.support.value, _cell(told.finding.says)
    return f"| [{claim.id}](#{claim.id.lower()}) | {claim.says} | **{verdict}** | {seen} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _part(claim: Claim, told: ClaimResult) -> str:
    finding = told.finding
    lines = [
        f"## {claim.id}",
        "",
        f"**{claim.says[0].upper()}{claim.says[1:]}** (section {claim.section}): **{finding.support.value}**.",
        "",
        f"- Run: {claim.ran}.",
        f"- It would support it: {claim.supports}.",
        f"- Seen: {finding.says}.",
        f"- From: {', '.join(f'`{run}`' for run in told.runs) or 'no run'}.",
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


def drawing(claim: Claim, finding: ClaimFinding) -> Drawing:
    """A row a point: its value, its interval, and a diamond where the theory said it would be."""
    table = Table(
        ("", finding.unit, "95 % interval", "predicted"),
        tuple((one.label, one.value, _interval(one.interval), one.predicted) for one in finding.points),
    )
    with style.styled():
        drawn = _figure(claim, finding)
    alt = f"Dots with intervals, one a row: {finding.says}"
    return Drawing(claim.id, f"{claim.id}: {claim.says}", finding.says, alt, table, drawn)


def _figure(claim: Claim, finding: ClaimFinding) -> Figure:
    names = [point.label for point in finding.points]
    title = f"{claim.id}  {finding.support.value}"
    frame = style.Frame(left=style.room(names) + 0.2, right=0.9, top=0.45, bottom=0.5)
    drawn, [[axes]] = style.panels(title, (1, 1), _ROW * len(names) + 0.15, frame)
    color = _COLORS[finding.support]
    for place, point in enumerate(finding.points):
        if point.interval:
            axes.plot(point.interval, [place, place], color=color, lw=1.6)
        axes.plot(point.value, place, "o", color=color, ms=5.5)
        if point.predicted is not None:
            axes.plot(point.predicted, place, "D", color=style.INK, mfc="none", ms=6.5, mew=1)
        axes.annotate(_number(point.value), (1.01, place), xycoords=("axes fraction", "data"), va="center")
    style.name_rows(axes, names)
    _span(axes, finding)
    axes.set_xlabel(f"{finding.unit}; a diamond is the prediction")
    return drawn


def _span(axes: Axes, finding: ClaimFinding) -> None:
    """From 0 to a little beyond the farthest, so that lengths can be compared."""
    ends = [end for one in finding.points for end in (one.value, one.predicted or 0.0, *(one.interval or ()))]
    low, high = min(0.0, *ends), max(*ends, 0.0)
    room = 0.03 * ((high - low) or 1.0)
    axes.set_xlim(low - room, high + room)
