"""The runs below a directory: those of this program, and nothing that a link leads to."""

from pathlib import Path

from harness.common.errors import UsageError
from harness.results.run import Run

BASELINES = "baselines"
#: Directories of results that belong to the repository.
KEPT_IN_GIT = (BASELINES, "gallery")


def list_runs(scenario: Path) -> list[Run]:
    """The runs in the directory of a scenario, the oldest first: those whose run.json names that very place."""
    found = []
    for path in sorted(scenario.iterdir()):
        try:
            run = Run.open(path) if is_directory(path) else None
        except (UsageError, OSError):  # not a run, or not one of this program
            continue
        if run is not None and (run.plan.scenario, run.plan.run) == (scenario.name, path.name):
            found.append(run)
    return found


def is_directory(path: Path) -> bool:
    """Whether it is a directory itself, and not a link to one."""
    return path.is_dir() and not path.is_symlink()
