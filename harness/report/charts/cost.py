"""What each design costs: processor time and bytes per request, and memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.pieces import cut
from harness.report.charts.words import listed, number
from harness.results.summary import ArmFigures

_TITLE = "Cost per request"


@dataclass(frozen=True)
class Part:
    """A segment of a bar: its colour and hatch."""

    name: str
    color: str
    hatch: str


_CPU = (Part("replicas", style.BLUE, ""), Part("balancer", style.ORANGE, "////"), Part("store", style.GREEN, "----"))
_BYTES = (Part("request", style.SKY, ""), Part("reply", style.PURPLE, "\\\\\\\\"))
_MEMORY = (Part("memory", style.GREY, ""),)
_HANDLES = [
    Patch(fc=part.color, hatch=part.hatch, ec=style.PAPER, label=part.name) for part in (*_CPU, *_BYTES, *_MEMORY)
]


@dataclass(frozen=True)
class Cost:
    """One design's costs; None for each that was not measured."""

    design: str
    cpu_ms: tuple[float | None, float | None, float | None]  # per request: replicas, balancer, store
    bytes: tuple[float | None, float | None]  # per request, per reply
    memory_mb: float | None

    @classmethod
    def of(cls, design: str, arm: ArmFigures) -> "Cost":
        """Divide the processor time per request among the parts in proportion to the cores that each used."""
        use = arm.resources
        cores = (use.replica_cpu, use.balancer_cpu, use.store_cpu)
        total, per_request = sum(core or 0.0 for core in cores), use.cpu_ms_per_request
        cpu_ms = [
            None if core is None or per_request is None or not total else per_request * core / total for core in cores
        ]
        return cls(
            design, (cpu_ms[0], cpu_ms[1], cpu_ms[2]), (arm.bytes.request_mean, arm.bytes.response_mean), use.memory_mb
        )

    @property
    def cpu_total(self) -> float | None:
        """Milliseconds of processor time per request over all parts; None if none was measured."""
        known = [value for value in self.cpu_ms if value is not None]
        return sum(known) if known else None


def figure(costs: Sequence[Cost]) -> Figure:
    """Three panels with the same designs, each with its own scale."""
    drawn, [line] = style.panels(_TITLE, (1, 3), max(0.32 * len(costs), 0.6), _frame(costs))
    _stack(line[0], [cost.cpu_ms for cost in costs], _CPU)
    _stack(line[1], [cost.bytes for cost in costs], _BYTES)
    _stack(line[2], [(cost.memory_mb,) for cost in costs], _MEMORY)
    for axes, label in zip(line, ("CPU ms per request", "bytes per request", "memory, MB"), strict=True):
        axes.set_xlabel(label)
        style.name_rows(axes, [cost.design for cost in costs])
    for axes in line[1:]:
        axes.set_yticklabels([])
    style.legend(drawn, _HANDLES)
    return drawn


def _frame(costs: Sequence[Cost]) -> style.Frame:
    left = style.room([cost.design for cost in costs])
    return style.Frame(left=left, right=0.6, top=style.top(_HANDLES, titled=True), bottom=0.45, gap_x=0.6)


def _stack(axes: Axes, rows: Sequence[tuple[float | None, ...]], parts: Sequence[Part]) -> None:
    totals = [sum(value or 0.0 for value in values) for values in rows]
    for place, (values, total) in enumerate(zip(rows, totals, strict=True)):
        left = 0.0
        for value, part in zip(values, parts, strict=True):
            if value:
                axes.barh(place, value, 0.62, left, color=part.color, hatch=part.hatch, ec=style.PAPER, lw=0.5)
                left += value
        label = number(total) if any(value is not None for value in values) else "not measured"
        axes.annotate(label, (total, place), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set_xlim(0, max(totals) * 1.02 or 1)
    axes.locator_params(axis="x", nbins=4)


def finding(costs: Sequence[Cost]) -> str:
    """The cheapest and the most expensive design by processor time, and by bytes."""
    wire = [
        (None if any(size is None for size in cost.bytes) else sum(size or 0.0 for size in cost.bytes), cost.design)
        for cost in costs
    ]
    sentences = [
        _describe_extremes("processor time", "ms", [(cost.cpu_total, cost.design) for cost in costs]),
        _describe_extremes("bytes on the wire", "B", wire),
    ]
    return " ".join(filter(None, sentences)) or "No cost was measured."


def _describe_extremes(what: str, unit: str, pairs: Sequence[tuple[float | None, str]]) -> str:
    known = sorted((value, design) for value, design in pairs if value is not None)
    if not known:
        return ""
    if number(known[0][0]) == number(known[-1][0]):
        return f"{what.capitalize()} per request: {number(known[0][0], unit)} in {listed([d for _, d in known])}."
    least, most = (f"{design} ({number(value, unit)})" for value, design in (known[0], known[-1]))
    return f"Least {what} per request: {least}; most: {most}."


def _table(costs: Sequence[Cost]) -> Table:
    columns = ("design", "replica CPU ms", "balancer CPU ms", "store CPU ms", "request B", "reply B", "memory MB")
    rows: list[tuple[Cell, ...]] = [
        (cost.design, *(None if v is None else float(f"{v:.4g}") for v in (*cost.cpu_ms, *cost.bytes, cost.memory_mb)))
        for cost in costs
    ]
    return Table(columns, tuple(rows))


def drawing(costs: Sequence[Cost]) -> Drawing:
    """The chart with its words."""
    alt = (
        f"Three panels of horizontal bars for {len(costs)} designs: "
        "processor time per request and bytes per request, stacked by part, and memory."
    )
    drawn = figure(costs)
    pieces = cut(drawn, 3, _frame(costs), shared_labels=True)
    return Drawing("cost", _TITLE, finding(costs), alt, _table(costs), drawn, tuple(_tooltips(drawn, costs)), pieces)


def _tooltips(drawn: Figure, costs: Sequence[Cost]) -> Iterator[Tooltip]:
    """A tooltip at the end of each bar that lists its parts."""
    for place, cost in enumerate(costs):
        bars = ((_CPU, cost.cpu_ms, "ms"), (_BYTES, cost.bytes, "B"), (_MEMORY, (cost.memory_mb,), "MB"))
        for axes, (parts, values, unit) in zip(drawn.axes, bars, strict=True):
            shares = [f"{part.name} {number(v, unit)}" for part, v in zip(parts, values, strict=True) if v is not None]
            total = sum(value or 0.0 for value in values)
            yield tooltip_at(axes, (total, place), f"{cost.design}: {', '.join(shares) or 'not measured'}", cost.design)
