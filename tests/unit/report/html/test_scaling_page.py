from pathlib import Path

import pytest

from harness.analysis.scaling.capacity import Capacity, Objectives, Trial
from harness.analysis.scaling.scaling_run import ScaledDesign, ScalingRun, Size
from harness.report.charts.chart import Chart
from harness.report.charts.scaling import drawings
from harness.report.html.scaling_page import write


def measured_size(replicas: int) -> Size:
    """A size that holds 100 requests per second per replica, and fails at 10 % more."""
    held, failed = 100.0 * replicas, 110.0 * replicas
    trials = (
        Trial(held, held, held, 40.0, 0.0, False, {"replicas": 0.8, "balancer": 0.2}),
        Trial(failed, failed, held, 900.0, 0.02, False, {"replicas": 0.95, "balancer": 0.3}),
    )
    return Size(replicas, Capacity(held, failed, trials))


@pytest.fixture
def scaled() -> ScalingRun:
    describe = {"service_time_s": 0.01, "slots": 2}
    design = ScaledDesign("stateless", describe, tuple(map(measured_size, (1, 2, 4))))
    return ScalingRun("20250101T000000-abcd", "growth", Objectives(), (design,))


@pytest.fixture
def charts(scaled: ScalingRun, tmp_path: Path) -> tuple[Chart, ...]:
    return tuple(drawing.save(tmp_path) for drawing in drawings(scaled))


def test_the_page_shows_every_chart_with_its_values(
    scaled: ScalingRun, charts: tuple[Chart, ...], tmp_path: Path
) -> None:
    html = write(tmp_path, scaled, charts).read_text(encoding="utf-8")
    assert [chart.name for chart in charts] == ["scaling", "demands"]
    assert html.count("<figure>") == 2
    assert all(chart.title in html for chart in charts)
    assert charts[0].table.rows[2][:3] == ("stateless", 4, 400.0)
    assert len(charts[1].table.rows) == 6


def test_the_page_names_the_resource_that_limited_each_size(
    scaled: ScalingRun, charts: tuple[Chart, ...], tmp_path: Path
) -> None:
    html = write(tmp_path, scaled, charts).read_text(encoding="utf-8")
    assert html.count("replicas 95 %, balancer 30 %") == 3
    assert "service time is emulated (10 ms, 2 at once per replica)" in html


def test_a_run_without_sizes_has_no_chart() -> None:
    assert drawings(ScalingRun("run", "growth", Objectives(), (ScaledDesign("stateless", {}, ()),))) == ()
