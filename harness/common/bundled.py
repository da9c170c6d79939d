"""Where the targets and scenarios that come with the harness lie: beside it in a clone, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_bundled"


def targets_home() -> Path:
    """The directory that contains the ``targets`` package."""
    return _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def scenarios_home() -> Path:
    """The directory of the scenarios."""
    return targets_home() / "scenarios"
