"""The short form of a scenario."""

from pathlib import Path

import pytest

from harness import At, Design, Kill, Ramp, Restart, Scenario, Sessions, Steps
from harness.common.bundled import scenarios_home
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.scenario.loading import load
from harness.scenario.quick import quick_form

LONG = Scenario(
    [Design("a")],
    Sessions(concurrent=100, duration="20s", warmup="2s"),
    faults=[At("8s", Kill(1)), At("12s", Restart(1))],
)


def test_the_short_form_lasts_five_seconds_and_its_times_shrink_in_proportion() -> None:
    short = quick_form(LONG)
    assert [parse_seconds(time) for time in (short.load.duration, short.load.warmup)] == [5.0, 0.5]
    assert [(at.seconds, at.fault) for at in short.faults] == [(2.0, Kill(1)), (3.0, Restart(1))]


def test_the_short_form_has_four_fifths_of_the_users() -> None:
    load = quick_form(LONG).load
    assert isinstance(load, Sessions) and load.concurrent == 80


def test_a_scenario_says_how_long_it_lasts() -> None:
    short = quick_form(Scenario(LONG.designs, LONG.load, faults=LONG.faults, quick="10s"))
    assert parse_seconds(short.load.duration) == 10.0
    with pytest.raises(UsageError, match="above 0"):
        Scenario(LONG.designs, LONG.load, quick="0s")


def test_a_scenario_may_define_its_own_short_form() -> None:
    assert quick_form(Scenario(LONG.designs, LONG.load, quick=LONG)) is LONG


def test_a_scenario_that_is_short_already_stays_as_it_is() -> None:
    short = Scenario([Design("a")], Sessions(concurrent=9, duration="4s"))
    assert quick_form(short) is short


def test_a_rate_keeps_its_height_and_shrinks_in_time() -> None:
    steps = Scenario([Design("a")], Sessions(rate=Steps([(10, "5s"), (40, "10s")]), duration="20s"))
    assert quick_form(steps).load.rate == Steps([(10, "1.250s"), (40, "2.500s")])
    ramp = Scenario([Design("a")], Sessions(rate=Ramp(1, 9, over="20s"), duration="20s"))
    assert quick_form(ramp).load.rate == Ramp(1, 9, over="5.000s")
    flat = Scenario([Design("a")], Sessions(rate=7.0, duration="20s"))
    assert quick_form(flat).load.rate == 7.0


@pytest.mark.parametrize("path", sorted(scenarios_home().glob("*.py")), ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_the_harness_has_a_short_form_of_the_same_kind(path: Path) -> None:
    scenario = load(path).scenario
    short = quick_form(scenario)
    assert parse_seconds(short.load.duration) <= parse_seconds(scenario.load.duration)
    assert {at.fault.kind for at in short.faults} <= {at.fault.kind for at in scenario.faults}
    assert bool(short.faults) == bool(scenario.faults) and short.load.kind == scenario.load.kind
