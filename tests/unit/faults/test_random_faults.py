"""Faults by chance are a timeline that checks, the same for the same seed."""

import pytest

from harness.common.errors import UsageError
from harness.faults.random_faults import random_faults
from harness.scenario.design import Design
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Sessions


def _drawn(seed: int, end: str = "60s"):  # type: ignore[no-untyped-def]  # a tuple of At
    return random_faults(seed, begin="2s", end=end, replicas=3, every="3s", lasting="1s")


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert _drawn(1) == _drawn(1)
    assert _drawn(1) != _drawn(2)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_a_timeline_that_a_scenario_takes_one_fault_at_a_time(seed: int) -> None:
    drawn = _drawn(seed)
    Scenario([Design("a")], Sessions(concurrent=1, duration="60s", warmup="1s"), faults=drawn)
    times = [at.seconds for at in drawn]
    assert times == sorted(times) and times[0] == 2 and times[-1] < 60
    lengths = [end - begin for begin, end in zip(times[::2], times[1::2], strict=True)]
    assert all(0.499 <= length <= 1.001 for length in lengths)  # times are told in milliseconds


def test_they_come_about_so_often_as_was_asked_for_and_of_every_kind() -> None:
    drawn = _drawn(1, end="600s")
    assert len(drawn) / 2 == pytest.approx(200, rel=0.15)
    assert {at.fault.kind for at in drawn} == {"kill", "restart", "pause", "resume", "terminate", "start"}
    assert {at.fault.target for at in drawn} == {"r0", "r1", "r2"}


@pytest.mark.parametrize("wrong", [{"lasting": "3s"}, {"end": "2500ms"}, {"replicas": 0}])
def test_where_there_is_no_room_it_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="random_faults needs"):
        random_faults(1, **{"begin": "2s", "end": "60s", "replicas": 3, "every": "3s", "lasting": "1s", **wrong})  # type: ignore[arg-type]  # one of them is wrong
