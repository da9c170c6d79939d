"""The runs that the site shows, read from their directories at every request."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.common.errors import UsageError
from harness.results.listing import BASELINES, KEPT_IN_GIT, is_directory, list_runs
from harness.results.run import Run
from harness.results.summary import Summary

#: What a run without a summary is called instead of its verdict.
RUNNING, BROKEN_OFF, SCALING = "running", "broken off", "scaling"
VERDICTS = ("pass", "fail", "unknown", RUNNING, BROKEN_OFF, SCALING)


@dataclass(frozen=True)
class ListedRun:
    """A run with its figures; ``summary`` is None if it has none yet, or none that can be read."""

    run: Run
    summary: Summary | None
    is_baseline: bool = False

    @property
    def state(self) -> str:
        """Its verdict, or why it has none: one of ``VERDICTS``."""
        if self.summary is not None:
            return self.summary.verdict
        if self.run.is_being_written:
            return RUNNING
        return SCALING if (self.run.path / "scaling.json").exists() else BROKEN_OFF

    @property
    def has_report(self) -> bool:
        """Whether report.html was written."""
        return (self.run.path / "report.html").is_file()

    @property
    def commit(self) -> str:
        """The commit of the harness that made it; empty if that is not known."""
        return str(self.run.plan.environment.get("git") or "")


@dataclass(frozen=True)
class RunFilter:
    """Which runs to show; an empty field permits all. With a design, ``verdict`` is about that design."""

    scenario: str = ""
    design: str = ""
    verdict: str = ""

    def permits(self, listed: ListedRun) -> bool:
        """Whether a run fits."""
        plan, state = listed.run.plan, listed.state
        if self.design and self.design not in plan.designs:
            return False
        if self.design and listed.summary is not None and self.design in listed.summary.designs:
            state = listed.summary.designs[self.design].verdict
        return self.scenario in ("", plan.scenario) and self.verdict in ("", state)

    def select(self, runs: Iterable[ListedRun]) -> list[ListedRun]:
        """Those that fit."""
        return [listed for listed in runs if self.permits(listed)]


@dataclass(frozen=True)
class FilterChoices:
    """What can be chosen in the fields of a filter."""

    scenarios: tuple[str, ...]
    designs: tuple[str, ...]
    verdicts: tuple[str, ...]

    @classmethod
    def of(cls, runs: Iterable[ListedRun]) -> Self:
        """What occurs in these runs."""
        runs = list(runs)
        states = {listed.state for listed in runs}
        return cls(
            tuple(sorted({listed.run.plan.scenario for listed in runs})),
            tuple(sorted({design for listed in runs for design in listed.run.plan.designs})),
            tuple(verdict for verdict in VERDICTS if verdict in states),
        )


class RunIndex:
    """Finds runs below a directory of results. A summary is read once, and again when its file has changed."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._summaries: dict[tuple[Path, int], Summary | None] = {}

    def list_all(self) -> list[ListedRun]:
        """All runs, the newest first."""
        names = [path.name for path in _list_directories(self._results)]
        found = [listed for name in names if name not in KEPT_IN_GIT for listed in self.list_scenario(name)]
        return sorted(found, key=lambda listed: listed.run.plan.run, reverse=True)

    def list_scenario(self, scenario: str) -> list[ListedRun]:
        """The runs of one scenario, the oldest first. The name is compared, and never used as a path."""
        folders = [path for path in _list_directories(self._results) if path.name == scenario]
        accepted = self.find_baseline(scenario)
        accepted_id = accepted.run.plan.run if accepted else ""
        return [
            ListedRun(run, self._read_summary(run), is_baseline=run.plan.run == accepted_id)
            for folder in folders
            for run in list_runs(folder)
        ]

    def find(self, scenario: str, run: str) -> ListedRun | None:
        """The run of these names; None if there is none."""
        return next((listed for listed in self.list_scenario(scenario) if listed.run.plan.run == run), None)

    def find_running(self) -> ListedRun | None:
        """The newest run in progress."""
        return next((listed for listed in self.list_all() if listed.run.is_being_written), None)

    def find_baseline(self, scenario: str) -> ListedRun | None:
        """The accepted baseline of a scenario, which may be a copy of a run that is no longer there."""
        for path in _list_directories(self._results / BASELINES):
            if path.name == scenario:
                with suppress(UsageError, OSError):
                    run = Run.open(path)
                    return ListedRun(run, self._read_summary(run), is_baseline=True)
        return None

    def _read_summary(self, run: Run) -> Summary | None:
        try:
            key = run.path, (run.path / "summary.json").stat().st_mtime_ns
            if key not in self._summaries:
                self._summaries[key] = None
                self._summaries[key] = run.read_summary()
            return self._summaries[key]
        except (UsageError, OSError):
            return None


def _list_directories(path: Path) -> list[Path]:
    """The directories in a directory, by name; those behind a link are left out."""
    return sorted(inner for inner in path.iterdir() if is_directory(inner)) if is_directory(path) else []
