"""What all pages share: the template environment, and how a page becomes a file."""

import base64
import hashlib
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from harness.report.charts.chart import Cell
from harness.report.charts.words import UNMEASURED, format_ratio, number
from harness.report.evidence import describe_evidence, describe_pod_end
from harness.report.html.inline import inline

_SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
#: The source that the policy of a page permits to run: the report's own script, which contains no value of a run.
SCRIPT_HASH = f"sha256-{base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()}"
_MARKS = {"pass": "✓", "fail": "✗", "unknown": "?"}


def render(template: str, **values: object) -> str:
    """The HTML of a page; every value is escaped, the template's own text is not."""
    return environment().get_template(template).render(**values)


def write(target: Path, html: str) -> Path:
    """Write the page's file completely or not at all."""
    draft = target.with_name(f".{target.name}.part")
    draft.write_text(html, encoding="utf-8")
    return draft.replace(target)


def environment(*templates: Path) -> Environment:
    """What renders pages, from the templates of the report and of further directories."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader([*templates, Path(__file__).parent]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        cell=_format_cell,
        evidence=describe_evidence,
        pod_end=describe_pod_end,
        inline=inline,
        number=number,
        # Characters that could end the element around the JSON are escaped.
        tooltips=lambda chart: htmlsafe_json_dumps(list(map(asdict, chart.tooltips)), separators=(",", ":")),
        unbroken=lambda text: text.replace(" %", "\u00a0%"),  # a figure and its per cent sign stay on one line
    )
    # The script is part of the harness and contains no value of a run.
    environment.globals.update(script=Markup(_SCRIPT), script_hash=SCRIPT_HASH)  # noqa: S704
    environment.globals.update(ratio=format_ratio, mark=lambda result: _MARKS.get(result, "?"))
    return environment


def _format_cell(value: Cell) -> str:
    if value is None:
        return UNMEASURED
    if isinstance(value, float):
        return f"{Decimal(f'{value:g}'):f}"  # never with an exponent
    return f"{value:,}" if isinstance(value, int) else value
