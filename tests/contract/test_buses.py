"""One contract for every bus, over a real Redis server where it needs one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from targets.http.errors import UnavailableError
from targets.sessions.bus import Bus, LocalBus, RedisBus, RoomMessage, is_later
from targets.storage.store_client import CONNECTIONS
from tests.support.valkey import DEADLINE, Valkey, valkey

__all__ = ["valkey"]


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.slow)])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    yield LocalBus() if request.param == "local" else RedisBus(request.getfixturevalue("valkey").url, history=True)


@asynccontextmanager
async def deliveries(*buses: Bus) -> AsyncIterator[list[asyncio.Queue[RoomMessage]]]:
    """A queue for each bus, with the messages that it delivers."""
    received: list[asyncio.Queue[RoomMessage]] = [asyncio.Queue() for _ in buses]
    async with AsyncExitStack() as stack:
        for bus, queue in zip(buses, received, strict=True):
            await stack.enter_async_context(bus.deliver_all(queue.put_nowait))
        yield received


async def take(queue: asyncio.Queue[RoomMessage], count: int) -> list[RoomMessage]:
    async with asyncio.timeout(DEADLINE):
        return [await queue.get() for _ in range(count)]


async def test_each_message_is_delivered_once_and_in_order(bus: Bus) -> None:
    async with deliveries(bus) as (received,):
        bus.check()
        for n in range(20):
            await bus.publish(RoomMessage("7", "me", f'{{"n": {n}, "text": "a b  c"}}'))
        got = await take(received, 20)
        assert [(message.room, message.sender, message.text) for message in got] == [
            ("7", "me", f'{{"n": {n}, "text": "a b  c"}}') for n in range(20)
        ]
        assert received.empty()


@pytest.mark.slow
async def test_two_replicas_receive_all_messages_in_the_order_of_the_history(valkey: Valkey) -> None:
    one, two = RedisBus(valkey.url, history=True), RedisBus(valkey.url, history=True)
    async with deliveries(one, two) as received:
        await asyncio.gather(
            *(bus.publish(RoomMessage("7", name, f"{n}")) for n in range(50) for name, bus in named(one, two))
        )
        first, second = await take(received[0], 100), await take(received[1], 100)
        assert first == second
        kept = await one.messages_after("7", first[9].at)
        assert kept == first[10:]
        assert all(is_later(after.at, before.at) for before, after in pairwise(first))


def named(one: Bus, two: Bus) -> list[tuple[str, Bus]]:
    return [("one", one), ("two", two)]


@pytest.mark.slow
async def test_without_a_history_nothing_is_kept(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url, history=False)
    async with deliveries(bus) as (received,):
        assert await bus.publish(RoomMessage("7", "me", "{}")) == ""
        assert (await take(received, 1))[0].at == ""
        assert await bus.messages_after("7", "1-0") == []


@pytest.mark.slow
async def test_users_who_all_come_at_once_share_a_few_connections(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url, history=True)
    async with deliveries(bus), asyncio.timeout(DEADLINE):
        await asyncio.gather(*(bus.messages_after("7", "0") for _ in range(200)))
        async with Redis.from_url(valkey.url) as other:
            assert (await other.info("clients"))["connected_clients"] <= CONNECTIONS + 1


@pytest.mark.slow
async def test_a_dead_server_is_unavailable_and_delivers_again_after_its_restart(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url, history=True)
    async with deliveries(bus) as (received,):
        valkey.kill()
        os.unlink(f"{valkey.directory}/s")  # noqa: PTH108 - what a killed server leaves
        with pytest.raises(UnavailableError):
            await bus.publish(RoomMessage("7", "me", "{}"))
        with pytest.raises(UnavailableError):
            await bus.messages_after("7", "1-0")
        valkey.start()
        async with asyncio.timeout(DEADLINE):
            while received.empty():
                with suppress(UnavailableError):
                    await bus.publish(RoomMessage("7", "me", "{}"))
                await asyncio.sleep(0.05)


def test_positions_in_a_history_are_ordered() -> None:
    places = ["", "0-1", "5-0", "5-2", "5-10", "40-0"]
    assert [is_later(b, a) for a, b in pairwise(places)] == [True] * 5
    assert not is_later("5-2", "5-2")
