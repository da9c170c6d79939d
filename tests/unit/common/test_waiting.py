import pytest

from harness.common.waiting import wait_until


async def test_the_first_true_value_is_returned() -> None:
    values = iter([0, 0, 7, 8])
    assert await wait_until(lambda: next(values), timeout_s=5, interval_s=0) == 7


async def test_a_probe_may_be_a_coroutine() -> None:
    async def probe() -> str:
        return "up"

    assert await wait_until(probe, timeout_s=5, interval_s=0) == "up"


async def test_after_the_time_the_last_value_is_returned() -> None:
    values = iter([0, 1])
    assert await wait_until(lambda: next(values), timeout_s=0, interval_s=0) == 0


async def test_what_the_probe_raises_ends_the_waiting() -> None:
    def probe() -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        await wait_until(probe, timeout_s=5, interval_s=0)
