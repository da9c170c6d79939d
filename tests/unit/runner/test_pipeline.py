"""Analysing an old run again, where its scenario no longer imports."""

from pathlib import Path

import pytest

from harness.results.plan import RunPlan
from harness.results.run import Run, new_run_id
from harness.results.verdicts import Result, Verdict
from harness.runner.pipeline import reanalyse

GONE = "from harness import NoSuchName\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of which nothing but the plan is left."""
    plan = RunPlan(
        run=new_run_id(),
        scenario="mine",
        path="mine.py",
        sha256="0",
        source=GONE,
        seed=1,
        flags={},
        load={"kind": "closed", "warmup_s": 0.0, "duration_s": 5.0},
        arms=[],
        designs={"sticky": {"at_risk": "none"}},
        environment={},
        versions={},
        started="now",
    )
    return Run.create(tmp_path, plan)


def verdicts_of(run: Run) -> set[tuple[str, str]]:
    outcome = reanalyse(run.path, None)
    return {(verdict.check, verdict.result.value) for verdict in outcome.analysis.verdicts}


def test_the_recorded_verdicts_stand_and_those_on_the_measurement_are_made_again(run: Run) -> None:
    run.keep_summary(
        reanalyse(run.path, None).analysis.summary,
        [Verdict("keeps", Result.FAIL, "lost 3", "sticky"), Verdict("driver_kept_up", Result.UNKNOWN, "late")],
    )
    found = verdicts_of(run)
    assert ("keeps", "fail") in found
    assert ("driver_kept_up", "unknown") not in found
    assert verdicts_of(run) == found, "and they stand as often as the run is read"


def test_without_recorded_verdicts_the_run_is_unknown(run: Run) -> None:
    assert ("expectations", "unknown") in verdicts_of(run)
