"""What balancers and stores promise, held to them in containers and in pods: the suites of each run over processes."""

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from harness.cluster.backends import open_backend
from harness.cluster.capabilities import HasLeader, Killable, Reloadable, Replicating
from harness.cluster.containers import connect_engine
from harness.cluster.containers.image import image
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until
from harness.runner.image_support import BALANCERS, STORES
from harness.runner.kubernetes_support import require_cluster
from harness.scenario.balancing import Balancing
from harness.scenario.cluster_access import DEFAULT_ACCESS
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from tests.support.stores import DURABLE

pytestmark = [pytest.mark.slow, pytest.mark.long]

SOON = 30.0  # seconds
PLACES = [pytest.param("docker", marks=pytest.mark.xdist_group("docker"))]
PLACES += [pytest.param("kubernetes", marks=pytest.mark.xdist_group("pods"))]
Ask = Callable[[str], Awaitable[int | None]]
Up = Callable[[Design], AbstractAsyncContextManager[Topology]]


@pytest.fixture(params=PLACES)
def up(request: pytest.FixtureRequest, tmp_path: Path) -> Up:
    place = str(request.param)
    try:
        if place == "docker":
            image(connect_engine())
        else:
            request.getfixturevalue("kept_cluster")
            require_cluster(DEFAULT_ACCESS)
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")

    @asynccontextmanager
    async def bring_up(design: Design) -> AsyncIterator[Topology]:
        clock, run = Clock(), uuid.uuid4().hex[:12]
        clock.t0_ns = time.monotonic_ns()
        async with start_supervisor(run) as supervisor, open_backend(place, supervisor, run) as backend:
            async with backend.topology(design, tmp_path, clock) as topology:
                yield topology
            assert supervisor.deaths.empty()

    return bring_up


@asynccontextmanager
async def visitor(topology: Topology) -> AsyncIterator[Ask]:
    """A client with cookies: ``/cart/add`` writes, ``/cart`` reads. It returns the session's count, or None."""
    jar, patience = aiohttp.CookieJar(unsafe=True, quote_cookie=False), aiohttp.ClientTimeout(5)
    async with aiohttp.ClientSession(topology.url, cookie_jar=jar, timeout=patience) as http:

        async def ask(path: str) -> int | None:
            body = {"item": "tea"} if path == "/cart/add" else None
            try:
                async with http.request("POST" if body else "GET", path, json=body) as reply:
                    return int((await reply.json())["session"]["count"]) if reply.status == 200 else None
            except (aiohttp.ClientError, TimeoutError):
                return None

        yield ask


@pytest.mark.parametrize("state", STORES)
async def test_a_store_keeps_what_it_promises_when_it_is_killed(up: Up, state: str) -> None:
    design = Design("plain", BuiltIn(state=state), Balancing("round_robin", name="haproxy"))
    async with up(design) as topology, visitor(topology) as ask:
        assert [await ask("/cart/add"), await ask("/cart/add"), await ask("/cart")] == [1, 2, 2]
        store = topology.store
        assert isinstance(store, Killable)
        if isinstance(store, Replicating):
            assert (await store.cut_replication()).confirmed and (await store.restore_replication()).confirmed
        if isinstance(store, HasLeader):
            assert (await store.kill_primary()).confirmed
            await answers(ask, 2)  # another one leads
            assert (await store.restart_primary()).confirmed
        assert (await store.kill()).confirmed and store.pids == ()
        assert await ask("/cart") is None
        assert (await store.restart()).confirmed
        await answers(ask, 2 if state in DURABLE else 0)


async def answers(ask: Ask, count: int) -> None:
    """Wait until there is an answer, which has to show this count."""

    async def answered() -> bool:
        return await ask("/cart") is not None

    assert await wait_until(answered, SOON, 0.2)
    assert await ask("/cart") == count


@pytest.mark.parametrize("name", BALANCERS)
async def test_a_balancer_follows_its_members_and_comes_back(up: Up, name: str) -> None:
    design = Design("plain", BuiltIn(state="memory"), Balancing("cookie", name=name), replicas=2)
    async with up(design) as topology, visitor(topology) as ask:
        balancer, replica = topology.balancer, topology.replicas[1]
        assert await ask("/cart/add") == 1
        assert isinstance(replica, Killable) and (await replica.kill()).confirmed
        assert (await replica.restart()).confirmed
        await topology.wait_until_healthy()
        await topology.balancer.add((await topology.grow()).member)
        await topology.wait_until_healthy()
        if name != "haproxy":  # its new process has no container of its own
            assert isinstance(balancer, Reloadable) and (await balancer.reload()).confirmed
        assert isinstance(balancer, Killable) and (await balancer.kill()).confirmed
        assert await ask("/cart") is None
        assert (await balancer.restart()).confirmed
        await topology.wait_until_healthy()
        assert await ask("/cart") in (0, 1)
