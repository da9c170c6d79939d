"""The workflow for GitHub Actions, held against what Actions accepts and against the Makefile."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_INSTALL = "go install github.com/rhysd/actionlint/cmd/actionlint@latest"


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip(f"actionlint is missing: {_INSTALL}")
    completed = subprocess.run([actionlint, str(path)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout


def test_the_workflow_only_runs_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = {name for path in WORKFLOWS for name in re.findall(r"\bmake ([a-z-]+)", path.read_text())}
    assert used and used <= targets
