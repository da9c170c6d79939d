"""The action for other projects: each of its scripts is run, with recorders in the place of the programs it calls."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
RECORDER = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n[ -z "$SAYS" ] || echo "$SAYS"\nexit "${CODE:-0}"\n'


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job's directory, with a recorder for each program."""
    for program in ("harness", "gh", "python3"):
        (tmp_path / program).write_text(RECORDER)
        (tmp_path / program).chmod(0o755)
    run = tmp_path / "out" / "node_kill" / "20260101T000000Z-aaaaaa"
    run.mkdir(parents=True)
    (run.parent / "latest").symlink_to(run.name)
    return tmp_path


def step(name: str) -> dict[str, Any]:
    return next(step for step in STEPS if step["name"] == name)


def run_step(job: Path, name: str, expressions: Mapping[str, str], **environment: str) -> tuple[int, dict[str, str]]:
    """Run a step's script as Actions does; returns its exit code and its outputs."""
    values = {**{f"inputs.{key}": str(value.get("default", "")) for key, value in ACTION["inputs"].items()}}
    values |= {"inputs.out": "out", **expressions}
    variables = {
        key: re.sub(r"\$\{\{ *(\S+) *\}\}", lambda found: values.get(found[1], ""), value)
        for key, value in step(name)["env"].items()
    }
    output, summary = job / "output", job / "summary"
    output.write_text("")
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "CALLS": str(job / "calls")}
    path = {"PATH": f"{job}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]],
        cwd=job, env={**path, "SAYS": "", **variables, **files, **environment}, check=False,
    )  # fmt: skip
    return done.returncode, dict(line.split("=", 1) for line in output.read_text().splitlines())


def calls(job: Path) -> list[str]:
    return (job / "calls").read_text().splitlines()


def test_it_installs_the_version_that_it_belongs_to(job: Path) -> None:
    assert run_step(job, "Install", {"github.action_path": "/the/action"})[0] == 0
    assert calls(job) == ["python3 -m pip install --quiet /the/action"]


@pytest.mark.parametrize("code", ["0", "1", "3"])
def test_a_run_with_a_verdict_goes_on_to_its_result(job: Path, code: str) -> None:
    inputs = {"inputs.scenario": "my scenario.py", "inputs.arguments": "--quick --repeat 6"}
    assert run_step(job, "Run", inputs, CODE=code, SAYS="the table") == (0, {"code": code})
    assert calls(job) == ["harness run my scenario.py --quick --repeat 6 --out out"]
    assert (job / "out" / "comment.md").read_text() == "```\nthe table\n```\n"


def test_a_run_that_does_not_start_ends_the_job(job: Path) -> None:
    assert run_step(job, "Run", {"inputs.scenario": "x.py"}, CODE="4")[0] == 4


def test_an_argument_is_never_executed(job: Path) -> None:
    run_step(job, "Run", {"inputs.scenario": "$(touch hacked)", "inputs.arguments": "; touch hacked"})
    assert not (job / "hacked").exists()


def test_the_newest_run_is_compared_with_the_baseline(job: Path) -> None:
    assert run_step(job, "Compare", {"inputs.baseline": "base"}, CODE="1") == (0, {"code": "1"})
    expected = "harness compare out/node_kill/latest base --markdown out/comment.md --junit out/compare.xml"
    assert calls(job) == [expected]


def test_the_comment_is_shown_and_sent(job: Path) -> None:
    (job / "out" / "comment.md").write_text("it holds\n")
    assert run_step(job, "Show", {})[0] == 0
    assert (job / "summary").read_text() == "it holds\n"
    assert run_step(job, "Comment", {"github.event.pull_request.html_url": "the/pull/7"})[0] == 0
    assert calls(job) == ["gh pr comment the/pull/7 --body-file out/comment.md"]


def test_a_comment_that_is_not_permitted_fails_nothing(job: Path) -> None:
    (job / "out" / "comment.md").write_text("it holds\n")
    assert run_step(job, "Comment", {}, CODE="1")[0] == 0


@pytest.mark.parametrize(
    ("run", "comparison", "ends", "code"),
    [
        ("0", "", 0, "0"),
        ("0", "0", 0, "0"),
        ("3", "", 0, "3"),
        ("0", "3", 0, "3"),
        ("3", "1", 1, "1"),
        ("1", "3", 1, "1"),
    ],
)
def test_fail_outweighs_unknown_and_unknown_is_a_warning(
    job: Path, run: str, comparison: str, ends: int, code: str
) -> None:
    outputs = {"steps.run.outputs.code": run, "steps.compare.outputs.code": comparison}
    assert run_step(job, "Result", outputs) == (ends, {"code": code})
