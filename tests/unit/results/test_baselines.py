"""A baseline moves by one command, with a reason, and is seen to have moved by any other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.compare import ComparedRun, ComparisonOutcome, read_and_compare
from harness.common.errors import UsageError
from harness.results import baselines
from harness.results.run import Run
from tests.support.compare import Session, changed, kept

SIDE = Session(seed=1).side()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.open(kept(SIDE, tmp_path / "results"))


def test_what_is_accepted_is_read_again_as_it_was(run: Run, tmp_path: Path) -> None:
    path = baselines.accept(run, "the first one", tmp_path / "baselines")
    assert path == tmp_path / "baselines" / "made_up"
    assert sorted(file.name for file in path.iterdir()) == [
        "baseline.json",
        "run.json",
        "summary.json",
        "verdicts.json",
    ]
    side = ComparedRun.read(path)
    assert (side.summary, side.verdicts) == (SIDE.summary, SIDE.verdicts)
    record = json.loads((path / "baseline.json").read_text())
    assert (record["reason"], record["run"]) == ("the first one", SIDE.plan.run)
    assert record["who"] and record["when"].endswith("+00:00")


def test_a_baseline_names_no_directory_of_the_machine_that_it_was_made_on(run: Run, tmp_path: Path) -> None:
    text = (baselines.accept(run, "why", tmp_path / "baselines") / "run.json").read_text()
    assert "/somewhere" not in text and '"out"' not in text


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_no_reason_is_a_usage_error_and_leaves_what_was_there(run: Run, tmp_path: Path, reason: str) -> None:
    baselines.accept(run, "why", tmp_path / "baselines")
    with pytest.raises(UsageError, match="reason"):
        baselines.accept(run, reason, tmp_path / "baselines")
    assert baselines.find_altered_file(tmp_path / "baselines" / "made_up") == ""
    assert [path.name for path in (tmp_path / "baselines").iterdir()] == ["made_up"]


@pytest.mark.parametrize("verdict", ["fail", "unknown"])
def test_a_run_that_did_not_pass_is_accepted_only_by_force(tmp_path: Path, verdict: str) -> None:
    failed = Run.open(kept(replace(SIDE, summary=replace(SIDE.summary, verdict=verdict)), tmp_path / "results"))
    with pytest.raises(UsageError, match=verdict):
        baselines.accept(failed, "why", tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()
    assert baselines.accept(failed, "why", tmp_path / "baselines", force=True).is_dir()


def test_a_run_of_a_scenario_that_is_a_path_replaces_nothing_outside(run: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    text = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**text, "scenario": "../victim"}))
    with pytest.raises(UsageError, match="is no name"):
        baselines.accept(Run.open(run.path), "why", tmp_path / "baselines")
    assert list(victim.iterdir()) == [] and not (tmp_path / "baselines").exists()


def test_two_forms_of_a_scenario_each_have_a_baseline(run: Run, tmp_path: Path) -> None:
    short = baselines.accept(run, "why", tmp_path / "baselines")
    later = Run.open(kept(Session(seed=2).side(), tmp_path / "results"))
    long = baselines.accept(later, "why", tmp_path / "baselines", name="long")
    assert long == tmp_path / "baselines" / "long" != short
    assert [ComparedRun.read(path).plan.run for path in (short, long)] == [run.plan.run, later.plan.run]


@pytest.mark.parametrize("name", ["", "../victim", "a/b", ".hidden"])
def test_the_name_of_a_baseline_is_no_path(run: Run, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="the baseline is no name"):
        baselines.accept(run, "why", tmp_path / "baselines", name=name)
    assert not (tmp_path / "baselines").exists()


def test_a_later_run_replaces_it_whole(run: Run, tmp_path: Path) -> None:
    path = baselines.accept(run, "why", tmp_path / "baselines")
    (path / "left").touch()
    later = Run.open(kept(Session(seed=2).side(), tmp_path / "results"))
    assert baselines.accept(later, "better", tmp_path / "baselines") == path
    assert not (path / "left").exists()
    assert ComparedRun.read(path).plan.run == later.plan.run


@pytest.mark.parametrize("name", ["run.json", "summary.json", "verdicts.json"])
def test_a_file_changed_by_hand_makes_it_not_comparable(run: Run, tmp_path: Path, name: str) -> None:
    path = baselines.accept(run, "why", tmp_path / "baselines")
    assert read_and_compare(run.path, path).outcome is ComparisonOutcome.EQUIVALENT
    (path / name).write_text((path / name).read_text() + " ")
    comparison = read_and_compare(run.path, path)
    assert comparison.outcome is ComparisonOutcome.NOT_COMPARABLE
    assert f"{name} is not what was accepted" in comparison.why[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}'])
def test_a_torn_record_of_the_acceptance_is_no_acceptance(run: Run, tmp_path: Path, text: str) -> None:
    path = baselines.accept(run, "why", tmp_path / "baselines")
    (path / "baseline.json").write_text(text)
    assert baselines.find_altered_file(path) != ""


def test_a_missing_baseline_is_not_comparable_and_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    comparison = read_and_compare(run.path, tmp_path / "none")
    assert comparison.outcome is ComparisonOutcome.NOT_COMPARABLE
    assert "harness baseline accept" in comparison.why[0]


def test_a_baseline_of_another_schema_is_not_comparable(run: Run, tmp_path: Path) -> None:
    other = kept(Session(seed=2).side(), tmp_path / "results")
    plan = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**plan, "schema": 99}))
    comparison = read_and_compare(run.path, other)
    assert comparison.outcome is ComparisonOutcome.NOT_COMPARABLE
    assert "schema 99" in comparison.why[0]


def test_another_run_serves_as_a_baseline(run: Run, tmp_path: Path) -> None:
    lossy = kept(changed(Session(seed=2).side(), "subject", 0, {"lost": 1}), tmp_path / "results")
    assert read_and_compare(lossy, run.path).outcome is ComparisonOutcome.REGRESSION
