"""From what a run recorded to its figures, charts and pages. All of it can be repeated on an old run."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.analysis.run_analysis import Analysis, analyse
from harness.analysis.scaling import scaling_run
from harness.common.errors import UsageError
from harness.report import charts, stories
from harness.report.charts.chart import Chart
from harness.report.charts.scaling import drawings as scaling_drawings
from harness.report.html import pair_page, run_page, scaling_page
from harness.report.html.pair_page import Side
from harness.report.setting import Setting
from harness.results.files import explain_write_errors
from harness.results.run import Run
from harness.results.verdicts import Expectation, RecordedVerdicts, Result, Verdict
from harness.runner.progress import Progress, Silent
from harness.scenario.expectations import recall


@dataclass(frozen=True)
class RunOutcome:
    """A finished run and its analysis."""

    run: Run
    analysis: Analysis
    charts: tuple[Chart, ...]
    interrupted: bool = False


@dataclass(frozen=True)
class ScaleOutcome:
    """A finished run of ``harness scale`` and its figures."""

    run: Run
    scaled: scaling_run.ScalingRun
    interrupted: bool = False


def reanalyse(path: Path, gallery: Path | None, progress: Progress = Silent()) -> RunOutcome:  # noqa: B008 - stateless
    """Analyse and draw an old run again, with its original expectations."""
    run = Run.open(path)
    run.check_summary()
    outcome = RunOutcome(run, *analyse_and_report(run, _recall_expectations(run), progress))
    if gallery is not None:
        with explain_write_errors(gallery):
            gallery.mkdir(parents=True, exist_ok=True)
            for file in (path for chart in outcome.charts for path in (chart.svg, chart.png)):
                shutil.copyfile(file, gallery / file.name)
    return outcome


def _recall_expectations(run: Run) -> Sequence[Expectation]:
    """The expectations that the run kept, or the recorded verdicts of an older run that kept none."""
    try:
        recorded = run.read_verdicts()
    except UsageError:
        recorded = ()
    if run.plan.expect is not None:
        return recall(run.plan.expect, recorded)
    if recorded:
        return RecordedVerdicts.by_check(recorded)
    why = "the run keeps no expectations, as those of older versions, and no verdicts were recorded"
    return [RecordedVerdicts((Verdict("expectations", Result.UNKNOWN, why),))]


def side_by_side(left: RunOutcome, right: RunOutcome) -> Path:
    """Show both runs on one page, in the directory of the first."""
    sides = [Side(outcome.analysis.summary, outcome.charts) for outcome in (left, right)]
    with explain_write_errors(left.run.path):
        return pair_page.write(left.run.path / f"beside-{right.run.plan.run}.html", *sides)


def analyse_and_report(
    run: Run,
    expectations: Sequence[Expectation],
    progress: Progress = Silent(),  # noqa: B008 - stateless
) -> tuple[Analysis, tuple[Chart, ...]]:
    """Analyse the measurements, and save figures, verdicts, charts and the report with them."""
    progress.stage("judging every session")
    analysis, load = analyse(run, expectations), run.plan.load
    run.keep_summary(analysis.summary, analysis.verdicts)
    progress.stage("drawing the charts and the report")
    with (
        explain_write_errors(run.path),
        charts.drawing(analysis.summary, analysis.arms, run.path / "charts", run.plan.must_fail) as drawn,
    ):
        run_page.write(
            run.path,
            analysis.summary,
            analysis.verdicts,
            drawn,
            {**asdict(run.plan), "load": load["kind"], "cookies": load.get("cookies"), "workload": load},
            setting=Setting.of(run.plan),
            stories=stories.collect(analysis.arms, run.plan.must_fail),
        )
    return analysis, drawn


def draw_scaling(run: Run) -> scaling_run.ScalingRun:
    """Fit and draw the results of a run of ``harness scale``."""
    scaled = scaling_run.ScalingRun.read(run)
    directory = run.path / "charts"
    with explain_write_errors(run.path):
        directory.mkdir(exist_ok=True)
        drawn = tuple(drawing.save(directory) for drawing in scaling_drawings(scaled))
        scaling_page.write(run.path, scaled, drawn)
    return scaled
