import random
from collections.abc import Awaitable, Callable

import pytest

from harness.analysis.scaling.capacity import Capacity, Objectives, Trial, search_capacity
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
