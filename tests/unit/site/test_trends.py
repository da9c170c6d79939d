from dataclasses import replace
from pathlib import Path

from harness.results.baselines import accept
from harness.site.run_index import ListedRun, RunIndex
from harness.site.trends import FIGURES, Trend, collect_runs
from tests.support.charts import Fake
from tests.support.sites import add_run

LOSS, WRITES, P99, CPU = FIGURES
DAYS = [f"202601{day:02}T000000Z-aaaaaa" for day in range(1, 6)]


def trend(results: Path, figure: int = 0) -> Trend:
    index = RunIndex(results)
    return Trend(FIGURES[figure], collect_runs(index.list_scenario("node_kill"), index.find_baseline("node_kill")))


def test_a_design_has_a_line_with_a_point_per_run_in_the_order_of_time(tmp_path: Path) -> None:
    for lost, day in ((30, DAYS[1]), (10, DAYS[0]), (50, DAYS[2])):
        add_run(tmp_path, day, fakes=[Fake("sticky", lost=lost)], environment={"git": f"c{lost}"})
    plot = trend(tmp_path).plot
    assert [line.name for line in plot.lines] == ["sticky"]
    assert [y for _, y in plot.lines[0].points] == [5.0, 15.0, 25.0]  # per cent of 200
    assert [label for _, label in reversed(plot.x_labels)] == ["c10", "c30", "c50"]


def test_the_baseline_is_marked(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, day) for day in DAYS[:3]]
    accept(runs[1], "measured three times", tmp_path / "baselines")
    plot = trend(tmp_path).plot
    assert [(shade.start, shade.end) for shade in plot.shades] == [(0.5, 1.5)]


def test_a_baseline_whose_run_is_gone_keeps_its_place(tmp_path: Path) -> None:
    elsewhere = add_run(tmp_path / "elsewhere", DAYS[1])
    accept(elsewhere, "measured three times", tmp_path / "baselines")
    for day in (DAYS[0], DAYS[2]):
        add_run(tmp_path, day)
    found = trend(tmp_path)
    assert [listed.run.plan.run for listed in found.runs] == DAYS[:3]
    assert [listed.is_baseline for listed in found.runs] == [False, True, False]


def test_a_time_that_cannot_be_trusted_is_a_gap_and_a_count_is_not(tmp_path: Path) -> None:
    run = add_run(tmp_path, DAYS[0], fakes=[Fake("sticky", lost=20)])
    summary = run.read_summary()
    design = summary.designs["sticky"]
    arms = {name: replace(arm, driver=replace(arm.driver, saturated=True)) for name, arm in design.arms.items()}
    listed = ListedRun(run, replace(summary, designs={"sticky": replace(design, arms=arms)}))
    assert Trend(P99, [listed]).cell(listed, "sticky") == "unknown"
    assert Trend(CPU, [listed]).value(listed, "sticky") is None
    assert Trend(LOSS, [listed]).cell(listed, "sticky") == "10 %"
    assert Trend(LOSS, [listed]).cell(listed, "hybrid") == "not run"


def test_a_doubtful_p99_is_a_gap_and_the_cost_beside_it_is_not(tmp_path: Path) -> None:
    run = add_run(tmp_path, DAYS[0], fakes=[Fake("sticky", lost=20)])
    summary = run.read_summary()
    design = summary.designs["sticky"]
    arms = {name: replace(arm, driver=replace(arm.driver, doubtful=("p99",))) for name, arm in design.arms.items()}
    listed = ListedRun(run, replace(summary, designs={"sticky": replace(design, arms=arms)}))
    assert Trend(P99, [listed]).cell(listed, "sticky") == "unknown"
    assert Trend(CPU, [listed]).cell(listed, "sticky") != "unknown"


def test_runs_without_figures_are_left_out(tmp_path: Path) -> None:
    add_run(tmp_path, DAYS[0])
    (add_run(tmp_path, DAYS[1]).path / "summary.json").unlink()
    assert [listed.run.plan.run for listed in trend(tmp_path).runs] == DAYS[:1]
