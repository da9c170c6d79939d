import random
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from harness.analysis.scaling.capacity import (
    MAX_CONFIRMATIONS,
    MAX_TRIALS,
    Capacity,
    Objectives,
    Trial,
    search_capacity,
)
from harness.common.errors import UsageError

SLO = Objectives(p99_ms=100)


def _service(capacity: float, noise: float = 0.0, seed: int = 1) -> Callable[[float], Awaitable[Trial]]:
    """A service with that capacity; ``noise`` is the chance that a demand it could hold fails."""
    chance = random.Random(seed)

    async def attempt(demand: float) -> Trial:
        hiccup = chance.random() < noise
        fits = demand <= capacity and not hiccup
        use = {"slots": min(1.0, demand / capacity), "driver": 0.2}
        return Trial(demand, demand, demand if fits else demand * 0.9, 20.0 if fits else 900.0, 0.0, False, use)

    return attempt


@pytest.mark.parametrize("capacity", [3.0, 80.0, 100.0, 170.0, 900.0])
@pytest.mark.parametrize("guess", [50.0, 100.0, 200.0])
async def test_the_capacity_is_found_from_any_guess(capacity: float, guess: float) -> None:
    result = await search_capacity(guess, _service(capacity), SLO, most=40)
    assert 0.94 * capacity <= result.held <= capacity
    assert result.failed is not None and result.failed > capacity


async def test_one_hiccup_is_not_taken_for_the_edge() -> None:
    results = [await search_capacity(90, _service(100, noise=0.15, seed=seed), SLO, most=40) for seed in range(40)]
    assert sum(result.held >= 85 for result in results) >= 36


def _queue(servers: int, service_s: float, seed: int) -> Callable[[float], Awaitable[Trial]]:
    """Trials of a queue of equal servers: Poisson arrivals for about 400 requests, half a second of them warm-up."""
    chance = np.random.default_rng(seed)

    async def attempt(demand: float) -> Trial:
        length, warmup = min(20.0, max(4.0, 400 / demand)), 0.5
        arrivals = np.sort(chance.uniform(0, length, chance.poisson(demand * length)))
        ends = np.empty_like(arrivals)
        for first in range(servers):  # with equal service times, each server takes every n-th arrival
            own, turn = arrivals[first::servers], np.arange(len(arrivals[first::servers]))
            ends[first::servers] = np.maximum.accumulate(own - service_s * turn) + service_s * (turn + 1)
        measured = arrivals >= warmup
        offered = measured.sum() / (length - warmup)
        achieved = ((ends >= warmup) & (ends < length)).sum() / (length - warmup)
        p99 = float(np.percentile((ends - arrivals)[measured], 99)) * 1e3
        return Trial(demand, offered, achieved, p99, 0.0, False)

    return attempt


#: Servers, their service time, and the highest load whose p99 is at most 200 ms in 40,000 s of the same queue.
QUEUES = [(2, 0.02, 88.0), (4, 0.02, 187.7), (8, 0.02, 387.8), (16, 0.02, 787.3), (1, 0.01, 88.2), (1, 0.002, 489.4)]


@pytest.mark.parametrize(("servers", "service_s", "sustainable"), QUEUES)
@pytest.mark.parametrize("guess", [0.5, 0.9, 1.5])
async def test_the_mean_capacity_is_within_5_per_cent_below_what_a_queue_sustains(
    servers: int, service_s: float, sustainable: float, guess: float
) -> None:
    nominal = servers / service_s
    found = [
        (await search_capacity(guess * nominal, _queue(servers, service_s, seed), Objectives())).held
        for seed in range(20)
    ]
    assert max(found) <= nominal
    assert 0.95 * sustainable <= sum(found) / len(found) <= sustainable


async def test_what_holds_by_chance_alone_is_not_confirmed() -> None:
    attempts: list[float] = []

    async def attempt(demand: float) -> Trial:
        attempts.append(demand)
        fits = demand <= 100 or attempts.count(demand) == 1  # above 100, the first trial holds and no other
        return Trial(demand, demand, demand, 20.0 if demand < 115 and fits else 900.0, 0.0, False)

    result = await search_capacity(95, attempt, SLO)
    assert 0.9 * 100 <= result.held <= 100 and result.usable
    assert result.failed is not None and 100 < result.failed <= 103


async def test_a_confirmed_demand_needs_room_below_the_objective() -> None:
    async def attempt(demand: float) -> Trial:  # p99 is 100 ms at 100 per second, 85 ms at 85
        return Trial(demand, demand, demand, demand, 0.0, False)

    result = await search_capacity(90, attempt, SLO)
    assert 85 / 1.03**2 <= result.held <= 85 / 1.03


async def test_no_more_is_reported_than_was_answered() -> None:
    async def attempt(demand: float) -> Trial:
        return Trial(demand, demand, 0.96 * demand, 20.0 if demand <= 100 else 900.0, 0.0, False)

    result = await search_capacity(90, attempt, SLO)
    assert 0.93 * 96 <= result.held <= 96 / 1.03


async def test_what_is_never_confirmed_is_unknown() -> None:
    chance = random.Random(1)

    async def attempt(demand: float) -> Trial:
        return Trial(demand, demand, demand, 20.0 if chance.random() < 0.4 else 900.0, 0.0, False)

    result = await search_capacity(100, attempt, SLO)
    assert result.held == 0 and not result.usable and len(result.trials) <= MAX_TRIALS + MAX_CONFIRMATIONS


async def test_a_service_that_never_holds_a_demand_has_no_capacity() -> None:
    result = await search_capacity(100, _service(0.0001), SLO, most=9)
    assert result.held == 0 and len(result.trials) == 9 and not result.usable


async def test_a_service_that_always_holds_shows_no_capacity() -> None:
    result = await search_capacity(100, _service(1e12), SLO, most=6)
    assert result.failed is None and not result.usable


async def test_the_edge_shows_what_bound_it() -> None:
    result = await search_capacity(90, _service(100), SLO)
    assert result.bound_by == "slots" and result.usable


def test_an_edge_that_the_driver_made_is_not_the_designs() -> None:
    trials = (Trial(100, 100, 100, 20, 0, False, {"driver": 0.5}), Trial(110, 110, 80, 900, 0, True, {"driver": 0.97}))
    result = Capacity(100, 110, trials)
    assert result.bound_by == "driver" and not result.usable


def test_each_objective_is_needed() -> None:
    good = Trial(100, 100, 100, 50, 0.0, False)
    assert good.held(SLO)
    assert not Trial(100, 100, 100, 150, 0.0, False).held(SLO)
    assert not Trial(100, 100, 100, 50, 0.01, False).held(SLO)
    assert not Trial(100, 100, 90, 50, 0.0, False).held(SLO)
    assert not Trial(100, 100, 100, None, 0.0, False).held(SLO)


def test_objectives_check_themselves() -> None:
    with pytest.raises(UsageError):
        Objectives(p99_ms=0)
