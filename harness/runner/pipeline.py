"""A run from its plan to its report: measure, then analyse and draw (``reporting.py``)."""

import importlib
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.run_analysis import first_look
from harness.cluster.inventory import describe_balancers
from harness.common.environment import environment, versions
from harness.common.interrupts import run_until_interrupted
from harness.results.plan import RunPlan
from harness.results.run import Run, new_run_id
from harness.results.summary import Summary
from harness.runner import experiment, machine_limits, preflight
from harness.runner.composite_progress import CompositeProgress
from harness.runner.live_file import LiveFile
from harness.runner.progress import Progress
from harness.scenario import rates
from harness.scenario.expectations import encode
from harness.scenario.loading import Loaded
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, name_program

if TYPE_CHECKING:
    from harness.runner.reporting import RunOutcome, ScaleOutcome
    from harness.runner.scaling_search import ScalePlan

_REPORTING = "harness.runner.reporting"


def run_scenario(
    loaded: Loaded, changes: Overrides, results: Path, flags: Mapping[str, Any], progress: Progress
) -> "RunOutcome":
    """Run a scenario, analyse it, and write its whole directory.

    Raises:
        HarnessError: nothing could be measured; partial results are kept.
    """
    scenario, repeat = changes.apply(loaded.scenario), changes.repeat
    machine_limits.require(scenario, changes.drivers)
    preflight.require(scenario, changes.backend, changes.access)
    expected = scenario.expectations(loaded.has_ledgers)
    with progress:  # its port may be taken: nothing is left then
        run = Run.create(results, plan_run(loaded, scenario, repeat, flags))
        progress.announce(scenario, repeat)
        live = LiveFile(run.path)
        views = CompositeProgress([live, progress])
        # What draws takes a second to load: that is done while the judge is checked, before any time is measured.
        threading.Thread(target=importlib.import_module, args=[_REPORTING]).start()
        with run.writing():
            work = experiment.run(
                scenario,
                loaded.users,
                run,
                repeat,
                views,
                drivers=changes.drivers,
                backend=changes.backend,
                access=changes.access,
                first_measured=lambda design: views.say("\n".join(describe_first(first_look(run, design, expected)))),
            )
            interrupted = _was_interrupted(work, run, run.has_requests, progress)
        from harness.runner import reporting  # noqa: PLC0415 - loaded by now

        with run.writing():
            outcome = reporting.RunOutcome(run, *reporting.analyse_and_report(run, expected, progress), interrupted)
            run.point_latest()
            live.remove()
    return outcome


def describe_first(summary: Summary) -> Sequence[str]:
    """The table of the design that is measured first, in lines; the rest of the run has yet to confirm it."""
    from harness.report import scoreboard  # noqa: PLC0415 - loaded by now

    return ("first result (the controls are judged at the end):", *scoreboard.lines(summary))


def shell_commands(loaded: Loaded, changes: Overrides) -> Sequence[str]:
    """The user-supplied commands that the faults of a run will execute, in order of time."""
    faults = [at.fault for at in changes.apply(loaded.scenario).faults]
    return [command for fault in faults for command in fault.commands]


def survey_attachments(loaded: Loaded, changes: Overrides) -> Sequence[str]:
    """What the run will do to workloads that already run on a cluster, one line each; they are checked."""
    return preflight.survey_attached(changes.apply(loaded.scenario), changes.access)


def run_scaling(
    loaded: Loaded,
    changes: Overrides,
    sizes: "ScalePlan",
    *,
    results: Path,
    flags: Mapping[str, Any],
    progress: Progress,
) -> "ScaleOutcome":
    """Search capacities, and write the complete directory of the run.

    Raises:
        HarnessError: nothing could be measured; partial results are kept.
    """
    from harness.analysis.scaling import scaling_run  # noqa: PLC0415 - this and its charts are for it alone
    from harness.runner import reporting, scaling_search  # noqa: PLC0415

    scenario = changes.apply(loaded.scenario)
    preflight.require_none_attached(scenario.designs)
    machine_limits.require_replicas(max(sizes.sizes))
    preflight.require(scenario, changes.backend, changes.access)
    run = Run.create(results, plan_run(loaded, scenario, 0, flags))
    with run.writing():
        with progress:
            work = scaling_search.scale(
                scenario,
                loaded.users,
                run,
                sizes,
                progress,
                drivers=changes.drivers,
                backend=changes.backend,
                access=changes.access,
            )
            interrupted = _was_interrupted(work, run, (run.path / scaling_run.FILE).exists, progress)
            progress.stage("fitting the scaling law, drawing the charts")
            outcome = reporting.ScaleOutcome(run, reporting.draw_scaling(run), interrupted)
        run.point_latest()
    return outcome


def plan_run(loaded: Loaded, scenario: Scenario, repeat: int, flags: Mapping[str, Any]) -> RunPlan:
    """The plan of a run: what runs, with which settings, on which machine."""
    load = {key: value for key, value in asdict(scenario.load).items() if value is not None}
    if scenario.load.rate is not None:
        load["rate"] = rates.describe(scenario.load.rate)
    if loaded.keeps_old_cookies:
        load["cookies"] = "immortal"
    first = next(scenario.arms())
    return RunPlan(
        run=new_run_id(),
        scenario=loaded.name,
        path=str(loaded.path),
        sha256=loaded.sha256,
        seed=scenario.seed,
        flags={key: _describe_flag(key, value) for key, value in flags.items()},
        load={**load, "kind": scenario.load.kind, "warmup_s": first.warmup, "duration_s": first.seconds},
        arms=[(arm.design.name, arm.name, number) for arm, number in scenario.rounds(repeat)],
        designs={design.name: design.describe() for design in scenario.designs},
        environment=environment(),
        versions=versions(),
        expect=encode(scenario.expectations(loaded.has_ledgers)),
        balancers=describe_balancers(scenario.designs) if flags.get("backend", "process") == "process" else {},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _describe_flag(name: str, value: Any) -> Any:
    """The value of a flag as a run keeps it: of a command only its program, since its arguments may be secrets."""
    if name == "start" and value is not None:
        return name_program(Command(value).words())
    return str(value) if isinstance(value, Path) else value


def _was_interrupted(
    work: Coroutine[Any, Any, None], run: Run, measured: Callable[[], bool], progress: Progress
) -> bool:
    """Do the work. Returns whether it was interrupted (Ctrl-C, SIGTERM, SIGHUP) after something was measured."""
    try:
        run_until_interrupted(work)
    except KeyboardInterrupt:
        if not measured():
            progress.say(f"interrupted before anything was measured: {run.path} holds the plan only")
            raise
        progress.say(f"interrupted: what was measured is kept in {run.path}")
        return True
    return False
