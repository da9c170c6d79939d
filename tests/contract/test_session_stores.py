"""One contract for every store that keeps sessions, over real servers where it needs one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
import pytest_asyncio

from harness.cluster.stores import STORES, needs
from targets.common.session import SessionState
from targets.common.settings import Options, Settings, SettingsError
from targets.http.errors import ConflictError, UnauthorizedError, UnavailableError
from targets.http.keys import Keyring
from targets.registry import STATES
from targets.server.catalog import select
from targets.state import SessionStore
from targets.state.checkpoint import Checkpoint
from targets.state.eventlog import EventLog
from targets.state.faulty import Bugs, Faulty
from targets.state.memory import Memory
from targets.state.replicated import Replicated
from targets.state.sqlite import Sqlite
from targets.state.token import FORMATS, Token
from tests.support.peers import Nearby
from tests.support.stores import DURABLE, OTHERS, HeldStores, eventually, held_stores

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPS = [f"{n:016x}" for n in range(1, 9)]
DEADLINE = 10  # seconds after which something counts as hung


STORED = sorted(STORES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HeldStores]:
    async with held_stores(tmp_path_factory.mktemp("stores")) as held:
        yield held


def store_client(name: str, url: str, ttl: float = 60, versioned: bool = False) -> SessionStore:
    """A client of that server."""
    options = Options({"ttl": f"{ttl:.3f}", "versioned": "yes" if versioned else "no"})
    _, state = select("cart", name, options)
    return state.create_store(Settings("r0", "b0", store=url, options=options))


def with_long_timeout(store: SessionStore) -> SessionStore:
    """The store with a longer timeout than its own: a busy disk is no reason for these tests to fail."""
    assert "_timeout_s" in vars(store)
    vars(store)["_timeout_s"] = DEADLINE
    return store


async def open_store(store: SessionStore) -> SessionStore:
    """Open the store, and wait until it answers."""
    await store.open()
    await eventually(lambda: store.read("0" * 32))
    return store


@dataclass(frozen=True)
class Kind:
    """A store under test, and what it promises beyond the contract."""

    make: Callable[[float], SessionStore]  # from a ttl in seconds; twice over the same backing is a restart
    survives_restart: bool
    second_writer: str  # what meets the second of two writes from one read: refused | wins | apart
    pace: float = 1.0  # how slowly time passes for it


@cache
def nearby(volume: Path) -> Nearby:
    """The other replica of a test, which outlives the one under test as its volume does."""
    return Nearby(Replicated([]))


#: The stores at this end, ``(ttl, volume) -> Store``: whether they outlive a restart, and what meets a second writer.
PLAIN: Mapping[str, tuple[Callable[[float, Path], SessionStore], bool, str]] = {
    "memory": (lambda ttl, volume: Memory(ttl), False, "refused"),
    "faulty": (lambda ttl, volume: Faulty(Memory(ttl), Bugs({})), False, "refused"),
    "token": (lambda ttl, volume: Token(Keyring("s"), ttl, form="jwt"), True, "apart"),
    "signed": (lambda ttl, volume: Token(Keyring("s"), ttl, form="signed"), True, "apart"),
    "checkpoint": (lambda ttl, volume: Checkpoint(volume, ttl), True, "refused"),
    "eventlog": (lambda ttl, volume: EventLog(volume, ttl), True, "refused"),
    "replicated": (lambda ttl, volume: Replicated([nearby(volume)], ttl), True, "refused"),
    "sqlite": (lambda ttl, volume: Sqlite(volume / "sessions.db", ttl), True, "refused"),
}
KINDS = [*PLAIN, *(pytest.param(name, marks=pytest.mark.slow) for name in STORED)]
VERSIONED = [pytest.param(f"{name} versioned", marks=pytest.mark.slow) for name in STORED]


@pytest_asyncio.fixture(loop_scope="module", params=KINDS)
async def kind(request: pytest.FixtureRequest, stores: HeldStores, tmp_path: Path) -> Kind:
    name, _, versioned = request.param.partition(" ")
    if name in PLAIN:
        make, survives, second = PLAIN[name]
        return Kind(lambda ttl: make(ttl, tmp_path), survives, second)
    url = (await stores.up(name)).url
    second = "refused" if versioned else "wins"
    return Kind(lambda ttl: with_long_timeout(store_client(name, url, ttl, bool(versioned))), True, second, pace=2.0)


async def writes_by_writer(store: SessionStore, handle: str) -> dict[str, int]:
    session = await store.read(handle)
    assert session is not None
    return {writer: tally.count for writer, tally in session.writers.items()}


async def test_a_new_session_is_read_as_it_was_made(kind: Kind) -> None:
    store = kind.make(60)
    await store.open()
    session = SessionState.new("u17").with_write("0", OPS[0], {"tea": 2}).with_recent(OPS[0])
    assert await store.read(await store.create(session)) == session
    await store.close()


@pytest.mark.parametrize("kind", [*KINDS, *VERSIONED], indirect=True)
async def test_writes_add_up(kind: Kind) -> None:
    store = kind.make(60)
    await store.open()
    session = SessionState.new("u17")
    handle = await store.create(session)
    for op in OPS:
        read = await store.read(handle, to_write=True)
        assert read == session
        session = session.with_write("0", op, {"tea": session.version + 1})
        handle = await store.write(handle, session)
    assert await store.read(handle) == session
    assert session.writers["0"].count == len(OPS)
    await store.close()


async def test_two_sessions_stay_apart(kind: Kind) -> None:
    store = kind.make(60)
    await store.open()
    mine, other = SessionState.new("mine"), SessionState.new("other")
    my_handle, other_handle = await store.create(mine), await store.create(other)
    assert my_handle != other_handle
    await store.write(my_handle, mine.with_write("0", OPS[0], {}))
    assert await store.read(other_handle) == other
    await store.close()


@pytest.mark.parametrize("handle", ["0" * 32, "x", "a.b.c", "é", "../../etc"])
async def test_an_unknown_handle_is_not_adopted(kind: Kind, handle: str) -> None:
    store = kind.make(60)
    await store.open()
    assert await store.read(handle) is None
    assert await store.create(SessionState.new("u1")) != handle
    assert await store.read(handle) is None
    await store.close()


@pytest.mark.slow  # it takes seconds
async def test_a_session_expires_after_its_last_write(kind: Kind) -> None:
    ttl = 0.5
    store = await open_store(kind.make(ttl))
    session, began = SessionState.new("u1"), time.monotonic()
    handle = await store.create(session)
    assert await store.read(handle) == session or time.monotonic() > began + ttl
    await asyncio.sleep(0.55)
    assert await store.read(handle) is None
    await store.close()


@pytest.mark.slow  # it takes seconds
async def test_a_write_prolongs_a_session(kind: Kind) -> None:
    store = await open_store(kind.make(0.8 * kind.pace))
    session = SessionState.new("u1")
    handle = await store.create(session)
    for op in OPS[:3]:
        await asyncio.sleep(0.3 * kind.pace)
        session = session.with_write("0", op, {})
        handle = await store.write(handle, session)
    assert await store.read(handle) == session
    await store.close()


async def test_a_restart_keeps_sessions_where_the_store_promises_it(kind: Kind) -> None:
    before, after = kind.make(60), kind.make(60)
    await before.open()
    session = SessionState.new("u1")
    handle = await before.create(session)
    await before.close()
    await after.open()
    assert await after.read(handle) == (session if kind.survives_restart else None)
    await after.close()


@pytest.mark.parametrize("kind", [*KINDS, *VERSIONED], indirect=True)
async def test_the_second_of_two_writes_from_one_read_meets_what_the_store_promises(kind: Kind) -> None:
    store = kind.make(60)
    await store.open()
    handle = await store.create(SessionState.new("u1"))
    first_read, second_read = await store.read(handle, to_write=True), await store.read(handle, to_write=True)
    assert first_read is not None
    assert second_read is not None
    first = await store.write(handle, first_read.with_write("1", OPS[1], {}))
    if kind.second_writer == "refused":
        with pytest.raises(ConflictError):
            await store.write(handle, second_read.with_write("2", OPS[2], {}))
        assert await writes_by_writer(store, first) == {"1": 1}
    else:
        second = await store.write(handle, second_read.with_write("2", OPS[2], {}))
        assert await writes_by_writer(store, second) == {"2": 1}
        assert await writes_by_writer(store, first) == ({"1": 1} if kind.second_writer == "apart" else {"2": 1})
    await store.close()


async def test_every_state_with_a_store_is_in_this_suite() -> None:
    assert {name for name in STATES if needs(name)} == set(STORED)
    assert set(PLAIN) | set(STORED) | {"none"} == {*STATES, "signed"}


@pytest.mark.slow
@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("name", STORED)
async def test_a_write_does_not_create_a_missing_session(name: str, versioned: bool, stores: HeldStores) -> None:
    store = await open_store(with_long_timeout(store_client(name, (await stores.up(name)).url, versioned=versioned)))
    with pytest.raises(ConflictError):
        await store.write("0" * 32, SessionState.new("u1").with_write("0", OPS[0], {}))
    assert await store.read("0" * 32) is None
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
async def test_a_dead_store_is_unavailable_and_recovers_with_what_it_promises(name: str, stores: HeldStores) -> None:
    server = await stores.up(name)
    store, session = await open_store(store_client(name, server.url)), SessionState.new("u1")
    handle = await eventually(lambda: store.create(session))
    assert (await server.kill()).confirmed
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(UnavailableError):
            await store.read(handle)
        with pytest.raises(UnavailableError):
            await store.create(session)
        with pytest.raises(UnavailableError):
            await store.write(handle, session.with_write("0", OPS[0], {}))
    assert (await server.restart()).confirmed
    assert await eventually(lambda: store.read(handle)) == (session if name in DURABLE else None)
    assert await store.read(await eventually(lambda: store.create(session))) == session
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("name", [name for name in OTHERS if name not in DURABLE])
async def test_a_write_does_not_restore_a_session_that_was_lost_with_its_store(
    name: str, versioned: bool, stores: HeldStores
) -> None:
    server = await stores.up(name)
    store, session = (
        await open_store(with_long_timeout(store_client(name, server.url, versioned=versioned))),
        SessionState.new("u1"),
    )
    handle = await store.create(session)
    assert (await server.kill()).confirmed and (await server.restart()).confirmed
    assert await eventually(lambda: store.read(handle)) is None
    with pytest.raises(ConflictError):
        await store.write(handle, session.with_write("0", OPS[0], {}))
    assert await store.read(handle) is None
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
async def test_a_silent_store_is_unavailable_and_answers_no_question_with_an_earlier_answer(
    name: str, stores: HeldStores
) -> None:
    server = await stores.up(name)
    store = await open_store(store_client(name, server.url))
    mine, other = SessionState.new("mine"), SessionState.new("other")
    my_handle, other_handle = [await eventually(partial(store.create, session)) for session in (mine, other)]
    assert (await server.pause()).confirmed
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(UnavailableError):
            await store.read(my_handle)
    assert (await server.resume()).confirmed
    assert await eventually(lambda: store.read(other_handle)) == other
    assert await eventually(lambda: store.read(my_handle)) == mine
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", STORED)
async def test_concurrent_requests_wait_for_a_connection(name: str, stores: HeldStores) -> None:
    store = await open_store(store_client(name, (await stores.up(name)).url))
    sessions = [SessionState.new(f"u{n}") for n in range(100)]
    handles = await asyncio.gather(*(eventually(partial(store.create, session)) for session in sessions))
    read = await asyncio.gather(*(eventually(partial(store.read, handle)) for handle in handles))
    assert read == sessions
    await store.close()


async def test_a_file_that_cannot_be_created_is_reported_before_the_service_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot keep sessions"):
        await Sqlite(tmp_path / "nowhere" / "sessions.db").open()


@pytest.mark.parametrize("form", FORMATS)
async def test_a_token_of_another_key_is_rejected(form: str) -> None:
    mine, other = Token(Keyring("s", "r0"), form=form), Token(Keyring("s", "r1"), form=form)
    handle = await mine.create(SessionState.new("u1"))
    with pytest.raises(UnauthorizedError):
        await other.read(handle)
    assert Keyring("s").signing != Keyring("t").signing


async def test_a_forged_token_is_rejected() -> None:
    store = Token(Keyring("s"))
    header, _, signature = (await store.create(SessionState.new("u1"))).split(".")
    _, payload, _ = (await store.create(SessionState.new("admin"))).split(".")
    with pytest.raises(UnauthorizedError):
        await store.read(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("form", FORMATS)
async def test_a_rotated_key_reads_what_the_one_before_signed_only_while_that_is_accepted(form: str) -> None:
    store = Token(Keyring("s"), form=form)
    session = SessionState.new("u1")
    old = await store.create(session)
    store.keys.use(2, [1])
    new = await store.create(session)
    assert await store.read(old) == await store.read(new) == session
    store.keys.use(2, [])
    assert await store.read(new) == session
    with pytest.raises(UnauthorizedError):
        await store.read(old)


async def test_a_read_leaves_the_token_and_a_write_changes_it() -> None:
    store = Token(Keyring("s"))
    session = SessionState.new("u1")
    handle = await store.create(session)
    assert await store.write(handle, session.with_write("0", OPS[0], {})) != handle
    assert await store.read(handle) == session


async def test_memory_removes_expired_sessions() -> None:
    now = 0.0
    memory = Memory(ttl=10, clock=lambda: now)
    old = await memory.create(SessionState.new("old"))
    now = 5.0
    young = await memory.create(SessionState.new("young"))
    now = 12.0
    await memory.create(SessionState.new("new"))
    assert [session.owner for session in memory.sessions()] == ["new", "young"]
    assert await memory.read(old) is None
    assert await memory.read(young) is not None
