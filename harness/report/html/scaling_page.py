"""``report.html`` of a run of ``harness scale``."""

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.scaling.scaling_run import ScalingRun
from harness.report.charts.chart import Cell, Chart, Table
from harness.report.charts.words import UNMEASURED
from harness.report.html import page


def write(run_path: Path, scaled: ScalingRun, charts: Sequence[Chart]) -> Path:
    """Write ``report.html`` into the run's directory, completely or not at all."""
    html = page.render("scaling.html.j2", scaled=scaled, charts=charts, bottlenecks=_bottlenecks(scaled))
    return page.write(run_path / "report.html", html)


def _bottlenecks(scaled: ScalingRun) -> Table:
    """What limited each size, and the shares in use at the edge of its capacity, the busiest part first."""
    rows: list[tuple[Cell, ...]] = []
    for design in scaled.designs:
        for size in design.sizes:
            edge = size.capacity.edge
            shares = sorted(edge.use.items(), key=lambda item: -item[1]) if edge else []
            utilisation = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares) or UNMEASURED
            rows.append((design.name, size.replicas, size.capacity.bound_by, utilisation))
    return Table(("design", "replicas", "bound by", "utilisation at the limit"), tuple(rows))
