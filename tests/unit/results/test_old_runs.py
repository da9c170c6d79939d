"""``harness clean --runs`` removes old runs of this harness below ``--out``, and nothing else."""

import os
from pathlib import Path

import pytest

from harness.cli import main
from harness.cluster import leftovers
from harness.results.old_runs import old_runs, remove_runs
from harness.results.run import Run
from tests.support.recorded_run import plan

OLD, OLDER, NEW = "20260102T000000Z-b", "20260101T000000Z-a", "20260103T000000Z-c"


def make(results: Path, name: str, scenario: str = "mine") -> Run:
    return Run.create(results, plan(run=name, scenario=scenario))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in (OLD, OLDER, NEW):
        make(tmp_path / "results", name)
    return tmp_path / "results"


def names(results: Path) -> list[str]:
    return [run.path.name for run in old_runs(results)]


def test_all_but_the_newest_of_each_scenario(results: Path) -> None:
    make(results, OLDER, "another")
    make(results, OLDER, "baselines")
    make(results, NEW, "baselines")
    assert names(results) == [OLDER, OLD]
    remove_runs(old_runs(results))
    assert [path.name for path in (results / "mine").iterdir()] == [NEW]
    assert (results / "another" / OLDER).is_dir()


def test_the_run_that_latest_points_to_stays_though_a_newer_one_was_broken_off(results: Path) -> None:
    Run.open(results / "mine" / OLD).point_latest()
    assert names(results) == [OLDER]


def test_a_run_that_is_being_written_stays(results: Path) -> None:
    with Run.open(results / "mine" / OLDER).writing():
        assert names(results) == [OLD]
    assert names(results) == [OLDER, OLD]


def test_a_directory_reached_through_a_link_stays(results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in (OLD, NEW):
        make(other, name)
    (results / "linked").symlink_to(other / "mine")
    (results / "mine" / "20260101T000000Z-link").symlink_to(other / "mine" / OLD)
    assert names(results) == [OLDER, OLD]


@pytest.mark.parametrize("text", ["", "{}", '{"name": "a project of another tool"}', '{"schema": 1}'])
def test_a_directory_of_another_project_stays(results: Path, text: str) -> None:
    for name in ("1", "2", "3"):
        (results / "project" / name).mkdir(parents=True)
        (results / "project" / name / "run.json").write_text(text)
    assert names(results) == [OLDER, OLD]


def test_a_run_that_was_moved_or_renamed_stays(results: Path) -> None:
    os.rename(results / "mine" / OLDER, results / "mine" / "20260101T000000Z-moved")  # noqa: PTH104 - as a user does
    assert names(results) == [OLD]


def test_without_consent_the_runs_are_listed_and_stay(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "clean", lambda context: leftovers.Cleaning(()))  # other tests leave some on purpose
    assert main(["clean", "--runs", "--out", str(results)]) == 0
    printed = capsys.readouterr()
    assert f"old run {results / 'mine' / OLD}" in printed.err and "--yes removes them" in printed.err
    assert (results / "mine" / OLD).is_dir()
    assert main(["clean", "--runs", "--yes", "--out", str(results)]) == 0
    assert f"removed run {results / 'mine' / OLD}" in capsys.readouterr().out
    assert [path.name for path in (results / "mine").iterdir()] == [NEW]
