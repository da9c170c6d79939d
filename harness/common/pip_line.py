"""The line that installs a package where this harness runs: what errors and the doctor show."""

import shlex
import shutil
import sys
from pathlib import Path


def pip_line(requirement: str) -> str:
    """A command that installs ``requirement`` with the Python that runs now.

    ``pip install X`` if the pip on PATH is the one of this Python, otherwise ``/path/to/python -m pip install X``.
    """
    return f"{_pip()} install {shlex.quote(requirement)}"


def extra_line(extra: str) -> str:
    """A command that installs one of the extras that ``pyproject.toml`` describes."""
    return pip_line(f"session-harness[{extra}]")


def _pip() -> str:
    pip = shutil.which("pip")
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"
