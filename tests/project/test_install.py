"""tools/install on machines that lack something: a clear line with its remedy, and an unchanged machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "tools" / "install"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a fresh clone as the installer looks at."""
    (tmp_path / "tools").mkdir()
    shutil.copy(INSTALL, tmp_path / "tools" / "install")
    return tmp_path


def python(clone: Path, on_venv: str) -> Path:
    """A Python that does ``on_venv`` (a line of shell) for ``-m venv``, and is the real one for all else."""
    path = clone / "python-of-the-test"
    path.write_text(f'#!/bin/sh\ncase "$*" in "-m venv "*) {on_venv};; *) exec {sys.executable} "$@";; esac\n')
    path.chmod(0o755)
    return path


def install(clone: Path, python: Path, *kind: str) -> subprocess.CompletedProcess[str]:
    argv, environment = ["tools/install", *kind], {**os.environ, "PYTHON": str(python)}
    return subprocess.run(argv, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def recording_python(clone: Path, otherwise: str = "") -> Path:
    """A Python whose virtual environment appends the arguments of each of its calls to ``calls``, and does no more.

    ``otherwise`` is a case of shell for other calls.
    """
    recorder = clone / "recorder"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> calls\ncase "$*" in {otherwise} esac\n')
    recorder.chmod(0o755)
    return python(clone, "mkdir -p .venv/bin && cp recorder .venv/bin/python")


def commands_of(target: str, clone: Path) -> list[str]:
    """What ``make TARGET`` would do in a fresh clone."""
    shutil.copy(ROOT / "Makefile", clone)
    (clone / "pyproject.toml").touch()
    done = subprocess.run(["make", "-n", target], cwd=clone, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_no_python_that_is_new_enough_is_said_in_two_lines(clone: Path) -> None:
    done = install(clone, clone / "no-such-python")
    assert done.returncode == 4
    problem, remedy = done.stderr.splitlines()
    assert "no Python 3.11 or newer" in problem and "apt-get install python3" in remedy
    assert not (clone / ".venv").exists()


def test_an_old_python_does_not_count(clone: Path) -> None:
    old = clone / "old"
    old.write_text("#!/bin/sh\nexit 1\n")  # what its version check answers
    old.chmod(0o755)
    assert install(clone, old).returncode == 4


def test_without_the_venv_package_the_line_that_installs_it_is_shown(clone: Path) -> None:
    done = install(clone, python(clone, "echo 'Error: ensurepip is not available'; exit 1"))
    assert done.returncode == 4
    problem, remedy = done.stderr.splitlines()
    assert "cannot make a virtual environment" in problem and "apt-get install python3-venv" in remedy
    assert not list((clone / ".venv").glob(".installed*"))


def test_a_half_made_environment_is_not_taken_for_a_good_one(clone: Path) -> None:
    """Its python is the system's: pip would install into the system itself."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    base = Path(sys.base_prefix) / "bin" / "python3"
    (clone / ".venv" / "bin" / "python").symlink_to(base)
    done = install(clone, python(clone, "echo made again >> made; exit 1"))
    assert (clone / "made").read_text() == "made again\n"
    assert done.returncode == 4


def test_an_environment_that_is_made_without_pip_is_not_taken_for_a_good_one(clone: Path) -> None:
    without_pip = python(clone, f"{sys.executable} -m venv --without-pip .venv")
    done = install(clone, without_pip)
    assert done.returncode == 4
    assert "apt-get install python3-venv" in done.stderr


@pytest.mark.parametrize(
    ("kind", "requirement", "marks"),
    [("run", ".", {"run"}), ("all", ".[all]", {"run", "all"}), ("dev", ".[dev]", {"run", "all", "dev"})],
)
def test_each_kind_installs_its_packages_and_counts_as_the_smaller_kinds(
    clone: Path, kind: str, requirement: str, marks: set[str]
) -> None:
    done = install(clone, recording_python(clone), kind)
    assert done.returncode == 0, done.stderr
    installed = [call for call in (clone / "calls").read_text().splitlines() if " -e " in call]
    assert [call.rpartition(" ")[2] for call in installed] == [requirement]
    assert {path.name for path in (clone / ".venv").glob(".installed*")} == {f".installed-{mark}" for mark in marks}


@pytest.mark.parametrize(
    ("otherwise", "installer"),
    [
        ("", "uv"),
        ('"-m uv"*) exit 1;;', "pip"),
        ('"-m pip install"*" uv") exit 1;;', "pip"),
        ('"-m pip config list") echo "global.index-url=https://mirror.example/simple";;', "pip"),
    ],
    ids=["usually", "uv-fails", "no-uv", "another-index"],
)
def test_uv_installs_where_it_can_and_pip_where_it_cannot(clone: Path, otherwise: str, installer: str) -> None:
    done = install(clone, recording_python(clone, otherwise))
    assert (done.returncode, done.stderr) == (0, "")
    last = [call for call in (clone / "calls").read_text().splitlines() if call.endswith(" -e .")][-1]
    assert last.startswith(f"-m {installer} ")


def test_without_a_kind_only_what_runs_need_is_installed(clone: Path) -> None:
    assert install(clone, recording_python(clone)).returncode == 0
    assert {path.name for path in (clone / ".venv").glob(".installed*")} == {".installed-run"}


def test_an_unknown_kind_is_a_usage_error(clone: Path) -> None:
    done = install(clone, recording_python(clone), "everything")
    assert (done.returncode, (clone / ".venv").exists()) == (2, False)
    assert "run, all or dev" in done.stderr


@pytest.mark.parametrize(("target", "kind"), [("bench", "run"), ("install", "run"), ("claims", "all"), ("test", "dev")])
def test_a_target_installs_no_more_than_it_needs(clone: Path, target: str, kind: str) -> None:
    installs = [line for line in commands_of(target, clone) if line.startswith("tools/install")]
    assert installs == [f"tools/install {kind}"]
