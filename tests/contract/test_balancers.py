"""What every balancer promises, checked with each real one."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from harness.cluster.balancers import SPECS, available, require, start
from harness.cluster.capabilities import Balancer, Killable, Member, Reloadable
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError, HarnessError
from harness.scenario.balancing import Balancing, Health
from harness.scenario.design import Design
from tests.support.balancers import Backend, reserved_port, serving

pytestmark = pytest.mark.slow

INSTALLED = [name for name, where in available().items() if isinstance(where, Path)]
USUAL = Health()
NEVER = Health("30s", fall=10)  # so that only the retries under test can save a request
QUICK = Health("200ms", fall=2)
PATIENT = Health("200ms", fall=10)  # a member that a busy machine keeps from answering in time is not down


#: Policies by which the balancer learns, or the id says, which member made it.
FOLLOWING = {
    "learn_cookie": "SID",
    "learn_header": "X-Id",
    "header": "X-Member",
    "cookie_prefix": "SID",
    "cookie_route": "SID",
}
KEYS = {
    **FOLLOWING,
    "cookie": "",
    "hash_cookie": "session",
    "hash_header": "X-Session",
    "maglev_header": "X-Session",
    "source": "",
    "connection": "",
}


def behind(*policies: str, able: str = "") -> pytest.MarkDecorator:
    """Each balancer with each of these policies that it supports, except those that lack a required ability."""
    pairs = [
        (name, policy)
        for name, spec in sorted(SPECS.items())
        for policy in policies
        if policy in spec.supports and able not in spec.lacks
    ]
    return pytest.mark.parametrize(("name", "policy"), pairs, indirect=["name"])


@pytest.fixture(params=sorted(SPECS))
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in INSTALLED:
        pytest.skip(str(available()[request.param]))
    return str(request.param)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("balancer-contract") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, supervisor: Supervisor) -> "Place":
    return Place(supervisor, tmp_path)


@dataclass
class Place:
    """Starts the balancers of a test."""

    supervisor: Supervisor
    logs: Path
    count: int = 0

    @contextlib.asynccontextmanager
    async def up(self, balancing: Balancing, members: list[Member]) -> AsyncIterator[Balancer]:
        self.count += 1
        scratch = self.supervisor.scratch / str(self.count)
        scratch.mkdir()
        with reserved_port() as port:
            async with start(
                balancing, members, self.supervisor, scratch=scratch, logs=self.logs, port=port
            ) as balancer:
                yield balancer

    @contextlib.asynccontextmanager
    async def facing(
        self, count: int, balancing: Balancing, members: list[Member]
    ) -> AsyncIterator[tuple[Balancer, list["Client"]]]:
        """The same with this many clients."""
        async with self.up(balancing, members) as balancer, clients(balancer, count) as several:
            yield balancer, several


@dataclass
class Client:
    """A client with an address, a session and a cookie jar, on one kept-alive connection."""

    balancer: Balancer
    number: int
    http: aiohttp.ClientSession
    statuses: Counter[int] = field(default_factory=Counter)  # 0: the connection ended without a reply
    members: list[str] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)  # status by operation
    echoed: dict[str, str] = field(default_factory=dict)  # headers that it sends back, as replies set them

    async def write(self) -> int:
        op = self.number << 32 | len(self.sent) + 1
        headers = {"Idempotency-Key": f"{op:016x}", "X-Session": f"session-{self.number}", **self.echoed}
        try:
            async with self.http.post(f"{self.balancer.url}/write", headers=headers, data=b"x") as reply:
                await reply.read()
                status = reply.status
                self.echoed |= {key: reply.headers[key] for key in ("X-Id", "X-Member") if key in reply.headers}
                if replica := reply.headers.get("X-Replica"):
                    self.members.append(replica)
        except aiohttp.ClientError:
            status = 0
        self.statuses[status] += 1
        self.sent[op] = status
        return status


@contextlib.asynccontextmanager
async def clients(balancer: Balancer, count: int) -> AsyncIterator[list[Client]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [
            Client(balancer, number, await stack.enter_async_context(_http(number))) for number in range(1, count + 1)
        ]


def _http(number: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(local_addr=(f"127.0.0.{number + 1}", 0)),
        # A browser sends a value as it came. HAProxy does not know its cookie if quotes were put around it.
        cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False),
        cookies={"session": f"session-{number}"},
    )


@contextlib.asynccontextmanager
async def writing(several: list[Client], pause: float = 0.01) -> AsyncIterator[None]:
    """All of them write, one request after another, for the length of the scope."""
    stop = asyncio.Event()

    async def keep_writing(client: Client) -> None:
        while not stop.is_set():
            await client.write()
            await asyncio.sleep(pause)

    tasks = [asyncio.create_task(keep_writing(client)) for client in several]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def eventually(holds: Callable[[], Awaitable[bool]], within: float = 8.0) -> None:
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110 - the balancer has no event to wait for
            await asyncio.sleep(0.02)


def closed_by_both(port: int) -> bool:
    """Whether no connection to a port waits for its other end to close it (FIN_WAIT1, FIN_WAIT2)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any(row[1].endswith(f":{port:04X}") and row[3] in ("04", "05") for row in rows)


def unharmed(name: str) -> set[int]:
    """The statuses that clients may see while members join and leave: 0 is a connection that was cut."""
    return {200, 0} if "seamless" in SPECS[name].lacks else {200}


def total(several: list[Client]) -> Counter[int]:
    return sum((client.statuses for client in several), Counter())


@pytest.fixture
async def backends() -> AsyncIterator["Backends"]:
    async with contextlib.AsyncExitStack() as stack:
        yield Backends(stack)


@dataclass
class Backends:
    """Members inside this process, each of which can stop and return on its port."""

    stack: contextlib.AsyncExitStack
    by_name: dict[str, Backend] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    scopes: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)

    async def bring_up(self, *names: str, delay: float = 0.0) -> list[Member]:
        for name in names:
            self.by_name[name] = Backend(name, delay=delay)
            self.members.append(await self._serve(name, 0))
        return self.members

    async def _serve(self, name: str, port: int) -> Member:
        self.scopes[name] = await self.stack.enter_async_context(contextlib.AsyncExitStack())
        return await self.scopes[name].enter_async_context(serving(self.by_name[name], port))

    async def stop(self, name: str) -> None:
        """Returns when the other ends of its connections are closed too, so that nothing more is sent there."""
        await self.scopes[name].aclose()
        port = next(member.port for member in self.members if member.name == name)
        await eventually(lambda: asyncio.to_thread(closed_by_both, port))

    async def return_empty(self, name: str) -> None:
        self.by_name[name] = Backend(name)
        await self._serve(name, next(member.port for member in self.members if member.name == name))

    def writes(self) -> dict[str, int]:
        return {name: backend.seen["POST"] for name, backend in self.by_name.items()}


def pinned(name: str, policy: str, health: Health = USUAL, retries: int = 1, redispatch: bool = True) -> Balancing:
    return Balancing(policy, name, KEYS[policy] or "session", health, retries, redispatch)


async def test_a_websocket_works_in_both_directions(name: str, place: Place, backends: Backends) -> None:
    members = await backends.bring_up("r0", "r1", "r2")
    async with place.facing(3, pinned(name, "cookie"), members) as (balancer, several):
        for client in several:
            await client.write()
            async with client.http.ws_connect(f"{balancer.url}/chat") as ws:
                headers = ws._response.headers
                assert headers["X-Replica"] == client.members[0], "the upgrade goes where the cookie says"
                for number in range(20):
                    await ws.send_str(str(number))
                    assert await ws.receive_str(timeout=5) == str(number)


async def test_a_websocket_ends_with_its_member_and_the_next_one_goes_elsewhere(
    name: str, place: Place, backends: Backends
) -> None:
    members = await backends.bring_up("r0", "r1")
    async with place.facing(1, Balancing("round_robin", name, health=QUICK), members) as (balancer, (client,)):
        async with client.http.ws_connect(f"{balancer.url}/chat") as ws:
            gone = ws._response.headers["X-Replica"]
            await backends.stop(gone)
            assert (await ws.receive(timeout=8)).type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

        async def elsewhere() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.http.ws_connect(f"{balancer.url}/chat") as ws:
                    return bool(ws._response.headers["X-Replica"] != gone)
            return False

        await eventually(elsewhere)


async def test_round_robin_spreads_evenly(name: str, place: Place, backends: Backends) -> None:
    async with place.facing(6, Balancing("round_robin", name), await backends.bring_up("r0", "r1", "r2")) as (
        _balancer,
        several,
    ):
        for client in several * 10:
            await client.write()
    assert sorted(backends.writes().values()) == [20, 20, 20]


async def test_least_connections_avoids_a_busy_member(name: str, place: Place, backends: Backends) -> None:
    await backends.bring_up("slow", delay=0.5)
    await backends.bring_up("r1", "r2", delay=0.005)
    async with (
        place.facing(6, Balancing("least_connections", name), backends.members) as (_balancer, several),
        writing(several, pause=0.0),
    ):
        for quick in ("r1", "r2"):
            await eventually(_has_seen(backends, quick, 30), within=20.0)
    writes = backends.writes()
    assert 0 < writes["slow"] < min(writes["r1"], writes["r2"]) / 2


@behind(*KEYS)
async def test_affinity_keeps_each_client_on_one_member(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    async with place.facing(40, pinned(name, policy), await backends.bring_up("r0", "r1", "r2")) as (
        _balancer,
        several,
    ):
        for client in several * 4:
            assert await client.write() == 200
        assert [len(set(client.members)) for client in several] == [1] * 40
        assert {client.members[0] for client in several} == {"r0", "r1", "r2"}


@behind(*FOLLOWING)
async def test_a_member_is_asked_with_the_ids_that_it_made_and_with_no_others(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    async with place.facing(12, pinned(name, policy), await backends.bring_up("r0", "r1", "r2")) as (_, several):
        for client in several * 3:
            assert await client.write() == 200
    for backend in backends.by_name.values():
        assert backend.ids_asked_with and backend.ids_asked_with <= backend.ids_made


@behind(*FOLLOWING)
async def test_a_followed_client_whose_member_dies_moves_once_and_stays_where_its_new_id_was_made(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    balancing = pinned(name, policy, PATIENT)
    async with place.facing(9, balancing, await backends.bring_up("r0", "r1", "r2")) as (_, several):
        for client in several:
            assert await client.write() == 200
        dead = several[0].members[0]
        await backends.stop(dead)

        async def none_fails() -> bool:
            return {await client.write() for client in several} == {200}

        await eventually(none_fails)
        await backends.return_empty(dead)
        for client in several * 5:
            assert await client.write() == 200
        for client in several:
            places = [member for n, member in enumerate(client.members) if [member] != client.members[n - 1 : n]]
            assert len(places) == (2 if client.members[0] == dead else 1), places


@pytest.mark.parametrize("name", ["haproxy"], indirect=True)
async def test_the_first_check_after_a_start_a_reload_or_a_return_is_one_of_as_many_as_may_fail(
    name: str, place: Place, backends: Backends
) -> None:
    await backends.bring_up("r0", "r1")

    async def stay_up(balancer: Balancer) -> None:
        async def all_checked() -> bool:
            assert set((await balancer.states()).values()) == {"up"}
            return all(member.checks > 3 for member in backends.by_name.values())

        await eventually(all_checked)

    def fail_twice() -> None:
        for member in backends.by_name.values():
            member.checks, member.checks_to_fail = 0, 2

    fail_twice()
    async with place.up(Balancing("cookie", name, health=Health("200ms", fall=3)), backends.members) as balancer:
        await stay_up(balancer)
        fail_twice()
        assert isinstance(balancer, Reloadable) and (await balancer.reload()).confirmed
        await stay_up(balancer)

        async def down() -> bool:
            return (await balancer.states())["r0"] == "down"

        backends.by_name["r0"].checks_to_fail = 1_000
        await eventually(down)
        fail_twice()
        await balancer.add(backends.members[0])
        await stay_up(balancer)


@behind("hash_cookie", "hash_header")
async def test_a_hash_of_an_id_that_the_service_makes_sends_most_clients_away_from_the_member_that_made_it(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    balancing = Balancing(policy, name, "SID" if policy == "hash_cookie" else "X-Id")
    async with place.facing(90, balancing, await backends.bring_up("r0", "r1", "r2")) as (_, several):
        for client in several * 2:
            assert await client.write() == 200
        moved = [client for client in several if len(set(client.members)) > 1]
        assert 30 <= len(moved) <= 84, "two of three are expected"


@pytest.mark.parametrize("name", [name for name in sorted(SPECS) if "cookie" in SPECS[name].lasting], indirect=True)
async def test_stickiness_ends_after_its_own_lifetime_however_active_the_client_is(
    name: str, place: Place, backends: Backends
) -> None:
    balancing = replace(pinned(name, "cookie"), lasts="2s")
    async with place.facing(1, balancing, await backends.bring_up("r0", "r1", "r2")) as (_, (client,)):

        async def moves() -> bool:
            assert await client.write() == 200
            return len(set(client.members)) > 1

        begin = time.monotonic()
        await eventually(moves, within=30.0)
        assert time.monotonic() - begin > 1.0


@pytest.mark.parametrize(
    "name", [name for name in sorted(SPECS) if "learn_header" in SPECS[name].lasting], indirect=True
)
async def test_a_learned_id_is_forgotten_when_it_was_not_used_for_its_lifetime(
    name: str, place: Place, backends: Backends
) -> None:
    balancing = replace(pinned(name, "learn_header"), lasts="1s")
    async with place.facing(1, balancing, await backends.bring_up("r0", "r1", "r2")) as (_, (client,)):

        async def moves_after_a_pause() -> bool:
            await asyncio.sleep(2.5)
            assert await client.write() == 200
            return len(set(client.members)) > 1

        await eventually(moves_after_a_pause, within=30.0)


@behind("round_robin", "cookie", able="names")
async def test_the_balancer_names_a_member_that_does_not_name_itself_and_no_other(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    members = [replace(member, name=member.name.replace("x", "r")) for member in await backends.bring_up("x0", "x1")]
    silent = Health(path=None)
    async with place.facing(6, Balancing(policy, name, health=silent, names=True), members) as (_balancer, several):
        for client in several * 4:
            assert await client.write() == 200
        assert {member for client in several for member in client.members} == {"r0", "r1"}
        assert Counter(member.replace("r", "x") for c in several for member in c.members) == backends.writes()
        for member in list(backends.members):
            await backends.stop(member.name)
        named = [len(client.members) for client in several]
        for client in several:
            assert await client.write() in (502, 503)
        assert [len(client.members) for client in several] == named


async def test_an_added_member_takes_traffic_without_a_failed_request(
    name: str, place: Place, backends: Backends
) -> None:
    async with (
        place.facing(8, Balancing("round_robin", name), await backends.bring_up("r0", "r1")) as (balancer, several),
        writing(several),
    ):
        await asyncio.sleep(0.1)
        await backends.bring_up("r2")
        await balancer.add(backends.members[2])
        await eventually(_has_seen(backends, "r2", 10))
    assert total(several).keys() <= unharmed(name)


def _has_seen(backends: Backends, name: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return backends.writes()[name] >= count

    return holds


@behind("round_robin", "cookie")
async def test_a_removed_member_gets_nothing_more_and_no_request_fails(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    async with (
        place.facing(8, Balancing(policy, name), await backends.bring_up("r0", "r1", "r2")) as (balancer, several),
        writing(several),
    ):
        await eventually(_has_seen(backends, "r1", 1))
        await balancer.remove("r1")
        after = backends.writes()["r1"]
        await asyncio.sleep(0.2)
    assert after > 0
    assert backends.writes()["r1"] == after
    assert total(several).keys() <= unharmed(name)


async def test_a_removed_member_can_return_at_another_address(name: str, place: Place, backends: Backends) -> None:
    async with place.up(Balancing("round_robin", name), await backends.bring_up("r0", "r1")) as balancer:
        await balancer.remove("r1")
        backends.by_name["r1"] = Backend("r1")
        await balancer.add(await backends._serve("r1", 0))
        async with clients(balancer, 2) as several, writing(several):
            await eventually(_has_seen(backends, "r1", 5))
    assert total(several).keys() <= unharmed(name)


@behind("cookie", able="drain")
async def test_draining_keeps_pinned_clients_and_admits_no_new_ones(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    async with (
        place.up(Balancing(policy, name), await backends.bring_up("r0", "r1")) as balancer,
        clients(balancer, 4) as old,
        clients(balancer, 4) as new,
    ):
        for client in old:
            await client.write()
        await balancer.drain("r1")
        for client in old + new:
            assert await client.write() == 200
        assert Counter(client.members[-1] for client in old) == {"r0": 2, "r1": 2}
        assert {client.members[-1] for client in new} == {"r0"}


@behind("cookie", "hash_cookie", "hash_header", able="redispatch")
async def test_with_redispatch_a_dead_members_clients_move_without_an_error(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    balancing = pinned(name, policy, retries=1, redispatch=True, health=NEVER)
    async with place.facing(12, balancing, await backends.bring_up("r0", "r1", "r2")) as (_balancer, several):
        for client in several:
            await client.write()
        dead = several[0].members[0]
        await backends.stop(dead)
        for client in several:
            assert await client.write() == 200
        moved = [client for client in several if client.members[0] == dead]
        assert moved and all(client.members[1] != dead for client in moved)
        assert all(client.members[0] == client.members[1] for client in several if client not in moved)


def _refused(balancer: Balancer, ops: set[int]) -> Callable[[], Awaitable[bool]]:
    """Whether exactly these are reported as refused; without evidence, no others.

    A reply is sent a moment before its line is logged.
    """

    async def holds() -> bool:
        refused = {refusal.op for refusal in balancer.refusals()}
        return refused <= ops if "evidence" in SPECS[balancer.name].lacks else refused == ops

    return holds


async def test_without_redispatch_a_dead_members_clients_fail_until_it_counts_as_down(
    name: str, place: Place, backends: Backends
) -> None:
    balancing = pinned(name, "cookie", retries=0, redispatch=False, health=QUICK)
    async with place.facing(2, balancing, await backends.bring_up("r0", "r1")) as (balancer, several):
        for client in several:
            await client.write()
        victim = next(client for client in several if client.members == ["r1"])

        async def answered() -> bool:
            return victim.members[-1] == "r0"

        async with writing([victim]):
            await backends.stop("r1")
            await eventually(answered)
        assert victim.statuses.keys() <= {200, 502, 503, 0}

        async def failed_writes_are_refused() -> bool:
            failed = {op for op, status in victim.sent.items() if status != 200}
            refused = {refusal.op for refusal in balancer.refusals()}
            # What was in flight is in doubt: with one client that is one at most.
            return refused <= failed and ("evidence" in SPECS[name].lacks or len(failed - refused) <= 1 <= len(refused))

        await eventually(failed_writes_are_refused)


async def test_without_retries_a_failed_connect_reaches_the_client(name: str, place: Place, backends: Backends) -> None:
    seen = {}
    await backends.bring_up("r0", "r1")
    for retries in (0, 1):
        balancing = Balancing("round_robin", name, retries=retries, redispatch=True, health=NEVER)
        async with place.up(balancing, backends.members) as balancer, clients(balancer, 1) as (client,):
            await backends.stop("r1")
            for _ in range(4):
                await client.write()
            seen[retries] = client.statuses[200]
        await backends.return_empty("r1")
    assert seen == {0: 2, 1: 4}


@behind("hash_cookie", "hash_header", "source")
async def test_an_empty_member_that_returns_gets_its_hashed_clients_back(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    balancing = pinned(name, policy, health=QUICK)
    async with place.facing(1, balancing, await backends.bring_up("r0", "r1")) as (_balancer, several):
        for client in several:
            await client.write()
        victim = several[0]
        home, other = victim.members[0], {"r0": "r1", "r1": "r0"}[victim.members[0]]

        def reaches(member: str) -> Callable[[], Awaitable[bool]]:
            async def holds() -> bool:
                return await victim.write() == 200 and victim.members[-1] == member

            return holds

        await backends.stop(home)
        await eventually(reaches(other))
        await backends.return_empty(home)
        await eventually(reaches(home))


DEATHS = [
    (name, policy, redispatch)
    for name in sorted(SPECS)
    for policy, redispatch in (("cookie", False), ("round_robin", True), ("round_robin", False))
    if (policy, redispatch) != ("round_robin", False) or name in ("haproxy", "nginx")
]


async def test_the_probe_of_the_harness_in_http_1_0_is_answered(name: str, place: Place, backends: Backends) -> None:
    async with place.up(Balancing(name=name), await backends.bring_up("r0")) as balancer:
        assert await ReadinessProbe("/").problem("127.0.0.1", urlsplit(balancer.url).port or 0) == ""


@behind("connection")
async def test_each_new_connection_is_balanced_again(name: str, policy: str, place: Place, backends: Backends) -> None:
    members = await backends.bring_up("r0", "r1", "r2")
    async with place.up(Balancing(policy, name), members) as balancer:
        for _ in range(3):
            async with clients(balancer, 1) as (client,):
                assert [await client.write() for _ in range(3)] == [200] * 3
    assert backends.writes() == {"r0": 3, "r1": 3, "r2": 3}


@behind("connection")
async def test_an_open_connection_keeps_its_member_while_others_join_and_leave(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    members = list(await backends.bring_up("r0", "r1"))
    async with (
        place.facing(4, Balancing(policy, name), members) as (balancer, old),
        clients(balancer, 4) as new,
    ):
        for client in old:
            await client.write()
        await backends.bring_up("r2")
        await balancer.add(backends.members[2])
        await balancer.remove("r1")
        for client in old + new:
            assert await client.write() == 200
        assert [len(set(client.members)) for client in old] == [1] * 4
        assert Counter(client.members[-1] for client in old) == {"r0": 2, "r1": 2}
        assert Counter(client.members[-1] for client in new) == {"r0": 2, "r2": 2}
        assert isinstance(balancer, Reloadable)
        assert (await balancer.reload()).confirmed
        for client in old + new:
            assert await client.write() == 200
        assert [len(set(client.members)) for client in old + new] == [1] * 8


@behind("connection")
async def test_a_failed_connect_is_retried_with_another_member_or_ends_without_a_reply(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    seen = {}
    await backends.bring_up("r0", "r1")
    await backends.stop("r1")
    for retries in (0, 1):
        balancing = Balancing(policy, name, retries=retries, redispatch=True, health=NEVER)
        async with place.facing(4, balancing, backends.members) as (balancer, several):
            for client in several:
                await client.write()
            seen[retries] = total(several)
            assert balancer.refusals() == ()
    assert seen == {0: {200: 2, 0: 2}, 1: {200: 4}}


@pytest.mark.parametrize(("name", "policy", "redispatch"), DEATHS, indirect=["name"])
async def test_a_refusal_is_never_an_applied_write(
    name: str, policy: str, redispatch: bool, place: Place, tmp_path: Path
) -> None:
    balancing = Balancing(policy, name, retries=int(redispatch), redispatch=redispatch)
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(member_process(f"r{number}", tmp_path)) for number in range(3)]
        async with (
            place.facing(40, balancing, [process.member for process in processes]) as (balancer, several),
            writing(several, pause=0.0),
        ):
            await asyncio.sleep(0.5)
            processes[1].process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.5)
            processes[2].process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.5)
            processes[0].process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.2)
            refused = {refusal.op for refusal in balancer.refusals()}
    applied = {int(op, 16) for process in processes for op in process.journal.read_text().split()}
    answered = {op: status for client in several for op, status in client.sent.items()}
    assert not refused & applied
    assert refused or "evidence" in SPECS[name].lacks
    assert {answered[op] for op in refused} <= {502, 503, 504}
    # What a member received but could not answer is in doubt, and there were such writes.
    assert {op for op, status in answered.items() if status != 200} & applied


@dataclass
class MemberProcess:
    """A member in its own process."""

    member: Member
    process: subprocess.Popen[bytes]
    journal: Path


@contextlib.contextmanager
def member_process(name: str, folder: Path) -> Iterator[MemberProcess]:
    journal = folder / f"{name}.journal"
    with reserved_port() as port:
        argv = [sys.executable, "-m", "tests.support.balancers", name, str(port), str(journal)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            try:
                yield MemberProcess(Member(name, "127.0.0.1", port), process, journal)
            finally:
                process.kill()


async def test_a_reload_keeps_the_members_and_fails_no_request_between_two_connections(
    name: str, place: Place, backends: Backends
) -> None:
    async with place.facing(6, Balancing("cookie", name), await backends.bring_up("r0", "r1", "r2")) as (
        balancer,
        several,
    ):
        for client in several:
            await client.write()
        await balancer.remove("r2")
        assert isinstance(balancer, Reloadable)
        evidence = await balancer.reload()
        assert evidence.confirmed and balancer.pid == evidence.facts["pid"]
        for client in several:
            assert await client.write() in (200, 0)  # a kept connection may be cut, a new one may not
            assert await client.write() == 200
        assert {client.members[-1] for client in several} <= {"r0", "r1"}
        stayed = [client for client in several if client.members[0] != "r2"]
        assert stayed and all(len(set(client.members)) == 1 for client in stayed)


@behind("round_robin", "connection")
async def test_a_killed_balancer_restarts_on_its_port_with_its_members(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    async with place.facing(4, Balancing(policy, name), await backends.bring_up("r0", "r1")) as (
        balancer,
        several,
    ):
        await balancer.remove("r1")
        assert isinstance(balancer, Killable)
        assert (await balancer.kill()).confirmed
        assert balancer.pid is None
        assert [await client.write() for client in several] == [0] * 4
        assert not (await balancer.kill()).confirmed
        assert (await balancer.restart()).confirmed
        assert [await client.write() for client in several] == [200] * 4
        assert {client.members[-1] for client in several} == {"r0"}
        pid = balancer.pid
        assert (await balancer.restart()).confirmed and balancer.pid == pid
        assert place.supervisor.deaths.empty()


OWN = {
    "haproxy": """\
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch

frontend public
    bind {bind}
    default_backend shop

backend shop
    balance roundrobin
    cookie SRV insert indirect
    http-response set-header X-Replica %s
    default-server inter 200ms fall 2 rise 1
    server {name} {address} check cookie {name}
""",
    "nginx": """\
events {}
http {
    map $upstream_addr $replica {
        default "";
        {address} {name};
    }
    upstream shop {
        zone shop 1m;
        server {address} route={name} max_fails=2 fail_timeout=1s;
        sticky cookie SRV path=/;
    }
    server {
        listen {bind} reuseport;
        proxy_hide_header X-Replica; # which the members of these tests set, too
        add_header X-Replica $replica always;
        location / { proxy_pass http://shop; }
    }
}
""",
}


@pytest.mark.parametrize("name", sorted(OWN), indirect=True)
async def test_a_configuration_of_the_users_own_gets_the_members_and_their_changes(
    name: str, place: Place, backends: Backends, tmp_path: Path
) -> None:
    file = tmp_path / "own.cfg"
    file.write_text(OWN[name])
    balancing = Balancing(config=file, names=True)
    require(Design("mine", balancing=balancing))
    members = [replace(member, name=member.name.replace("x", "r")) for member in await backends.bring_up("x0", "x1")]
    async with place.facing(6, balancing, members) as (balancer, several):
        assert balancer.name == name
        for client in several * 4:
            assert await client.write() == 200
        assert [len(set(client.members)) for client in several] == [1] * 6, "as the file says"
        assert {client.members[0] for client in several} == {"r0", "r1"}, "the names of the balancer"
        await balancer.remove("r0")
        assert [await client.write() for client in several] == [200] * 6
        assert {client.members[-1] for client in several} == {"r1"}
        await balancer.add(members[0])
        (third,) = (await backends.bring_up("x2"))[2:]
        await balancer.add(replace(third, name="r2"))

        async def all_are_used() -> bool:
            async with clients(balancer, 6) as fresh:
                return {await client.write() for client in fresh} == {200} and {
                    client.members[0] for client in fresh
                } == {"r0", "r1", "r2"}

        await eventually(all_are_used)
        assert isinstance(balancer, Reloadable)
        assert (await balancer.reload()).confirmed
        assert set((await balancer.states()).values()) <= {"up"}
        assert isinstance(balancer, Killable)
        assert (await balancer.kill()).confirmed
        assert (await balancer.restart()).confirmed
        await eventually(all_are_used)


MOVES = {"hash_header": 1 / 4, "maglev_header": 1 / 4, "modulo_header": 3 / 4}


@behind(*MOVES)
async def test_one_more_member_moves_the_share_that_its_hash_predicts(
    name: str, policy: str, place: Place, backends: Backends
) -> None:
    await backends.bring_up("r0", "r1", "r2", "r3")
    async with place.facing(80, Balancing(policy, name, "X-Session"), backends.members[:3]) as (balancer, several):
        for client in several:
            assert await client.write() == 200
        await balancer.add(backends.members[3])

        async def moved_as_predicted() -> bool:  # not at once: nginx serves its open connections for another second
            for client in several:
                assert await client.write() in unharmed(name)
            moved = [client for client in several if client.members[0] != client.members[-1]]
            return abs(len(moved) / len(several) - MOVES[policy]) < 0.15 and "r3" in {
                client.members[-1] for client in moved
            }

        await eventually(moved_as_predicted)


async def test_states_are_those_that_the_balancer_sees_or_empty(name: str, place: Place, backends: Backends) -> None:
    balancing = Balancing("cookie", name, health=QUICK)
    async with place.up(balancing, await backends.bring_up("r0", "r1", "r2", "r3")) as balancer:
        if "states" in SPECS[name].lacks:
            assert await balancer.states() == {}
            return
        await backends.stop("r1")
        await balancer.drain("r2")
        await balancer.remove("r3")

        async def states_are_known() -> bool:
            return await balancer.states() == {"r0": "up", "r1": "down", "r2": "drain"}

        await eventually(states_are_known)


async def test_a_taken_port_is_an_error_that_names_it(name: str, supervisor: Supervisor, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        scope = start(
            Balancing(name=name),
            [Member("r0", "127.0.0.1", 1)],
            supervisor,
            scratch=supervisor.scratch,
            logs=tmp_path,
            port=port,
        )
        with pytest.raises(EnvironmentLacksError, match=f"port is taken.*{port}"):
            await scope.__aenter__()


# The balancers in Go resolve a name when they connect: they accept any.
@pytest.mark.parametrize("name", ["envoy", "haproxy", "nginx"], indirect=True)
async def test_a_rejected_configuration_is_an_error_with_the_balancers_own_message(name: str, place: Place) -> None:
    with pytest.raises(HarnessError) as error:
        async with place.up(Balancing(name=name), [Member("r0", "no such host!", 1)]):
            pass
    assert "such" in error.value.hint


async def test_an_unknown_member_is_an_error(name: str, place: Place, backends: Backends) -> None:
    async with place.up(Balancing(name=name), await backends.bring_up("r0")) as balancer:
        for change in (balancer.remove, balancer.drain):
            with pytest.raises(HarnessError):
                await change("r9")


async def test_with_all_members_removed_every_write_is_refused(name: str, place: Place, backends: Backends) -> None:
    async with (
        place.up(Balancing(name=name), await backends.bring_up("r0")) as balancer,
        clients(balancer, 1) as (client,),
    ):
        await balancer.remove("r0")
        assert await client.write() in (502, 503)
        await eventually(_refused(balancer, set(client.sent)))


async def test_its_processes_end_with_the_scope(name: str, place: Place, backends: Backends) -> None:
    async with place.up(Balancing(name=name), await backends.bring_up("r0")) as balancer:
        assert balancer.pid is not None
        processes = [psutil.Process(balancer.pid), *psutil.Process(balancer.pid).children(recursive=True)]
        assert all(process.is_running() for process in processes)
    assert balancer.pid is None
    assert not any(process.is_running() for process in processes)
