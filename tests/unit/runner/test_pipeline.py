"""Analysing an old run again, where its scenario no longer imports."""

from pathlib import Path

import pytest

from harness.results.run import Run
from harness.results.verdicts import Result, Verdict
from harness.runner.pipeline import reanalyse
from tests.support.recorded_run import keep, plan


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path, plan(source="from harness import NoSuchName\n"))
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
