"""One contract for every bus, over a real Redis server where it needs one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise

import pytest

from targets.http.errors import UnavailableError
from targets.sessions.bus import Bus, LocalBus, RedisBus, RoomMessage, later
from tests.support.valkey import DEADLINE, Valkey, valkey

__all__ = ["valkey"]


@pytest.fixture(params=["alone", pytest.param("redis", marks=pytest.mark.slow)])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    yield LocalBus() if request.param == "alone" else RedisBus(request.getfixturevalue("valkey").url, history=True)


@asynccontextmanager
async def hearing(*buses: Bus) -> AsyncIterator[list[asyncio.Queue[RoomMessage]]]:
    """What each of them delivers."""
    heard: list[asyncio.Queue[RoomMessage]] = [asyncio.Queue() for _ in buses]
    async with AsyncExitStack() as stack:
        for one, queue in zip(buses, heard, strict=True):
            await stack.enter_async_context(one.running(queue.put_nowait))
        yield heard


async def take(queue: asyncio.Queue[RoomMessage], count: int) -> list[RoomMessage]:
    async with asyncio.timeout(DEADLINE):
        return [await queue.get() for _ in range(count)]


async def test_what_is_said_is_delivered_once_and_in_order(bus: Bus) -> None:
    async with hearing(bus) as (heard,):
        bus.check()
        for n in range(20):
            await bus.say(RoomMessage("7", "me", f'{{"n": {n}, "text": "a b  c"}}'))
        got = await take(heard, 20)
        assert [(said.room, said.by, said.text) for said in got] == [
            ("7", "me", f'{{"n": {n}, "text": "a b  c"}}') for n in range(20)
        ]
        assert heard.empty()


@pytest.mark.slow
async def test_two_replicas_hear_each_other_in_the_order_of_the_history(valkey: Valkey) -> None:
    one, two = RedisBus(valkey.url, history=True), RedisBus(valkey.url, history=True)
    async with hearing(one, two) as heard:
        await asyncio.gather(
            *(bus.say(RoomMessage("7", name, f"{n}")) for n in range(50) for name, bus in pair(one, two))
        )
        first, second = await take(heard[0], 100), await take(heard[1], 100)
        assert first == second
        kept = await one.since("7", first[9].at)
        assert kept == first[10:]
        assert all(later(after.at, before.at) for before, after in pairwise(first))


def pair(one: Bus, two: Bus) -> list[tuple[str, Bus]]:
    return [("one", one), ("two", two)]


@pytest.mark.slow
async def test_without_a_history_nothing_is_kept(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url, history=False)
    async with hearing(bus) as (heard,):
        assert await bus.say(RoomMessage("7", "me", "{}")) == ""
        assert (await take(heard, 1))[0].at == ""
        assert await bus.since("7", "1-0") == []


@pytest.mark.slow
async def test_a_server_that_dies_is_unavailable_and_heard_again_when_it_is_back(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url, history=True)
    async with hearing(bus) as (heard,):
        valkey.kill()
        os.unlink(f"{valkey.directory}/s")  # noqa: PTH108 - what a killed server leaves
        with pytest.raises(UnavailableError):
            await bus.say(RoomMessage("7", "me", "{}"))
        with pytest.raises(UnavailableError):
            await bus.since("7", "1-0")
        valkey.start()
        async with asyncio.timeout(DEADLINE):
            while heard.empty():
                with suppress(UnavailableError):
                    await bus.say(RoomMessage("7", "me", "{}"))
                await asyncio.sleep(0.05)


def test_places_in_a_history_are_in_order() -> None:
    places = ["", "0-1", "5-0", "5-2", "5-10", "40-0"]
    assert [later(b, a) for a, b in pairwise(places)] == [True] * 5
    assert not later("5-2", "5-2")
