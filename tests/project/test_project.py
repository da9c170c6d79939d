"""The project as a whole: its wheel, and no path of one machine."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Directories of one machine; written in two halves, so that this file does not name any.
MACHINE_PATHS = re.compile(
    "|".join(
        re.escape(f"/{first}{rest}") for first, rest in (("wo", "rk/"), ("ro", "ot/"), ("ho", "me/"), ("Use", "rs/"))
    )
)


def tracked() -> list[Path]:
    """The files of the project: those that git knows, or all where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    skipped = {".venv", ".git", "results", "dist"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)]


def text_of(path: Path) -> str:
    """The file's text; empty for a picture and other bytes."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_names_a_place_on_one_machine() -> None:
    places_by_file = {name(path): MACHINE_PATHS.findall(text_of(path)) for path in tracked()}
    assert {path: places for path, places in places_by_file.items() if places} == {}


@pytest.mark.slow
def test_the_wheel_holds_one_package_with_what_runs_beside_it_inside(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {Path(member) for member in archive.namelist()}
    tops = {path.parts[0] for path in inside}
    assert tops == {"harness", next(top for top in tops if top.endswith(".dist-info"))}
    for home in ("targets", "scenarios"):
        beside = {path.relative_to(ROOT) for path in (ROOT / home).rglob("*.py")}
        assert beside, f"there is nothing in {home}/"
        assert {Path("harness/_bundled") / path for path in beside} <= inside
    assert not any("__pycache__" in path.parts or path.parts[1] == "tests" for path in inside)
    assert _list_designs_of(wheel, tmp_path / "elsewhere")


def _list_designs_of(wheel: Path, elsewhere: Path) -> dict[str, object]:
    """The designs that the command lists where nothing but the wheel and its dependencies is installed."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(elsewhere), str(wheel)]
    subprocess.run(pip, check=True)
    command = [sys.executable, "-P", "-m", "harness.cli", "list", "designs", "--json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(elsewhere)}
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    designs: dict[str, object] = json.loads(done.stdout)
    return designs
