"""However a run is ended, nothing of it is left: a small sample of ``python -m benchmarks.kills``."""

import time
from pathlib import Path

import pytest

from benchmarks.kills import SIGNALS, DisturbedRun, KillPlan, disturb, make_schedule

SEED = 14


def test_a_schedule_is_that_of_its_seed_and_covers_victims_and_signals() -> None:
    plans = list(make_schedule(200, SEED))
    assert plans == list(make_schedule(200, SEED)) != list(make_schedule(200, SEED + 1))
    assert {plan.victim for plan in plans} == {"harness", "supervisor", "load", "balancer", "store", "replica"}
    assert {number for plan in plans for number in plan.signals} == set(SIGNALS)
    assert any(len(plan.signals) == 2 for plan in plans)
    assert min(plan.moment for plan in plans) < 0.05 and max(plan.moment for plan in plans) > 0.95


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("plan", list(make_schedule(4, SEED)), ids=str)
def test_a_kill_leaves_nothing(plan: KillPlan, tmp_path: Path) -> None:
    _, problems = disturb(plan, 12.0, tmp_path)
    assert problems == []


@pytest.mark.slow
def test_what_is_left_would_be_found(tmp_path: Path) -> None:
    """The search for what is left finds the parts of a run that goes on."""
    run = DisturbedRun(tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not (left := [line for line in run.find_left() if "still runs" in line]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left
    finally:
        run.process.kill()
        run.process.wait()
