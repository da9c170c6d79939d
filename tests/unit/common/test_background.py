import asyncio

import pytest

from harness.common.background import background, finish


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


async def test_work_is_finished_however_often_its_caller_is_cancelled() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    caller = asyncio.create_task(finish(work()))
    await begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_finished_work_raised_is_raised(cancelled: bool) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.01)
        raise LookupError("gone")

    caller = asyncio.create_task(finish(work()))
    await begun.wait()
    if cancelled:
        caller.cancel()
    with pytest.raises(LookupError, match="gone"):
        await caller


async def test_the_result_of_finished_work_is_returned() -> None:
    async def work() -> int:
        return 7

    assert await finish(work()) == 7
