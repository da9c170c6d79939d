"""What every store promises, held to each of them."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import redis.asyncio

from harness.errors import EnvironmentLacksError
from harness.parts import Evicting, Killable, Led, Pausable, Store
from harness.stores import STORES, needs
from harness.stores.redis import server
from harness.supervisor import Supervisor, supervised


async def in_redis(url: str, write: str | None) -> str | None:
    client = redis.asyncio.Redis.from_url(url, socket_timeout=5)
    try:
        if write is not None:
            await client.set("key", write)
        value = await client.get("key")
        return value.decode() if isinstance(value, bytes) else value
    finally:
        await client.aclose()


#: Those of one server; several together are held to their promises in test_clusters.py.
ALONE = sorted(name for name, kind in STORES.items() if not issubclass(kind, Led))

#: How to keep one value in each: ``(url, value to write or None) -> what it holds then``.
KEEP: Mapping[str, Callable[[str, str | None], Awaitable[str | None]]] = {"redis": in_redis}


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with supervised("contract-stores") as started:
        yield started


@pytest.fixture(params=ALONE)
async def store(request: pytest.FixtureRequest, supervisor: Supervisor, tmp_path: Path) -> AsyncIterator[Store]:
    async with STORES[request.param](supervisor, tmp_path) as up:
        yield up


def killable(store: Store) -> Killable:
    assert isinstance(store, Killable)
    return store


def test_every_store_is_in_this_suite() -> None:
    assert sorted(KEEP) == ALONE


async def test_it_keeps_what_is_written_once_it_is_up(store: Store) -> None:
    assert await KEEP[store.name](store.url, "tea") == "tea"
    assert await KEEP[store.name](store.url, None) == "tea"


async def test_its_process_is_a_store_to_the_supervisor(store: Store, supervisor: Supervisor) -> None:
    assert [(child.role, child.name, child.pid) for child in supervisor.children] == [
        ("store", store.name, *store.pids)
    ]


async def test_kill_lands_with_evidence(store: Store) -> None:
    (pid,) = store.pids
    evidence = await killable(store).kill()
    assert evidence.landed
    assert evidence.facts["pid"] == pid
    assert store.pids == ()
    with pytest.raises((OSError, redis.exceptions.ConnectionError)):
        await KEEP[store.name](store.url, None)
    assert not (await killable(store).kill()).landed


async def test_it_comes_back_empty_at_the_same_address(store: Store, supervisor: Supervisor) -> None:
    url = store.url
    await KEEP[store.name](url, "tea")
    await killable(store).kill()
    assert (await killable(store).restart()).landed
    assert store.url == url
    assert await KEEP[store.name](url, None) is None
    assert supervisor.deaths.empty()


async def test_restart_where_it_runs_is_a_no_op(store: Store) -> None:
    await KEEP[store.name](store.url, "tea")
    pids = store.pids
    assert (await killable(store).restart()).landed
    assert store.pids == pids
    assert await KEEP[store.name](store.url, None) == "tea"


async def test_pause_and_resume_keep_what_it_holds(store: Store) -> None:
    assert isinstance(store, Pausable)
    await KEEP[store.name](store.url, "tea")
    assert (await store.pause()).landed
    assert (await store.resume()).landed
    assert await KEEP[store.name](store.url, None) == "tea"


async def test_what_no_longer_fits_is_evicted_until_the_limit_is_lifted(store: Store) -> None:
    if not isinstance(store, Evicting):
        pytest.fail(f"{store.name} cannot evict: say so here")
    client = redis.asyncio.Redis.from_url(store.url)
    try:
        await client.mset({f"key{number}": "x" * 1000 for number in range(1000)})
        evidence = await store.evict(share=0.5)
        left = await client.dbsize()
        assert evidence.landed and evidence.facts["evicted_keys"] == 1000 - left
        assert 200 < left < 800
        assert (await store.unlimit()).landed
        await client.mset({f"key{number}": "x" * 1000 for number in range(1000)})
        assert await client.dbsize() == 1000
    finally:
        await client.aclose()


@pytest.mark.parametrize("name", ALONE)
async def test_the_end_of_the_scope_leaves_nothing(name: str, supervisor: Supervisor, tmp_path: Path) -> None:
    async with STORES[name](supervisor, tmp_path) as store:
        assert store.pids
    assert store.pids == ()
    assert supervisor.children == ()
    assert supervisor.deaths.empty()


@pytest.mark.parametrize("name", ALONE)
async def test_two_of_a_kind_do_not_meet(name: str, supervisor: Supervisor, tmp_path: Path) -> None:
    async with STORES[name](supervisor, tmp_path / "a") as one, STORES[name](supervisor, tmp_path / "b") as other:
        await KEEP[name](one.url, "tea")
        assert await KEEP[name](other.url, None) is None


def test_a_server_that_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(EnvironmentLacksError, match="redis-server") as lack:
        server("redis-server")
    assert "pip install" in lack.value.hint


def test_only_states_with_a_store_need_one() -> None:
    assert needs("redis") == "redis"
    assert [needs(state) for state in ("memory", "token", "none", "")] == [None] * 4
