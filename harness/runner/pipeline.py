"""A run from its plan to its report: measure, analyse, draw. The analysis of an old run can be repeated."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.analysis.run_analysis import Analysis, analyse
from harness.analysis.scaling import scaling_run
from harness.common.environment import environment, versions
from harness.common.errors import UsageError
from harness.faults import Shell
from harness.report import charts
from harness.report.charts.chart import Chart
from harness.report.charts.scaling import drawings as scaling_drawings
from harness.report.html import pair_page, run_page, scaling_page
from harness.report.html.pair_page import Side
from harness.results.files import explain_write_errors
from harness.results.plan import RunPlan
from harness.results.run import Run, new_run_id
from harness.results.verdicts import Expectation, RecordedVerdicts, Result, Verdict
from harness.runner import experiment, preflight, scaling_search
from harness.runner.progress import Progress
from harness.runner.scaling_search import ScalePlan
from harness.scenario import rates
from harness.scenario.loading import Loaded, recorded_expectations
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn, Url, redacted


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


def run_scenario(
    loaded: Loaded, changes: Overrides, results: Path, flags: Mapping[str, Any], progress: Progress
) -> RunOutcome:
    """Run a scenario, analyse it, and write its whole directory.

    Raises:
        HarnessError: nothing could be measured; partial results are kept.
    """
    scenario, repeat = changes.apply(loaded.scenario), changes.repeat
    preflight.require(scenario, changes.backend)
    run = Run.create(results, plan_run(loaded, scenario, repeat, flags))
    progress.announce(scenario, repeat)
    with progress:
        work = experiment.run(
            scenario, loaded.users, run, repeat, progress, drivers=changes.drivers, backend=changes.backend
        )
        interrupted = _was_interrupted(work, run.has_requests)
    return RunOutcome(run, *analyse_and_report(run, scenario.expect), interrupted)


def shell_commands(loaded: Loaded, changes: Overrides) -> Sequence[str]:
    """The user-supplied commands that the faults of a run will execute, in order of time."""
    faults = [at.fault for at in changes.apply(loaded.scenario).faults]
    return [command for fault in faults if isinstance(fault, Shell) for command in fault.commands]


def reanalyse(path: Path, gallery: Path | None) -> RunOutcome:
    """Analyse and draw an old run again, with its original expectations."""
    run = Run.open(path)
    run.check_summary()
    outcome = RunOutcome(run, *analyse_and_report(run, _recall_expectations(run)))
    if gallery is not None:
        gallery.mkdir(parents=True, exist_ok=True)
        for chart in sorted((run.path / "charts").iterdir()):
            shutil.copyfile(chart, gallery / chart.name)
    return outcome


def _recall_expectations(run: Run) -> Sequence[Expectation]:
    """The expectations of a run, or their recorded verdicts if its scenario no longer imports."""
    expectations = recorded_expectations(run.plan.source, run.plan.flags)
    if expectations is not None:
        return expectations
    try:
        return RecordedVerdicts.by_check(run.read_verdicts())
    except UsageError:
        why = "the recorded scenario no longer imports, and no verdicts were recorded"
        return [RecordedVerdicts((Verdict("expectations", Result.UNKNOWN, why),))]


def side_by_side(left: RunOutcome, right: RunOutcome) -> Path:
    """Show both runs on one page, in the directory of the first."""
    sides = [Side(outcome.analysis.summary, outcome.charts) for outcome in (left, right)]
    with explain_write_errors(left.run.path):
        return pair_page.write(left.run.path / f"beside-{right.run.plan.run}.html", *sides)


def run_scaling(
    loaded: Loaded,
    changes: Overrides,
    sizes: ScalePlan,
    *,
    results: Path,
    flags: Mapping[str, Any],
    progress: Progress,
) -> ScaleOutcome:
    """Search capacities, and write the complete directory of the run.

    Raises:
        HarnessError: nothing could be measured; partial results are kept.
    """
    scenario = changes.apply(loaded.scenario)
    preflight.require(scenario, changes.backend)
    run = Run.create(results, plan_run(loaded, scenario, 0, flags))
    with progress:
        work = scaling_search.scale(scenario, loaded.users, run, sizes, progress, backend=changes.backend)
        interrupted = _was_interrupted(work, (run.path / scaling_run.FILE).exists)
    return ScaleOutcome(run, draw_scaling(run), interrupted)


def draw_scaling(run: Run) -> scaling_run.ScalingRun:
    """Fit and draw the results of a run of ``harness scale``."""
    scaled = scaling_run.ScalingRun.read(run)
    directory = run.path / "charts"
    with explain_write_errors(run.path):
        directory.mkdir(exist_ok=True)
        drawn = tuple(drawing.save(directory) for drawing in scaling_drawings(scaled))
        scaling_page.write(run.path, scaled, drawn)
    return scaled


def plan_run(loaded: Loaded, scenario: Scenario, repeat: int, flags: Mapping[str, Any]) -> RunPlan:
    """The plan of a run: what runs, with which settings, on which machine."""
    load = {key: value for key, value in asdict(scenario.load).items() if value is not None}
    if scenario.load.rate is not None:
        load["rate"] = rates.describe(scenario.load.rate)
    first = next(scenario.arms())
    return RunPlan(
        run=new_run_id(),
        scenario=loaded.name,
        path=str(loaded.path),
        sha256=loaded.sha256,
        source=_source(loaded),
        seed=scenario.seed,
        flags={key: str(value) if isinstance(value, Path) else value for key, value in flags.items()},
        load={**load, "kind": scenario.load.kind, "warmup_s": first.warmup, "duration_s": first.seconds},
        arms=[(arm.design.name, arm.name, number) for arm, number in scenario.rounds(repeat)],
        designs={design.name: design.describe() for design in scenario.designs},
        environment=environment(),
        versions=versions(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _source(loaded: Loaded) -> str:
    """The scenario's text without the values in the environment of its commands."""
    targets = [design.target for design in loaded.scenario.designs]
    services = [target for target in targets if not isinstance(target, BuiltIn | Url)]
    return redacted(loaded.path.read_text(), [value for service in services for value in service.env.values()])


def _was_interrupted(work: Coroutine[Any, Any, None], measured: Callable[[], bool]) -> bool:
    """Do the work. Returns whether it was interrupted (Ctrl-C or SIGTERM) after something was measured."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        if not measured():
            raise
        return True
    return False


def analyse_and_report(run: Run, expectations: Sequence[Expectation]) -> tuple[Analysis, tuple[Chart, ...]]:
    """Analyse the measurements, and save figures, verdicts, charts and the report with them."""
    analysis = analyse(run, expectations)
    run.keep_summary(analysis.summary, analysis.verdicts)
    drawn = charts.draw(analysis.summary, analysis.arms, run.path / "charts")
    run_page.write(
        run.path,
        analysis.summary,
        analysis.verdicts,
        drawn,
        {**asdict(run.plan), "load": run.plan.load["kind"], "workload": run.plan.load},
    )
    return analysis, drawn
