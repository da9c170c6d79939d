"""Random faults make a valid timeline, the same for the same seed."""

import pytest

from harness.common.errors import UsageError
from harness.faults.random_faults import random_faults
from harness.scenario.design import Design
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Sessions


def _draw(seed: int, end: str = "60s"):  # type: ignore[no-untyped-def]  # a tuple of At
    return random_faults(seed, begin="2s", end=end, replicas=3, every="3s", lasting="1s")


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert _draw(1) == _draw(1)
    assert _draw(1) != _draw(2)


@pytest.mark.parametrize("seed", range(20))
def test_a_scenario_accepts_the_timeline_and_has_one_fault_at_a_time(seed: int) -> None:
    faults = _draw(seed)
    Scenario([Design("a")], Sessions(concurrent=1, duration="60s", warmup="1s"), faults=faults)
    times = [at.seconds for at in faults]
    assert times == sorted(times) and times[0] == 2 and times[-1] < 60
    lengths = [end - begin for begin, end in zip(times[::2], times[1::2], strict=True)]
    assert all(0.499 <= length <= 1.001 for length in lengths)  # times are rounded to milliseconds


def test_they_come_at_the_requested_rate_and_of_every_kind() -> None:
    faults = _draw(1, end="600s")
    assert len(faults) / 2 == pytest.approx(200, rel=0.15)
    assert {at.fault.kind for at in faults} == {"kill", "restart", "pause", "resume", "terminate", "start"}
    assert {at.fault.target for at in faults} == {"r0", "r1", "r2"}


@pytest.mark.parametrize("wrong", [{"lasting": "3s"}, {"end": "2500ms"}, {"replicas": 0}])
def test_a_window_without_room_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="random_faults needs"):
        random_faults(1, **{"begin": "2s", "end": "60s", "replicas": 3, "every": "3s", "lasting": "1s", **wrong})  # type: ignore[arg-type]  # one of them is wrong
