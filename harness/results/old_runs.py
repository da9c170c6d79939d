"""The runs that ``harness clean --runs`` may remove: complete or broken off, never one that somebody else put there."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from harness.results.listing import KEPT_IN_GIT, is_directory, list_runs
from harness.results.run import Run


def old_runs(results: Path) -> tuple[Run, ...]:
    """All runs in a directory of results, but for the newest of each scenario and the one that ``latest`` points to.

    A run that is being written is not among them, nor is a directory reached through a link or of another origin: only
    one whose run.json is of this version and names that very place.
    """
    old: list[Run] = []
    for scenario in sorted(results.glob("*")):
        if scenario.name not in KEPT_IN_GIT and is_directory(scenario):
            runs = list_runs(scenario)
            latest = (scenario / "latest").resolve()
            old += [run for run in runs[:-1] if run.path != latest and not run.is_being_written]
    return tuple(old)


def remove_runs(runs: Iterable[Run]) -> None:
    """Remove the directories of runs."""
    for run in runs:
        shutil.rmtree(run.path)
