"""What every store of several servers promises, and the place over it, whatever happens to one of them or to all.

Starting them takes seconds, so each test is one story of one cluster.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from harness.cluster.capabilities import HasLeader, Killable, Pausable
from harness.cluster.stores import STORES, StoreType
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError
from targets.common.session import SessionState
from targets.common.settings import Options, Settings
from targets.http.errors import ConflictError, UnavailableError
from targets.server.catalog import select
from targets.state import SessionStore

pytestmark = pytest.mark.slow

#: The stores that survive the death of one member, and whether they keep their data when all are killed at once.
REPLICATED = {"etcd": True, "hazelcast": False, "nats": True}
RECOVERY_TIMEOUT_S = 60  # the slowest takes about ten
ANSWER_TIMEOUT_S = 10  # a client's own time-out is one

T = TypeVar("T")


class Cluster(StoreType, Killable, Pausable, HasLeader, Protocol):
    """The abilities of such a store."""


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("contract-clusters") as started:
        yield started


@pytest.fixture(params=REPLICATED)
async def down(request: pytest.FixtureRequest, supervisor: Supervisor, tmp_path: Path) -> AsyncIterator[Cluster]:
    store = STORES[request.param](supervisor, tmp_path)
    try:
        store.program()
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack}: {lack.hint}")
    assert isinstance(store, Killable) and isinstance(store, Pausable) and isinstance(store, HasLeader)
    yield store
    assert store.pids == ()
    assert supervisor.children == ()
    assert supervisor.deaths.empty()


@pytest.fixture
async def cluster(down: Cluster) -> AsyncIterator[Cluster]:
    async with down:
        yield down


@pytest.fixture
async def place(down: Cluster) -> AsyncIterator[SessionStore]:
    options = Options({"versioned": "yes"})
    _, state = select("cart", down.name, options)
    client = state.create_store(Settings("r0", "b0", store=down.url, options=options))
    await client.open()
    yield client
    await client.close()


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """The first answer; until then each attempt must be refused in time."""
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    while True:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await ask()
        except UnavailableError:
            assert time.monotonic() < deadline, "it does not recover"
            await asyncio.sleep(0.05)


async def until_written(place: SessionStore, handle: str, session: SessionState) -> None:
    """Written once: an attempt without an answer is in doubt, and the next one may find that it landed."""
    try:
        assert await until_answered(lambda: place.write(handle, session)) == handle
    except ConflictError:
        # One of its own attempts that had no answer may have landed; anything else that is there is a lost write.
        assert await until_answered(lambda: place.read(handle)) == session


async def refused(ask: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        with pytest.raises(UnavailableError):
            await ask()


async def test_no_acknowledged_write_is_lost_with_a_primary_which_then_returns(
    down: Cluster, place: SessionStore, supervisor: Supervisor
) -> None:
    cluster, session = down, SessionState.new("u1").with_write("0", "0" * 16, {"tea": 1})
    await refused(lambda: place.create(session))  # it has not been started yet
    async with cluster:
        pids = cluster.pids
        assert len(pids) == 3
        assert [(child.role, child.pid) for child in supervisor.children] == [("store", pid) for pid in pids]
        handles = [await until_answered(lambda: place.create(session)) for _ in range(50)]

        evidence = await cluster.kill_primary()
        assert evidence.confirmed and evidence.facts["pid"] in pids
        assert len(cluster.pids) == 2 and set(cluster.pids) < set(pids)
        for handle in handles:
            assert await until_answered(partial(place.read, handle)) == session
            await until_answered(partial(place.create, session))

        back = await cluster.restart_primary()
        assert back.confirmed and back.facts["server"] == evidence.facts["server"]
        assert len(cluster.pids) == 3
        again = session.with_write("0", "1" * 16, {"tea": 2})
        await until_written(place, handles[0], again)
        assert await until_answered(lambda: place.read(handles[0])) == again


async def test_while_dead_or_paused_it_is_unavailable_and_then_it_recovers(
    cluster: Cluster, place: SessionStore
) -> None:
    session, url, pids = SessionState.new("u1"), cluster.url, cluster.pids
    handle = await until_answered(lambda: place.create(session))
    assert (await cluster.restart()).confirmed and cluster.pids == pids, "restart where it runs is a no-op"

    assert (await cluster.pause()).confirmed
    await refused(lambda: place.read(handle))
    assert (await cluster.resume()).confirmed
    assert await until_answered(lambda: place.read(handle)) == session

    evidence = await cluster.kill()
    assert evidence.confirmed and len(evidence.facts) == 3 and set(evidence.facts.values()) == set(pids)
    assert cluster.pids == ()
    await refused(lambda: place.read(handle))
    await refused(lambda: place.create(session))
    await refused(lambda: place.write(handle, session.with_write("0", "0" * 16, {})))
    assert not (await cluster.kill()).confirmed

    assert (await cluster.restart()).confirmed
    assert cluster.url == url and len(cluster.pids) == 3 and not set(cluster.pids) & set(pids)
    assert await until_answered(lambda: place.read(handle)) == (session if REPLICATED[cluster.name] else None)
    assert await until_answered(lambda: place.create(session))
