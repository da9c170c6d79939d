import asyncio

import pytest

from harness.common.background import background


async def test_the_work_runs_beside_the_scope_and_ends_with_it() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work()):
        await started.wait()
        assert not ended.is_set()
    assert ended.is_set()


async def test_what_the_work_raised_is_raised_at_the_end_of_the_scope() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        async with background(work()):
            await asyncio.sleep(0.01)
