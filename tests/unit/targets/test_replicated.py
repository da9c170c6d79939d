"""Sessions in memory with a copy in another replica: who has them when one is killed, paused or restarts empty."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import RawTestServer

from targets.apps import AppContext, cart
from targets.common.session import SessionState
from targets.common.settings import Options, Settings, SettingsError
from targets.http.errors import ConflictError, UnavailableError
from targets.server.service import Service
from targets.state import replicated
from targets.state.replicated import Replicated
from targets.storage.journal import Journal
from targets.storage.peers import HttpPeer, ReplicatedEntry, peer_key
from tests.support.peers import Nearby

OPS = [f"{n:016x}" for n in range(1, 9)]


@asynccontextmanager
async def three(ack: str = "peer") -> AsyncIterator[tuple[list[Replicated], list[Nearby]]]:
    """Three replicas in a ring, and each as the others reach it."""
    stores = [Replicated([], ack=ack) for _ in range(3)]
    known = [Nearby(store) for store in stores]
    for own, store in enumerate(stores):
        store._others[:] = known[own + 1 :] + known[:own]  # a ring can only be closed afterwards
        await store.open()
    yield stores, known
    for store in stores:
        await store.close()


@pytest.mark.parametrize("survivor", [1, 2])
async def test_any_survivor_answers_for_a_killed_replica(survivor: int) -> None:
    async with three() as (stores, known):
        session = SessionState.new("u1")
        handle = await stores[0].create(session)
        session = session.with_write("0", OPS[0], {})
        await stores[0].write(handle, session)
        known[0].away = True
        assert await stores[survivor].read(handle) == session
        session = session.with_write("0", OPS[1], {})
        await stores[survivor].write(handle, session)
        assert await stores[3 - survivor].read(handle) == session


async def test_a_replica_that_restarts_empty_gets_its_sessions_back() -> None:
    async with three() as (stores, known):
        session = SessionState.new("u1")
        handle = await stores[0].create(session)
        known[0].away = True
        after = session.with_write("0", OPS[0], {})
        assert await stores[2].read(handle, to_write=True) == session
        await stores[2].write(handle, after)
        empty = Replicated([known[1], known[2]])
        known[0].store, known[0].away = empty, False
        await empty.open()
        assert await empty.read(handle) == after
        with pytest.raises(ConflictError, match="led by another"):
            await stores[2].write(handle, after.with_write("0", OPS[1], {}))
        await empty.close()


async def test_a_replica_that_was_paused_does_not_undo_writes_acknowledged_meanwhile() -> None:
    async with three() as (stores, known):
        session = SessionState.new("u1")
        handle = await stores[1].create(session)
        known[1].away = True  # paused: it still leads, by its own account
        meanwhile = session.with_write("0", OPS[0], {"tea": 1})
        assert await stores[0].read(handle, to_write=True) == session
        await stores[0].write(handle, meanwhile)
        known[1].away = False
        with pytest.raises(ConflictError):
            await stores[1].write(handle, session.with_write("0", OPS[1], {}))
        assert await stores[1].read(handle) == meanwhile


async def test_when_the_next_replica_dies_all_sessions_are_copied_again() -> None:
    async with three() as (stores, known):
        idle = SessionState.new("idle")
        handle = await stores[0].create(idle)
        known[1].away = True
        await stores[0].create(SessionState.new("u2"))
        known[0].away = True
        assert await stores[2].read(handle) == idle


async def test_without_peers_a_write_that_waits_for_one_is_refused_and_one_that_does_not_is_kept() -> None:
    async with three() as (stores, known):
        for other in known[1:]:
            other.away = True
        with pytest.raises(UnavailableError):
            await stores[0].create(SessionState.new("u1"))
    async with three(ack="self") as (stores, known):
        for other in known[1:]:
            other.away = True
        session = SessionState.new("u1")
        assert await stores[0].read(await stores[0].create(session)) == session


async def test_with_ack_self_the_copy_follows_at_the_latest_with_an_orderly_stop() -> None:
    async with three(ack="self") as (stores, known):
        session = SessionState.new("u1")
        handle = await stores[0].create(session)
        assert known[1].store.give(handle) is None
        await stores[0].close()
        known[0].away = True
        assert await stores[2].read(handle) == session


@asynccontextmanager
async def reached(store: Replicated) -> AsyncIterator[str]:
    """The address of a service over this store."""
    settings = Settings("r0", "b0")
    routes = cart.create_routes(AppContext(store, Journal(None, settings), settings))
    async with RawTestServer(Service(settings, routes, store).handle) as server:
        yield f"{server.host}:{server.port}"


async def test_copies_are_sent_and_fetched_over_http() -> None:
    key = peer_key("s")
    async with reached(Replicated([], key=key)) as address:
        near = Replicated([HttpPeer(address, key)])
        await near.open()
        sessions = [SessionState.new(f"u{n}") for n in range(3)]
        handles = [await near.create(session) for session in sessions]
        await near.close()
        peer = HttpPeer(address, key)
        entries = [await peer.give(handle) for handle in handles]
        assert [entry.session for entry in entries if entry] == sessions
        assert await peer.give("0" * 32) is None
        assert await peer.keep([entry._replace(session=sessions[0]) for entry in entries if entry]) == {*handles[1:]}
        await peer.close()


async def test_many_copies_are_sent_in_several_requests() -> None:
    key = peer_key("s")
    async with reached(Replicated([], key=key)) as address:
        peer = HttpPeer(address, key)
        entries = [ReplicatedEntry(f"{n:032x}", 1e12, SessionState.new(f"u{n}")) for n in range(1001)]
        assert await peer.keep(entries) == set()
        assert await peer.give(entries[-1].handle) == entries[-1]
        await peer.close()


async def test_a_stranger_receives_nothing_and_a_dead_peer_is_unavailable() -> None:
    async with reached(Replicated([], key=peer_key("s"))) as address:
        stranger = HttpPeer(address, peer_key("other"))
        with pytest.raises(UnavailableError):
            await stranger.give("0" * 32)
        await stranger.close()
    late = HttpPeer(address, peer_key("s"))
    with pytest.raises(UnavailableError):
        await late.give("0" * 32)
    await late.close()


def test_a_missing_peer_or_an_unknown_ack_is_refused() -> None:
    with pytest.raises(SettingsError, match="needs --peers"):
        replicated.create_store(Settings("r0", "b0", peers={"r0": "127.0.0.1:1"}))
    with pytest.raises(SettingsError, match="ack=both"):
        peers = {"r0": "127.0.0.1:1", "r1": "127.0.0.1:2"}
        replicated.create_store(Settings("r0", "b0", peers=peers, options=Options({"ack": "both"})))
