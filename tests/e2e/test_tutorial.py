"""The tutorial, step by step: its files are written, its commands run, and what it says of them is so."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.results.run import Run
from tests.support.harness_command import ROOT, assert_passes_except_for_times

pytestmark = [pytest.mark.slow, pytest.mark.long]

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What the environment of the tests has done already.
PREPARED = ["make install", ". .venv/bin/activate", "pip install flask gunicorn", "mkdir ~/counter && cd ~/counter"]


def commands() -> Iterator[tuple[str, str]]:
    """The steps of the page in order: a file's name with its content, or ``$`` with a command."""
    for kind, block in BLOCK.findall(PAGE):
        if kind == "python":
            yield re.match(r"# (\w+\.py)\n", block)[1], block  # type: ignore[index]  # each block begins with its name
        else:
            yield from (("$", line) for line in block.splitlines())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own, with this environment active."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_every_step_of_the_tutorial_does_what_it_says(shell: Path) -> None:
    steps = list(commands())
    assert [text for name, text in steps if name == "$"][: len(PREPARED)] == PREPARED
    ran = []
    for name, text in steps:
        if name != "$":
            (shell / name).write_text(text)
        elif text not in PREPARED:
            done = subprocess.run(text, shell=True, cwd=shell, capture_output=True, text=True, timeout=300, check=False)  # noqa: S602
            ran.append((text, done.returncode, done.stdout + done.stderr))
    (_, lost, first), (_, listed, groups), (_, traced, story), (_, kept, second) = ran
    assert (lost, listed, traced) == (1, 0, 0), ran
    assert "lost 20 of 20 sessions" in first and "lost 20 of 20 sessions" in PAGE
    assert "counter/fault/1" in groups and "/count" in story
    assert kept in (0, 3) and "lost 0 of 20 sessions" in second and "lost 0 of 20 sessions" in PAGE, second
    assert_passes_except_for_times(Run.open(shell / "results" / "deploy" / "latest").read_verdicts())
