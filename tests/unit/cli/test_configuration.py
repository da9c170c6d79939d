"""Options get their values from the command line, the environment and pyproject.toml, in this order."""

import json
from pathlib import Path

import pytest

from harness.cli.app import run_command_line

SCENARIO = """
from harness import BuiltIn, Design, Scenario, Sessions
SCENARIO = Scenario([Design("one", BuiltIn())], Sessions(concurrent=1, duration="3s"))
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a scenario, which is the current directory."""
    (tmp_path / "mine.py").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text)


def replicas(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """How many replicas a run of the scenario would have."""
    assert run_command_line(["run", "mine.py", "--dry-run", "--json", *flags]) == 0
    description: str = json.loads(capsys.readouterr().out)["designs"]["one"]
    return description.partition("replicas ")[2].partition(",")[0]


def test_the_command_line_outweighs_the_environment_and_that_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, "[tool.harness.run]\nreplicas = 4\n")
    assert replicas(capsys) == "4"
    monkeypatch.setenv("HARNESS_RUN_REPLICAS", "5")
    assert replicas(capsys) == "5"
    assert replicas(capsys, "--replicas", "6") == "6"


def test_a_project_is_found_from_a_directory_inside_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(project, "[tool.harness.list]\nnope = 1\n")
    (project / "inside").mkdir()
    monkeypatch.chdir(project / "inside")
    assert run_command_line(["list", "states"]) == 2


def test_an_option_is_named_as_on_the_command_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, "[tool.harness.list]\njson = true\n")
    assert run_command_line(["list", "states"]) == 0
    assert json.loads(capsys.readouterr().out)["states"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tool.harness.run]\nreplica = 3\n", "no option 'replica'"),
        ("[tool.harness.walk]\nx = 3\n", "no command 'walk'"),
        ("[tool.harness]\nrun = 3\n", "cannot be read"),
        ("[tool.harness\n", "cannot be read"),
    ],
)
def test_what_does_not_exist_is_a_usage_error_with_the_file(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    configure(project, text)
    assert run_command_line(["list", "states"]) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert problem in message and "pyproject.toml" in message and hint.startswith("  hint: ")


def test_a_value_of_the_wrong_kind_is_a_usage_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, '[tool.harness.run]\nreplicas = "many"\n')
    assert run_command_line(["run", "mine.py", "--dry-run"]) == 2
    assert "many" in capsys.readouterr().err


def test_a_dry_run_says_what_would_start_and_starts_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "mine.py", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "mine: 1 arm, about" in out and "closed load for 3s per arm" in out and "one: app cart" in out
    assert not (project / "results").exists()


def test_a_dry_run_names_the_commands_of_a_service(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "locustfile.py").write_text("from locust import User\n")
    argv = ["run", "locustfile.py", "--command", "python app.py {port}", "--dry-run"]
    assert run_command_line(argv) == 0
    assert "will run: python app.py '{port}'" in capsys.readouterr().out
