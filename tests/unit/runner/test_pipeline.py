"""Analysing a run again: by the expectations that it keeps, or by the verdicts of one that keeps none."""

import io
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import pytest

from harness.analysis.run_analysis import first_look
from harness.results.run import Run
from harness.results.verdicts import Result, Verdict
from harness.runner import pipeline
from harness.runner.progress import PlainProgress
from harness.runner.reporting import reanalyse
from harness.scenario import loading
from harness.scenario.expectations import encode, errors_below, keeps, p99_below
from harness.scenario.overrides import Overrides
from tests.support.recorded_run import keep, plan

pytestmark = pytest.mark.slow  # every test draws real charts


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of an older version, which keeps no expectations."""
    run = Run.create(tmp_path, plan())
    keep(run)
    return run


def verdicts_of(run: Run) -> set[tuple[str, str]]:
    verdicts = reanalyse(run.path, None).analysis.verdicts
    return {(verdict.check, verdict.result.value) for verdict in verdicts}


def test_the_recorded_verdicts_stand_and_those_on_the_measurement_are_made_again(run: Run) -> None:
    recorded = [
        Verdict("keeps", Result.FAIL, "lost 3", "one"),
        Verdict("clean_control", Result.PASS, "no anomaly", "one"),
        Verdict("part_died", Result.UNKNOWN, "r0 died", "one"),
    ]
    run.keep_summary(reanalyse(run.path, None).analysis.summary, recorded)
    found = verdicts_of(run)
    assert {("keeps", "fail"), ("clean_control", "pass")} <= found
    assert ("part_died", "unknown") not in found
    assert verdicts_of(run) == found, "and they stand as often as the run is read"


def test_without_recorded_verdicts_the_run_is_unknown(run: Run) -> None:
    assert ("expectations", "unknown") in verdicts_of(run)


def test_a_run_is_judged_again_by_the_expectations_that_it_keeps(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan(expect=encode([errors_below(0.5, "one"), p99_below("0.000001ms", "one")])))
    keep(run)
    run.keep_summary(reanalyse(run.path, None).analysis.summary, [Verdict("keeps", Result.FAIL, "lost 3", "one")])
    checks = {check for check, _ in verdicts_of(run)}
    assert {"errors < 50 %", "p99 < 1e-06ms"} <= checks
    assert "keeps" not in checks, "it was recorded, and is not expected"


def test_a_design_of_which_nothing_is_expected_is_unknown(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan(expect=[]))
    keep(run)
    analysis = reanalyse(run.path, None).analysis
    (verdict,) = [
        verdict for verdict in analysis.verdicts if verdict.design == "one" and verdict.check == "expectations"
    ]
    assert (verdict.result, verdict.why) == (Result.UNKNOWN, "nothing is expected of it")
    assert analysis.summary.designs["one"].verdict == "unknown"


def test_a_run_that_is_interrupted_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(work: Coroutine[Any, Any, None]) -> NoReturn:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run_until_interrupted", interrupt)
    stream = io.StringIO()
    loaded = loading.load(Path(__file__).parents[3] / "scenarios" / "node_kill.py")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_scenario(loaded, Overrides(quick=True), tmp_path, {}, PlainProgress(stream))
    (run,) = (tmp_path / "node_kill").iterdir()
    assert f"interrupted before anything was measured: {run} holds the plan only" in stream.getvalue()


def test_the_first_design_is_looked_at_before_the_others_are_measured(tmp_path: Path) -> None:
    run = Run.create(
        tmp_path,
        plan(arms=[("one", "control", 1), ("two", "control", 1)], designs={"one": {"at_risk": "none"}, "two": {}}),
    )
    keep(run)
    first = first_look(run, "one", [keeps("one"), keeps("two")])
    title, heads, *designs = pipeline.describe_first(first)
    assert title.startswith("first result") and heads.split()[:2] == ["design", "lost/judged"]
    assert [(line.split()[0], line.split()[-1]) for line in designs] == [("one", "unknown")]
