import asyncio

from targets.common.periodic import PeriodicTask


async def test_the_action_is_repeated_until_the_task_is_ended() -> None:
    done, thrice = list[int](), asyncio.Event()

    async def action() -> None:
        done.append(1)
        if len(done) == 3:
            thrice.set()

    task = PeriodicTask(0.001, action)
    await asyncio.wait_for(thrice.wait(), 20)
    await task.end()
    count = len(done)
    await asyncio.sleep(0.02)
    assert len(done) == count


async def test_ending_waits_for_a_run_that_is_under_way() -> None:
    begun, let_go, ended = asyncio.Event(), asyncio.Event(), list[str]()

    async def action() -> None:
        begun.set()
        await let_go.wait()
        ended.append("done")

    task = PeriodicTask(0.001, action)
    await asyncio.wait_for(begun.wait(), 20)
    ending = asyncio.create_task(task.end())
    await asyncio.sleep(0)
    assert not ending.done()
    let_go.set()
    await asyncio.wait_for(ending, 20)
    assert ended == ["done"]


async def test_a_task_that_is_ended_at_once_never_runs() -> None:
    async def action() -> None:
        raise AssertionError

    await PeriodicTask(3600, action).end()
