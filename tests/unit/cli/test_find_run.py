"""A run is named by its path, by its id alone, or as the newest."""

from pathlib import Path

import pytest

from harness.cli.flags import find_run
from harness.common.errors import UsageError

OLD, NEW = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scenarios with a run each, of which ``latest`` points to the last."""
    for scenario, run in (("node_kill", NEW), ("deploy", OLD)):
        (tmp_path / "results" / scenario / run).mkdir(parents=True)
        (tmp_path / "results" / scenario / "latest").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def test_an_id_alone_names_its_run() -> None:
    assert find_run(Path(OLD)) == Path("results/deploy") / OLD


def test_latest_is_the_newest_run_of_all_scenarios() -> None:
    assert find_run(Path("latest")) == Path("results/node_kill/latest")


def test_a_path_stays_as_it_is() -> None:
    assert find_run(Path("results/deploy/latest")) == Path("results/deploy/latest")
    assert find_run(Path("results/no/such")) == Path("results/no/such")


def test_an_id_of_nothing_stays_for_the_error_that_names_it() -> None:
    assert find_run(Path("20250101T000000Z-cccccc")) == Path("20250101T000000Z-cccccc")


def test_an_id_of_several_runs_is_ambiguous(results: Path) -> None:
    (results / "copied" / OLD).mkdir(parents=True)
    with pytest.raises(UsageError, match="several runs"):
        find_run(Path(OLD))
