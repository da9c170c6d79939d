"""Latency at every percentile, on an axis of 1 / (1 - p), where each additional nine takes the same room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.measured import Floats, Ints
from harness.report.charts.words import number

_TITLE = "Latency at every percentile"
_MIN_ABOVE = 10  # a percentile with fewer samples above it is not drawn
_POINTS = 90
_PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


@dataclass(frozen=True)
class Spectrum:
    """One arm's latencies in ns, sorted."""

    design: str
    arm: str
    ordered: Ints

    @classmethod
    def of(cls, design: str, arm: str, latency_ns: Ints) -> "Spectrum":
        """Sort the latencies once for all percentiles."""
        return cls(design, arm, np.sort(latency_ns))

    @property
    def last(self) -> float:
        """The largest ``1 / (1 - p)`` with enough samples above it; below 1 if no percentile has enough."""
        return self.ordered.size / _MIN_ABOVE

    def at(self, percent: float) -> float | None:
        """The latency in ms that ``percent`` of the requests did not exceed; None with too few samples above."""
        if self.last < 1 / (1 - percent / 100) * (1 - 1e-9):
            return None
        return float(self._value(np.array([percent / 100]))[0])

    def curve(self) -> tuple[Floats, Floats]:
        """``1 / (1 - p)`` from 1 to ``last``, and the latency in ms at each."""
        if self.last <= 1:
            return np.empty(0), np.empty(0)
        x = np.geomspace(1.0, self.last, _POINTS)
        return x, self._value(1 - 1 / x)

    def _value(self, p: Floats) -> Floats:
        rank = np.ceil(p * self.ordered.size - 1e-9).astype(np.int64) - 1
        return np.asarray(self.ordered[np.clip(rank, 0, self.ordered.size - 1)] / 1e6, dtype=np.float64)


def figure(spectra: Sequence[Spectrum], looks: Sequence[style.SeriesStyle]) -> Figure:
    """One curve per arm: dashed for the control, solid for the fault; the colour and marker identify the design."""
    designs = list(dict.fromkeys(spectrum.design for spectrum in spectra))
    handles = _handles(designs, looks, {spectrum.arm for spectrum in spectra})
    frame = style.Frame(left=0.62, right=0.25, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), 3.3, frame)
    for spectrum in spectra:
        place = designs.index(spectrum.design)
        _draw_curve(axes, spectrum, looks[place], place * 2 % 10)
    latencies = np.concatenate([spectrum.curve()[1] for spectrum in spectra])
    style.log_axis(axes, *((latencies.min(), latencies.max()) if latencies.size else (1.0, 1000.0)))
    _percent_axis(axes, max((spectrum.last for spectrum in spectra), default=1.0))
    axes.set_ylabel("latency from the intended start, ms")
    style.legend(drawn, handles)
    return drawn


def _draw_curve(axes: Axes, spectrum: Spectrum, look: style.SeriesStyle, first_marker: int) -> None:
    solid = spectrum.arm == "fault"
    curve = axes.plot(
        *spectrum.curve(),
        color=look.color,
        ls=style.SOLID if solid else style.DASHED,
        lw=1.6 if solid else 1.1,
        marker=look.marker,
        ms=4.5 if solid else 3.5,
        mfc=look.color if solid else style.PAPER,
        markevery=(first_marker, 10),
    )
    look.own(curve, spectrum.arm)


def _percent_axis(axes: Axes, last: float) -> None:
    last = max(last, 10.0)
    shown = [percent for percent in (0.0, *_PERCENTILES) if 1 / (1 - percent / 100) <= last * 1.01]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([1 / (1 - percent / 100) for percent in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{percent:g} %" for percent in shown])
    axes.set_xlim(1, last * 1.15)
    axes.set_xlabel("share of the requests that were at least as fast, stretched towards 100 %")


def _handles(designs: Sequence[str], looks: Sequence[style.SeriesStyle], arms: set[str]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], color=look.color, marker=look.marker, lw=1.6, label=style.short(design))
        for design, look in zip(designs, looks, strict=True)
    ]
    if "control" in arms:
        handles.append(style.stroke("without fault", style.MUTED, style.DASHED, 1.1))
    if "fault" in arms:
        handles.append(style.stroke("with fault", style.MUTED))
    return handles


def finding(spectra: Sequence[Spectrum]) -> str:
    """At the 99th percentile: where the fault cost most and least or, without a fault, the fastest design."""
    p99 = {(spectrum.design, spectrum.arm): spectrum.at(99.0) for spectrum in spectra}
    values = {key: value for key, value in p99.items() if value is not None}
    pairs = sorted(
        ((values[design, "fault"] / control, design, control) for (design, arm), control in values.items()
         if arm == "control" and control > 0 and (design, "fault") in values),
        reverse=True,
    )  # fmt: skip
    if pairs:
        changes = [
            f"in {design} from {number(control, 'ms')} to {number(values[design, 'fault'], 'ms')}"
            for _, design, control in pairs
        ]
        least = f", least {changes[-1]}" if len(changes) > 1 else ""
        return f"One request in 100 takes longer than this (p99): with the fault it changed most {changes[0]}{least}."
    if values:
        (design, _), fastest = min(values.items(), key=lambda item: item[1])
        return f"In {design} the slowest request in 100 was fastest: {number(fastest, 'ms')} (p99)."
    return f"Too few requests to say how slow one in 100 is: that needs at least {100 * _MIN_ABOVE:,}."


def _table(spectra: Sequence[Spectrum]) -> Table:
    columns = ("design", "arm", "requests", *(f"p{percent:g} ms" for percent in _PERCENTILES))
    rows: list[tuple[Cell, ...]] = []
    for spectrum in spectra:
        latencies = [spectrum.at(percent) for percent in _PERCENTILES]
        values = [None if value is None else float(f"{value:.4g}") for value in latencies]
        rows.append((spectrum.design, spectrum.arm, spectrum.ordered.size, *values))
    return Table(columns, tuple(rows))


def drawing(spectra: Sequence[Spectrum], looks: Sequence[style.SeriesStyle]) -> Drawing:
    """The chart with its words; ``looks`` holds one look per design, in the order of their first curves."""
    alt = (
        f"Line chart of latency in milliseconds, logarithmic, against percentile, {len(spectra)} curves; "
        f"each stops where fewer than {_MIN_ABOVE} requests were slower."
    )
    drawn = figure(spectra, looks)
    return Drawing("spectrum", _TITLE, finding(spectra), alt, _table(spectra), drawn, tuple(_tooltips(drawn, spectra)))


def _tooltips(drawn: Figure, spectra: Sequence[Spectrum]) -> Iterator[Tooltip]:
    for spectrum in spectra:
        arm = "with fault" if spectrum.arm == "fault" else "without fault"
        for x, y in zip(*spectrum.curve(), strict=True):
            text = f"{spectrum.design}, {arm}: {100 * (1 - 1 / x):.4g} % within {number(float(y), 'ms')}"
            yield tooltip_at(drawn.axes[0], (float(x), float(y)), text, spectrum.design)
