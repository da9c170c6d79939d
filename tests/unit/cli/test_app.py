"""The command line as a whole: help, version, completion, and how a command ends."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from harness import __version__
from harness.cli import main
from harness.cli.app import app
from harness.cli.errors import guard
from harness.common.errors import EnvironmentLacksError, HarnessError, UntrustedError, UsageError

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"aiohttp", "docker", "locust", "matplotlib", "numpy", "pandas", "pydantic", "rich", "scipy"}


def command_names(group: TyperGroup) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (name,)
        if isinstance(command, TyperGroup):
            yield from ((name, *inner) for inner in command_names(command))


COMMAND_LINE = typer.main.get_command(app)
assert isinstance(COMMAND_LINE, TyperGroup)
NAMES = list(command_names(COMMAND_LINE))


def harness(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_the_help_of_every_command_has_an_example_and_the_exit_codes(
    name: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name, "--help"]) == 0
    shown = capsys.readouterr()
    assert f"Usage: harness {' '.join(name)} " in shown.out and not shown.err
    assert f"Example:\n\n      harness {name[0]}" in shown.out
    assert "Exit codes: 0 pass, 1 fail, 2 usage" in shown.out
    assert "\x1b" not in shown.out
    examples = [line for line in shown.out.splitlines() if line.startswith("      harness ")]
    assert [line for line in shown.out.splitlines() if len(line) > 79 and line not in examples] == []


def test_the_overview_describes_every_command_in_a_whole_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["-h"]) == 0
    shown = capsys.readouterr().out
    assert {name[0] for name in NAMES} <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert "..." not in shown.partition("Commands:")[2]


def test_without_a_command_the_help_is_shown_and_the_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert "Commands:" in shown.err and not shown.out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"harness {__version__}\n"


def test_a_shell_can_complete_commands_and_options() -> None:
    words = {"COMP_WORDS": "harness run --pro", "COMP_CWORD": "2", "_HARNESS_COMPLETE": "complete_bash"}
    assert harness(**words).stdout.split() == ["--processes", "--prometheus-port"]


def test_the_help_loads_nothing_heavy() -> None:
    script = "import sys; from harness.cli import main; main(['--help']); print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {module.partition(".")[0] for module in process.stdout.splitlines()[-1].split()} & HEAVY == set()


def raising(problem: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise problem

    return guard(command)


@pytest.mark.parametrize(
    ("problem", "code"), [(UsageError, 2), (UntrustedError, 3), (EnvironmentLacksError, 4), (HarnessError, 70)]
)
def test_a_problem_is_a_line_a_hint_and_its_code(
    problem: type[HarnessError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(problem("it is wrong", "do this"))() == code
    assert capsys.readouterr().err == "harness: it is wrong\n  hint: do this\n"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM])
def test_what_the_system_lacks_is_exit_4_with_a_hint(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(OSError(number, os.strerror(number)))() == 4
    shown = capsys.readouterr().err
    assert shown.startswith("harness: no") or shown.startswith("harness: the system has no room")
    assert "hint:" in shown


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt())() == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_defect_keeps_its_traceback_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert raising(ZeroDivisionError("oh"))() == 70
    (kept,) = tmp_path.iterdir()
    assert "Traceback" in kept.read_text()
    shown = capsys.readouterr().err
    assert "ZeroDivisionError('oh')" in shown and str(kept) in shown and "Traceback" not in shown


@pytest.mark.parametrize("words", [("list", "stores"), ("list", "stores", "--json")], ids=" ".join)
def test_a_closed_pipe_is_no_error(words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "harness.cli", *words]
    process = subprocess.run(argv, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (process.returncode, process.stderr) == (0, "")


def test_ctrl_c_works_in_a_background_job_of_a_script_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main(["--version"])
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
