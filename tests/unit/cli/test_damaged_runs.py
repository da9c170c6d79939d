"""A damaged run is a usage error that names its file, or it is read; it is never a defect of the harness."""

import random
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.run import Run
from tests.support import damage
from tests.support.recorded_run import keep, plan

SEED = 20261129
whole = pytest.mark.xdist_group("damaged")  # these tests share the fixture


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    return damage.whole_run(home / "whole")


def assert_no_defect(root: Path, commands: list[list[str | Path]], count: int, copy: Path) -> None:
    """Damage a run in ``count`` of all ways, one at a time, and run the commands; ``COPY`` stands for the copy."""
    ways = list(damage.damages(root))
    for way in random.Random(SEED).sample(ways, min(count, len(ways))):
        for command in commands:
            damaged = damage.damaged(root, way, copy)
            code = main([str(damaged) if word == "COPY" else str(word) for word in command])
            assert code in (0, 1, 2, 3), f"{command} answers {code}: {way}"


@whole
@pytest.mark.slow
@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.long)])
def test_a_damaged_run(run: Run, tmp_path: Path, count: int) -> None:
    base = damage.baseline(run, tmp_path / "baselines")
    commands: list[list[str | Path]] = [
        ["report", "COPY"],
        ["explain", "COPY"],
        ["explain", "COPY", "one/1"],
        ["compare", "COPY", base],
        ["compare", run.path, "COPY"],
        ["baseline", "accept", "COPY", "--reason", "x", "--force", "--baselines", tmp_path / "others"],
    ]
    assert_no_defect(run.path, commands, count, tmp_path / "copy")
    assert_no_defect(base, [["compare", run.path, "COPY"], ["compare", "COPY", run.path]], count, tmp_path / "copy")


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.long])])
def test_a_damaged_run_of_scale(home: Path, tmp_path: Path, count: int) -> None:
    run = damage.scaling_run(home / f"scaling-{count}")
    assert_no_defect(run.path, [["report", "COPY"]], count, tmp_path / "copy")


@whole
@pytest.mark.slow
def test_every_file_is_damaged_and_every_key(run: Run) -> None:
    ways = list(damage.damages(run.path))
    files = [path for path in run.path.rglob("*") if path.is_file() and "charts" not in path.parts]
    assert {way.file for way in ways} == {str(path.relative_to(run.path)) for path in files}
    assert len(ways) > 5000
    assert any("designs/one/arms/fault/sessions/lost is" in str(way) for way in ways)


@pytest.mark.parametrize("name", ["foo", "one", "one/", "/1", "one/fault/x/1", "one/\u00b2", "one/" + "9" * 5000])
def test_a_session_that_is_no_session_is_a_usage_error(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.create(tmp_path, plan())
    keep(run)
    assert main(["explain", str(run.path), name]) == 2
    assert "no session" in capsys.readouterr().err
