"""The harness as a library: ``harness.run(scenario)`` from Python and pytest, ``await harness.arun(...)`` in async.

It prints nothing and sets no signal handler. A run leaves nothing behind except its directory.
"""

import asyncio
import hashlib
import inspect
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.run_analysis import Analysis
from harness.common.errors import UsageError
from harness.results.run import Run
from harness.results.summary import ArmFigures, DesignSummary, SessionFigures, Summary, WriteFigures
from harness.results.verdicts import Verdict
from harness.runner import experiment, machine_limits, pipeline, preflight, reporting
from harness.runner.progress import Silent
from harness.scenario.loading import DEFAULT_USERS, Loaded, have_ledgers, keep_old_cookies, located, user_classes
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario

Users = type | Sequence[type] | Path | None


@dataclass(frozen=True)
class Results:
    """A finished run: its directory, its figures, and its verdicts."""

    path: Path
    analysis: Analysis

    @property
    def summary(self) -> Summary:
        """All figures, as summary.json has them."""
        return self.analysis.summary

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every check with its result and the reason."""
        return self.analysis.verdicts

    @property
    def verdict(self) -> str:
        """``pass``, ``fail`` or ``unknown``: the worst of them."""
        return self.analysis.result.value

    @property
    def exit_code(self) -> int:
        """The exit code that ``harness run`` would have returned."""
        return self.analysis.result.exit_code

    def design(self, name: str) -> DesignSummary:
        """One design with its arms.

        Raises:
            UsageError: this run has no design of that name.
        """
        if name not in self.summary.designs:
            raise UsageError(f"no design {name!r} in this run", f"it has {', '.join(self.summary.designs)}")
        return self.summary.designs[name]

    def arm(self, design: str, arm: str = "fault") -> ArmFigures:
        """A design's figures with its faults (``fault``) or without (``control``)."""
        arms = self.design(design).arms
        if arm not in arms:
            raise UsageError(f"{design} has no {arm} arm in this run", f"it has {', '.join(arms)}")
        return arms[arm]

    def finding(self, design: str) -> str:
        """The outcome of its sessions, in a word."""
        return self.design(design).finding

    def sessions(self, design: str, arm: str = "fault") -> SessionFigures:
        """The outcomes of a design's sessions."""
        return self.arm(design, arm).sessions

    def writes(self, design: str, arm: str = "fault") -> WriteFigures:
        """The outcomes of its acknowledged writes."""
        return self.arm(design, arm).writes


def run(
    scenario: Scenario,
    users: Users = None,
    *,
    name: str = "scenario",
    out: str | Path = "results",
    changes: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Results:
    """Run a scenario, and wait until it is finished.

    Args:
        scenario: the designs, load, faults and expectations. Relative directories start at the current one.
        users: the classes of the users, importable by name, or their file. None: ``harness.recipes.Probe``.
        name: the name of the run's directory: ``out/name/<time>-<id>``.
        out: the directory of all runs.
        changes: the same changes as the options of ``harness run`` make.

    Raises:
        HarnessError: as for the exit codes 2, 3, 4 and 70. A verdict is not an error: see ``Results.verdict``.
        UsageError: an event loop already runs in this thread; use ``await arun(...)``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(arun(scenario, users, name=name, out=out, changes=changes))
    raise UsageError("harness.run() would block the event loop of this thread", "await harness.arun(...)")


async def arun(
    scenario: Scenario,
    users: Users = None,
    *,
    name: str = "scenario",
    out: str | Path = "results",
    changes: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Results:
    """Run a scenario inside a running event loop. Cancelling it stops every part."""
    if not name.isidentifier():
        raise UsageError(f"the name of a run is one word, not {name!r}", "letters, digits and _")
    with tempfile.TemporaryDirectory(prefix="harness-users-") as folder:
        loaded = _describe(scenario, users, Path(folder), name)
        chosen = changes.apply(loaded.scenario)
        machine_limits.require(chosen, changes.drivers)
        preflight.require(chosen, changes.backend, changes.access)
        new = await asyncio.to_thread(Run.create, Path(out), pipeline.plan_run(loaded, chosen, changes.repeat, {}))
        with new.writing():
            await experiment.run(
                chosen,
                loaded.users,
                new,
                changes.repeat,
                Silent(),
                backend=changes.backend,
                access=changes.access,
            )
            analysis, _ = await asyncio.to_thread(
                reporting.analyse_and_report, new, chosen.expectations(loaded.has_ledgers)
            )
            await asyncio.to_thread(new.point_latest)
        return Results(new.path, analysis)


def _describe(scenario: Scenario, users: Users, folder: Path, name: str) -> Loaded:
    file = users if isinstance(users, Path) else _write_users(users, folder)
    text = file.read_text()
    path = folder / f"{name}.py"
    path.write_text(text)
    digest = hashlib.sha256(f"{scenario!r}\n{text}".encode()).hexdigest()
    kinds = user_classes(users) if isinstance(users, Path) else _list_classes(users)
    traits = have_ledgers(kinds), keep_old_cookies(kinds)
    return Loaded(located(scenario, Path.cwd()), name, path, digest, file.resolve(), *traits)


def _list_classes(users: type | Sequence[type] | None) -> list[type]:
    return [users] if isinstance(users, type) else list(users or ())


def _write_users(users: type | Sequence[type] | None, folder: Path) -> Path:
    """A locustfile that imports the users as this process does."""
    if users is None:
        return DEFAULT_USERS
    kinds = _list_classes(users)
    if not kinds:
        raise UsageError("users= is empty", "give the classes, or leave it out for the probe")
    lines = ["import importlib.util, sys", f"sys.path[:0] = {[folder or '.' for folder in sys.path]!r}"]
    lines += [line for kind in kinds for line in _import_lines(kind)]
    file = folder / "harness_users.py"
    file.write_text("\n".join([*lines, ""]))
    return file


def _import_lines(kind: type) -> list[str]:
    if "." in kind.__qualname__:
        raise UsageError(f"{kind.__qualname__} cannot be imported", "define the users' classes at a module's top level")
    if kind.__module__ != "__main__":
        return [f"from {kind.__module__} import {kind.__name__}"]
    return [
        f"_spec = importlib.util.spec_from_file_location('harness_main', {inspect.getfile(kind)!r})",
        "_main = importlib.util.module_from_spec(_spec)",
        "_spec.loader.exec_module(_main)",
        f"{kind.__name__} = _main.{kind.__name__}",
    ]
