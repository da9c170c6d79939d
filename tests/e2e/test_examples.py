"""Every example runs from its README's lines alone, and finds what theory says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harnessed import ROOT

EXAMPLES = ROOT / "examples"
PROGRAMS = {
    "express": ("npm", "apt-get install nodejs npm"),
    "go_counter": ("go", "apt-get install golang-go"),
    "java_counter": ("java", "apt-get install default-jdk-headless"),
}
FINDINGS = {
    "django_login": {"database": "kept"},
    "express": {"memory_affinity": "lost", "memory_spread": "lost", "redis": "kept"},
    "fastapi_cart": {"memory": "lost"},
    "flask_counter": {"signed_cookie": "kept", "memory": "lost"},
    "go_counter": {"memory": "lost"},
    "java_counter": {"memory": "lost"},
}


def lines(example: str) -> list[str]:
    """The commands of its README; what pip would install is a part of the tests' own environment."""
    text = (EXAMPLES / example / "README.md").read_text()
    told = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [line for line in told if not line.startswith("pip install")]


def ran(example: str, into: Path) -> dict[str, Any]:
    """Its summary, once the README's lines were run in a copy."""
    place = into / example
    shutil.copytree(EXAMPLES / example, place, ignore=shutil.ignore_patterns("node_modules", "results", "__pycache__"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    for line in lines(example):
        done = subprocess.run(["sh", "-c", line], cwd=place, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    told: dict[str, Any] = json.loads((place / "results" / "scenario" / "latest" / "summary.json").read_text())
    return told


def test_every_example_has_what_it_takes() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(FINDINGS)
    for example in FINDINGS:
        assert lines(example)[-1] == "harness run scenario.py"


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(FINDINGS))
def test_its_readme_is_enough(example: str, tmp_path: Path) -> None:
    program, install = PROGRAMS.get(example, ("", ""))
    if program and shutil.which(program) is None:
        pytest.skip(f"{program} is not here: {install}")
    designs = ran(example, tmp_path)["designs"]
    assert {name: design["finding"] for name, design in designs.items()} == FINDINGS[example]
    for design in designs.values():
        sessions = design["arms"]["fault"]["sessions"]
        if design["finding"] == "kept":
            assert (sessions["lost"], sessions["judged"]) == (0, sessions["started"])
        elif design["describe"]["at_risk"] == "victim":
            assert 0.1 < sessions["loss_rate"] < 0.6
            assert sessions["lost_not_at_risk"] == sessions["at_risk_not_lost"] == 0
