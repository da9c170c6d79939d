"""A chart's SVG as part of a page: without a prolog, with ids that are unique in the page, in the page's colours."""

import html
import re

from markupsafe import Markup

from harness.report.charts.chart import Chart
from harness.report.charts.style import NAMED

_VARIABLES = {color: f"var(--{name})" for name, color in NAMED.items()}
_COLOR = re.compile(r'(?:(?<=: )|(?<=="))#[0-9a-f]{6}\b')
_REFERENCES = (
    (re.compile(r'\bid="'), 'id="{}-'),
    (re.compile(r"url\(#"), "url(#{}-"),
    (re.compile(r'(?:xlink:)?href="#'), 'href="#{}-'),
)
_OPENING = re.compile(r'<svg\b[^>]*?viewBox="([^"]*)"[^>]*>')
_METADATA = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)


def inline(chart: Chart) -> Markup:
    """The chart's SVG for a page that holds several: matplotlib gives the same ids to the same shapes in each."""
    text = _METADATA.sub("", chart.svg.read_text(encoding="utf-8"))
    text = text[text.index("<svg") :]
    for pattern, template in _REFERENCES:
        text = pattern.sub(template.format(chart.name), text)
    text = _COLOR.sub(lambda color: _VARIABLES.get(color[0], color[0]), text)
    opening = f'<svg role="img" aria-label="{html.escape(chart.alt)}" viewBox="{{}}">'
    text = _OPENING.sub(lambda tag: opening.format(tag[1]), text, count=1)
    return Markup(text)  # noqa: S704 - matplotlib wrote it, and escapes every text that it draws
