import asyncio

import pytest

from harness.common.background import background


async def test_the_work_runs_beside_the_scope_and_ends_with_it() -> None:
    ticks: list[int] = []

    async def work() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    async with background(work()):
        while len(ticks) < 3:
            await asyncio.sleep(0)
    seen = len(ticks)
    await asyncio.sleep(0)
    assert len(ticks) == seen


async def test_what_the_work_raised_is_raised_at_the_end_of_the_scope() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        async with background(work()):
            await asyncio.sleep(0.01)
