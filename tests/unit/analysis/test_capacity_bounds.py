"""Capacity, trial by trial: which demand is tried next, when the search ends, and what a trial is worth."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.scaling.capacity import (
    CONFIRMATIONS,
    MAX_CONFIRMATIONS,
    MAX_TRIALS,
    Capacity,
    Objectives,
    Trial,
    search_capacity,
)
from harness.common.errors import UsageError

SLO = Objectives(p99_ms=100)
GOOD = Trial(100, 100, 100, 50, 0.0, False)


def test_the_objectives_are_those_of_the_documentation() -> None:
    assert Objectives() == Objectives(p99_ms=200.0, errors=0.001, achieved=0.95)
    assert (MAX_TRIALS, CONFIRMATIONS, MAX_CONFIRMATIONS) == (16, 3, 18)


@pytest.mark.parametrize(
    "wrong",
    [
        {"p99_ms": 0},
        {"p99_ms": -1},
        {"errors": -0.1},
        {"errors": 1},
        {"errors": 1.5},
        {"achieved": 0},
        {"achieved": -0.5},
        {"achieved": 1.1},
    ],
)
def test_an_objective_that_none_or_all_would_meet_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Objectives(**wrong)


@pytest.mark.parametrize(
    "right", [{"p99_ms": 0.1}, {"errors": 0}, {"errors": 0.99}, {"achieved": 1}, {"achieved": 0.01}]
)
def test_an_objective_at_its_bound_is_accepted(right: dict[str, float]) -> None:
    assert replace(Objectives(), **right) == Objectives(**right)


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({"p99_ms": 100}, True),
        ({"p99_ms": 100.1}, False),
        ({"errors": 0.001}, True),
        ({"errors": 0.0011}, False),
        ({"achieved": 95}, True),
        ({"achieved": 94.9}, False),
        ({"achieved": 101}, True),
        ({"offered": 105.2}, True),
        ({"offered": 105.3}, False),
        ({"demand": 1000}, True),  # what arrived counts, not what was planned
        ({"driver_saturated": True}, True),
    ],
)
def test_a_trial_holds_up_to_each_objective(change: dict[str, Any], held: bool) -> None:
    assert replace(GOOD, **change).held(SLO) is held


def _used(demand: float, **use: float) -> Trial:
    return replace(GOOD, demand=demand, use=use)


def test_the_edge_is_the_lowest_demand_that_failed_and_whose_use_is_known() -> None:
    trials = (_used(90, a=0.9), _used(120, b=0.9), replace(GOOD, demand=100), _used(110, c=0.9), _used(110, d=0.9))
    assert Capacity(90, 100, trials).edge == trials[3]
    assert Capacity(90, 110, trials).edge == trials[3], "that demand itself"
    assert Capacity(90, 115, trials).edge == trials[1]


def test_without_a_failure_the_edge_is_the_highest_demand_of_all() -> None:
    trials = (_used(90, a=0.9), _used(120, b=0.9), replace(GOOD, demand=130))
    assert Capacity(90, None, trials).edge == Capacity(90, 125, trials).edge == trials[1]
    assert Capacity(90, None, trials[2:]).edge is None


@pytest.mark.parametrize(("used", "name"), [(0.8, "slots"), (0.79, "unclear")])
def test_what_bound_it_is_the_busiest_if_that_was_busy(used: float, name: str) -> None:
    assert Capacity(90, 100, (_used(100, cpu=0.1, slots=used, driver=0.3),)).bound_by == name


def test_a_saturated_driver_bound_it_whatever_else_was_busy() -> None:
    saturated = replace(_used(100, slots=1.0), driver_saturated=True)
    assert Capacity(90, 100, (saturated,)).bound_by == "driver"
    assert Capacity(90, 100, ()).bound_by == "unclear"


@pytest.mark.parametrize(
    ("capacity", "usable"),
    [
        (Capacity(90, 100, (_used(100, slots=1.0),)), True),
        (Capacity(0.5, 1.0, (_used(1, slots=0.1),)), True),
        (Capacity(0, 100, (_used(100, slots=1.0),)), False),
        (Capacity(90, None, (_used(100, slots=1.0),)), False),
        (Capacity(90, 100, (_used(100, driver=1.0),)), False),
        (Capacity(90, 100, (_used(100, host=1.0),)), False),
    ],
)
def test_a_capacity_is_the_designs_own_if_its_edge_was_seen_and_nothing_outside_made_it(
    capacity: Capacity, usable: bool
) -> None:
    assert capacity.usable is usable


def _until(capacity: float, achieved: float = 0.9) -> Callable[[float], Awaitable[Trial]]:
    """A service that holds demands up to its capacity, and answers so much of what is beyond."""

    async def attempt(demand: float) -> Trial:
        fits = demand <= capacity
        return Trial(demand, demand, demand if fits else achieved * demand, 20.0 if fits else 900.0, 0.0, False)

    return attempt


async def _demands(guess: float, attempt: Callable[[float], Awaitable[Trial]], most: int = MAX_TRIALS) -> list[float]:
    return [trial.demand for trial in (await search_capacity(guess, attempt, SLO, most)).trials]


async def test_upwards_each_step_is_the_square_of_the_one_before() -> None:
    wanted = [100, 100 * 1.12, 100 * 1.12**3, 100 * 1.12**7, 100 * 1.12**15]
    assert await _demands(100, _until(math.inf), most=5) == pytest.approx(wanted)


async def test_downwards_too_and_a_demand_of_which_most_was_answered_is_tried_twice() -> None:
    once = [100, 100 / 1.12, 100 / 1.12**3, 100 / 1.12**7]
    assert await _demands(100, _until(0.0, achieved=0.79), most=4) == pytest.approx(once)
    twice = [demand for demand in once for _ in range(2)]
    assert await _demands(100, _until(0.0, achieved=0.8), most=8) == pytest.approx(twice)


async def test_between_both_ends_the_geometric_mean_is_tried_until_they_are_within_8_per_cent() -> None:
    tried = await _demands(100, _until(105, achieved=0.5))
    assert tried[:3] == pytest.approx([100, 112, math.sqrt(100 * 112)])
    failed = math.sqrt(100 * 112)
    assert tried[3:6] == pytest.approx([100] * 3), "5.8 % apart: the lower one is confirmed"
    assert tried[6:9] == pytest.approx([103] * 3) and len(tried) == 9
    result = await search_capacity(100, _until(105, achieved=0.5), SLO)
    assert (result.held, result.failed) == pytest.approx((100.0, failed))


async def test_a_search_ends_where_both_ends_are_exactly_close_enough() -> None:
    async def attempt(demand: float) -> Trial:
        return replace(
            GOOD, demand=demand, offered=demand, achieved=demand if demand <= 100 else 0.5 * demand, p99_ms=50
        )

    tried = await _demands(100, attempt)
    assert tried[:2] == pytest.approx([100, 112]) and tried[2] == pytest.approx(math.sqrt(11200))
    assert tried[3] == pytest.approx(100)


async def test_a_demand_that_fails_once_is_tried_again() -> None:
    seen: list[float] = []

    async def attempt(demand: float) -> Trial:
        seen.append(demand)
        hiccup = len(seen) == 1
        return await _until(0 if hiccup else 1000)(demand)

    await search_capacity(100, attempt, SLO, most=3)
    assert seen[:3] == pytest.approx([100, 100, 112])


async def test_the_last_trial_is_not_repeated() -> None:
    assert len(await _demands(100, _until(0.0), most=3)) == 3
    assert len(await _demands(100, _until(0.0), most=1)) == 1


async def test_what_was_never_confirmed_has_a_failure_but_no_capacity() -> None:
    none = await search_capacity(100, _until(0.0, achieved=0.5), SLO, most=4)
    assert (none.held, none.failed) == pytest.approx((0.0, 100 / 1.12**7))
    all_of_them = await search_capacity(100, _until(math.inf), SLO, most=3)
    assert all_of_them.held == pytest.approx(100 * 1.12**3) and all_of_them.failed is None


async def test_confirmation_goes_down_by_3_per_cent_until_three_trials_hold() -> None:
    seen: list[float] = []

    async def attempt(demand: float) -> Trial:
        seen.append(demand)
        searching = len(seen) <= 3
        return await _until(105 if searching else 95, achieved=0.5)(demand)

    result = await search_capacity(100, attempt, SLO)
    assert seen[3:] == pytest.approx([100, 100 / 1.03, *[100 / 1.03**2] * 3])
    assert result.failed == pytest.approx(100 / 1.03)
    assert result.held == pytest.approx(100 / 1.03**3)
    assert len(result.trials) == len(seen) == 8, "what has just failed is not tried again"


async def test_confirmation_needs_85_per_cent_of_the_p99() -> None:
    async def attempt(demand: float) -> Trial:
        p99 = 85.0 if demand <= 100 else 85.1
        return replace(
            GOOD, demand=demand, offered=demand, achieved=demand if demand <= 105 else 0.5 * demand, p99_ms=p99
        )

    result = await search_capacity(100, attempt, SLO)
    assert (result.held, result.failed) == pytest.approx((100 / 1.03, 103))


async def test_confirmation_ends_after_18_trials_more() -> None:
    seen: list[float] = []

    async def attempt(demand: float) -> Trial:
        seen.append(demand)
        return await _until(105 if len(seen) <= 3 else 0, achieved=0.5)(demand)

    result = await search_capacity(100, attempt, SLO)
    assert len(seen) == 3 + 18 and result.held == 0


async def test_what_is_reported_lies_a_step_below_the_mean_of_what_was_answered() -> None:
    shares = iter([0.96, 0.97, 0.98])

    async def attempt(demand: float) -> Trial:
        fits = demand <= 100
        share = next(shares, 1.0) if demand == 100 and len(seen) >= 3 else 1.0
        seen.append(demand)
        return replace(GOOD, demand=demand, offered=demand, achieved=share * demand if fits else 0.5 * demand)

    seen: list[float] = []
    assert (await search_capacity(100, attempt, SLO)).held == pytest.approx(97 / 1.03)


async def test_a_service_of_less_than_one_request_per_second_has_a_capacity_too() -> None:
    result = await search_capacity(0.5, _until(0.3, achieved=0.5), SLO)
    assert 0.9 * 0.3 <= result.held <= 0.3
