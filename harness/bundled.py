"""Where the targets and the scenarios that come with the harness are: beside it in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _home(name: str) -> Path:
    beside = _PACKAGE.parent
    return beside if (beside / "pyproject.toml").is_file() and (beside / name).is_dir() else _PACKAGE / "_bundled"


def targets_home() -> Path:
    """The directory that holds the package ``targets``."""
    return _home("targets")


def scenarios_home() -> Path:
    """The directory that holds ``scenarios/``."""
    return _home("scenarios")
