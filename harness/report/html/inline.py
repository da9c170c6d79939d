"""A chart's SVG as part of a page: without a prolog, with ids that are unique in the page, in the page's colours."""

import html
import re
from collections.abc import Iterator

from markupsafe import Markup

from harness.report.charts.chart import Chart
from harness.report.charts.pieces import Piece
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
_WHOLE = Piece(0.0, 0.0, 1.0, 1.0)


def inline(chart: Chart) -> Markup:
    """The chart's SVG for a page that holds several: matplotlib gives the same ids to the same shapes in each.

    A chart of several pieces is drawn once, out of sight; each piece is an SVG that shows its part of that drawing.
    """
    text = _METADATA.sub("", chart.svg.read_text(encoding="utf-8"))
    text = text[text.index("<svg") :]
    for pattern, template in _REFERENCES:
        text = pattern.sub(template.format(chart.name), text)
    text = _COLOR.sub(lambda color: _VARIABLES.get(color[0], color[0]), text)
    opening = _OPENING.search(text)
    assert opening is not None  # noqa: S101 - matplotlib writes one
    content, size = text[opening.end() : text.rindex("</svg>")], tuple(map(float, opening[1].split()[2:]))
    label = f'role="img" aria-label="{html.escape(chart.alt)}"'
    if not chart.pieces:
        return Markup(f"<div {label}>{_open(_WHOLE, size)}{content}</svg></div>")  # noqa: S704 - matplotlib escapes
    drawn = f'<svg class="drawn" width="0" height="0"><g id="{chart.name}-drawn">{content}</g></svg>'
    pieces = "".join(part for piece in chart.pieces for part in _show(piece, f"#{chart.name}-drawn", size))
    return Markup(f'<div {label} class="pieces">{drawn}{pieces}</div>')  # noqa: S704 - matplotlib escapes all text


def _show(piece: Piece, drawn: str, size: tuple[float, ...]) -> Iterator[str]:
    """The piece, after the labels of its rows where it may stand alone."""
    yield f'<div class="piece" style="--width: {100 * piece.width:.3f}" data-design="{html.escape(piece.design)}">'
    if piece.labels:
        labels = Piece(0.0, piece.y, piece.labels, piece.height)
        yield f'{_open(labels, size, "labels")}<use href="{drawn}"/></svg>'
    yield f'{_open(piece, size)}<use href="{drawn}"/></svg></div>'


def _open(piece: Piece, size: tuple[float, ...], name: str = "") -> str:
    """The start of an SVG that shows a piece of a drawing of this size; the page's script reads the fractions."""
    width, height = size
    box = f"{piece.x * width:.2f} {piece.y * height:.2f} {piece.width * width:.2f} {piece.height * height:.2f}"
    fractions = f"{piece.x:.4f} {piece.y:.4f} {piece.width:.4f} {piece.height:.4f}"
    share = f'style="--width: {100 * piece.width:.3f}"'
    return f'<svg class="{name}" {share} viewBox="{box}" data-part="{fractions}">'
