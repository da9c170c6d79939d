"""What every store promises, checked with each of them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import asyncpg
import memcachio
import pytest
import pytest_asyncio
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from harness.cluster.capabilities import Evictable, HasLeader, Replicating
from harness.cluster.stores import STORES, needs
from harness.cluster.stores.redis import server
from harness.cluster.stores.redis_sentinel import Node
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError
from targets.state.redis_sentinel import parse_url
from tests.support.stores import DURABLE, OTHERS, TIMEOUT_S, Held, HeldStores, eventually, held_stores

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

A = TypeVar("A")


async def in_redis(url: str, write: str | None) -> str | None:
    async with redis.asyncio.Redis.from_url(url, socket_timeout=5) as client:
        return await _in_client(client, write)


async def in_redis_sentinel(url: str, write: str | None) -> str | None:
    addresses, name = parse_url(url)
    once = Retry(NoBackoff(), 0)
    sentinel = Sentinel(addresses, sentinel_kwargs={"socket_timeout": 5, "retry": once})  # type: ignore[no-untyped-call]  # it has no types
    async with sentinel, sentinel.master_for(name, retry=once) as client:
        value = await _in_client(client, write)
        if write is not None:
            followers = (await client.info("replication"))["connected_slaves"]
            assert await client.wait(followers, 10_000) >= followers
        return value


async def _in_client(client: redis.asyncio.Redis, write: str | None) -> str | None:
    if write is not None:
        await client.set("key", write)
    value = await client.get("key")
    return value.decode() if isinstance(value, bytes) else value


async def in_memcached(url: str, write: str | None) -> str | None:
    host, _, port = url.removeprefix("memcached://").partition(":")
    client: memcachio.Client[str] = memcachio.Client((host, int(port)), decode_responses=True)
    try:
        if write is not None:
            assert await client.set("key", write)
        items = await client.get("key")
        return items["key"].value if items else None
    finally:
        client.connection_pool.close()


async def in_postgres(url: str, write: str | None) -> str | None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        if write is not None:
            await connection.execute("INSERT INTO kept VALUES ($1)", write)
        value: str | None = await connection.fetchval("SELECT value FROM kept")
        return value
    finally:
        await connection.close()


#: How to keep one value in each: ``(url, value to write or None) -> what it holds then``.
KEEP: Mapping[str, Callable[[str, str | None], Awaitable[str | None]]] = {
    "memcached": in_memcached,
    "postgres": in_postgres,
    "redis": in_redis,
    "redis_sentinel": in_redis_sentinel,
}
LED, REPLICATING, EVICTING = (
    pytest.mark.parametrize("name", [name for name in OTHERS if issubclass(STORES[name], ability)], indirect=True)
    for ability in (HasLeader, Replicating, Evictable)
)


@pytest_asyncio.fixture(loop_scope="module")
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("contract-stores") as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HeldStores]:
    async with held_stores(tmp_path_factory.mktemp("stores")) as held:
        yield held


@pytest.fixture(params=OTHERS)
def name(request: pytest.FixtureRequest) -> str:
    chosen = str(request.param)
    try:
        STORES[chosen].program()
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    return chosen


@pytest_asyncio.fixture(loop_scope="module")
async def held(name: str, stores: HeldStores) -> AsyncIterator[Held]:
    yield await stores.up(name)
    assert stores.supervisor.deaths.empty()


def able(store: object, ability: type[A]) -> A:
    assert isinstance(store, ability)
    return store


async def test_every_store_is_in_this_suite() -> None:
    assert sorted(KEEP) == OTHERS


async def test_it_keeps_what_is_written(name: str, held: Held) -> None:
    assert held.name == name
    assert await KEEP[name](held.url, "tea") == "tea"
    assert await KEEP[name](held.url, None) == "tea"


async def test_a_kill_takes_effect_with_evidence(name: str, held: Held) -> None:
    pids = held.pids
    evidence = await held.kill()
    assert evidence.confirmed
    assert {value for key, value in evidence.facts.items() if key.startswith("pid") and key != "pid_gone"} == set(pids)
    assert held.pids == ()
    with pytest.raises((OSError, redis.exceptions.RedisError)):
        await KEEP[name](held.url, None)
    assert not (await held.kill()).confirmed


async def test_it_restarts_at_the_same_address_with_the_data_that_it_promises(name: str, held: Held) -> None:
    url, pids = held.url, held.pids
    await KEEP[name](url, "tea")
    assert (await held.kill()).confirmed
    assert (await held.restart()).confirmed
    assert held.url == url
    assert await KEEP[name](url, None) == ("tea" if name in DURABLE else None)
    assert not set(pids) & set(held.pids)


async def test_a_restart_while_it_runs_is_a_no_op(name: str, held: Held) -> None:
    await KEEP[name](held.url, "tea")
    pids = held.pids
    assert (await held.restart()).confirmed
    assert held.pids == pids
    assert await KEEP[name](held.url, None) == "tea"


async def test_pause_and_resume_keep_what_it_holds(name: str, held: Held) -> None:
    await KEEP[name](held.url, "tea")
    assert (await held.pause()).confirmed
    assert (await held.resume()).confirmed
    assert await KEEP[name](held.url, None) == "tea"


async def test_it_restarts_after_it_was_killed_while_paused(name: str, held: Held) -> None:
    assert (await held.pause()).confirmed
    assert (await held.kill()).confirmed
    assert (await held.restart()).confirmed
    assert await KEEP[name](held.url, "tea") == "tea"


@LED
async def test_when_the_leader_dies_another_one_leads_and_it_returns_as_a_follower(name: str, held: Held) -> None:
    led = able(held, HasLeader)
    await eventually(lambda: KEEP[name](held.url, "tea"))
    pids = held.pids
    evidence = await led.kill_primary()
    assert evidence.confirmed and evidence.facts["server"]
    assert set(pids) - set(held.pids) == {evidence.facts["pid"]}
    assert await eventually(lambda: KEEP[name](held.url, None)) == "tea"
    assert (await led.restart_primary()).confirmed
    assert len(held.pids) == len(pids)
    assert await eventually(lambda: KEEP[name](held.url, None)) == "tea"


@REPLICATING
async def test_writes_that_a_cut_off_replica_missed_are_lost_when_it_takes_over(name: str, held: Held) -> None:
    assert (await held.kill()).confirmed
    assert (await held.restart()).confirmed  # empty
    replicating, led = able(held, Replicating), able(held, HasLeader)
    assert (await replicating.cut_replication()).confirmed
    assert await KEEP[name](held.url, "tea") == "tea"
    assert (await led.kill_primary()).confirmed
    assert await eventually(lambda: KEEP[name](held.url, None)) is None
    assert (await led.restart_primary()).confirmed
    assert (await replicating.restore_replication()).confirmed


async def test_a_replica_of_redis_connects_again_if_its_primary_says_nothing(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    silent, replica = Node(supervisor, tmp_path, "silent"), Node(supervisor, tmp_path, "replica")
    replica.follows = silent
    async with (
        await asyncio.start_server(lambda _, writer: connected.put(writer), silent.address, silent.port),
        replica,
    ):
        first = await connected.get()
        second = await asyncio.wait_for(connected.get(), TIMEOUT_S / 2)  # by default it waits for a minute
        for writer in (first, second):
            writer.close()


@EVICTING
async def test_data_beyond_the_limit_is_evicted_until_the_limit_is_lifted(held: Held) -> None:
    store, client = able(held, Evictable), redis.asyncio.Redis.from_url(held.url)
    try:
        await client.flushall()
        await client.mset({f"key{number}": "x" * 1000 for number in range(1000)})
        before = (await client.info("stats"))["evicted_keys"]
        evidence = await store.evict(share=0.5)
        assert evidence.confirmed and (await store.unlimit()).confirmed
        left, evicted = await client.dbsize(), (await client.info("stats"))["evicted_keys"] - before
        assert evicted == 1000 - left and 400 < left < 600
        assert evidence.facts["evicted_keys"] in range(int(0.9 * evicted), evicted + 1)
        await client.mset({f"key{number}": "x" * 1000 for number in range(1000)})
        assert await client.dbsize() == 1000
    finally:
        await client.aclose()


@EVICTING
async def test_half_of_little_data_is_evicted_and_writes_go_on_while_the_limit_holds(held: Held) -> None:
    store, client = able(held, Evictable), redis.asyncio.Redis.from_url(held.url)
    try:
        await client.flushall()
        await client.mset({f"key{number}": "x" * 1000 for number in range(30)})
        assert (await store.evict(share=0.5)).confirmed
        assert 10 <= await client.dbsize() <= 20
        await client.mset({f"key{number}": "x" * 1000 for number in range(30)})  # raises if it is out of memory
        assert await client.dbsize() == 30
    finally:
        await client.aclose()


async def test_the_end_of_the_scope_leaves_nothing(name: str, supervisor: Supervisor, tmp_path: Path) -> None:
    async with STORES[name](supervisor, tmp_path) as store:
        assert {child.role for child in supervisor.children} == {"store"}
        assert {child.pid for child in supervisor.children} == set(store.pids)
    assert store.pids == ()
    assert supervisor.children == ()
    assert supervisor.deaths.empty()


async def test_two_stores_of_the_same_type_are_separate(
    name: str, held: Held, supervisor: Supervisor, tmp_path: Path
) -> None:
    async with STORES[name](supervisor, tmp_path) as other:
        await KEEP[name](held.url, "tea")
        assert await KEEP[name](other.url, None) is None


async def test_a_missing_server_is_an_error_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(EnvironmentLacksError, match="redis-server") as lack:
        server("redis-server")
    assert "pip install" in lack.value.hint


async def test_only_states_with_a_store_need_one() -> None:
    assert needs("redis") == "redis"
    assert [needs(state) for state in ("memory", "token", "none", "")] == [None] * 4
