import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import web

from targets.apps import AppContext, cart, echo
from targets.http.routes import Routes
from targets.server.capacity import Slots
from targets.server.service import Service, open_app
from targets.state.memory import Memory
from targets.state.none import NullStore
from tests.support.served_target import SETTINGS, Client, client_of, run_server


async def test_every_reply_names_its_replica() -> None:
    async with client_of(cart, Memory()) as client:
        replies = [
            await client.get("/healthz"),
            await client.get("/cart"),
            await client.get("/nowhere"),
            await client.get("/checkout"),
            await client.post("/cart/add", b"{"),
            await client.post("/cart/add", b"x" * 2_000_000),
        ]
        assert [reply.status for reply in replies] == [200, 200, 404, 405, 400, 413]
        assert {(reply.headers["X-Replica"], reply.headers["X-Boot"]) for reply in replies} == {("r7", "b00")}


async def test_health_returns_the_nonce() -> None:
    async with client_of(echo, NullStore()) as client:
        reply = await client.get("/healthz")
        assert reply.body == {"status": "ok", "nonce": "mine", "replica": "r7", "boot": "b00", "opened_s": 0.0}


async def test_the_path_ends_before_the_query() -> None:
    async with client_of(echo, NullStore()) as client:
        assert (await client.get("/?a=1")).status == 200


async def test_while_the_service_stops_health_is_503_and_connections_end() -> None:
    service = Service(SETTINGS, echo.create_routes(AppContext(NullStore(), None, SETTINGS)), NullStore())  # type: ignore[arg-type]  # echo has no effects
    service.drain()
    request = SimpleNamespace(method="GET", raw_path="/healthz", headers={})
    response = await service.handle(request)  # type: ignore[arg-type]  # only these are looked at
    assert response.status == 503
    assert response.keep_alive is False


class Gate:
    """An app that counts how many requests are inside, and holds them until the gate opens."""

    OPTIONS: tuple[str, ...] = ()
    KEEPS_SESSIONS = False

    def __init__(self) -> None:
        self.inside = 0
        self.two = asyncio.Event()
        self.open = asyncio.Event()

    async def enter(self, request: web.BaseRequest) -> web.Response:
        self.inside += 1
        if self.inside == 2:
            self.two.set()
        await self.open.wait()
        self.inside -= 1
        return web.json_response({})

    def create_routes(self, context: AppContext) -> Routes:
        return {"/": {"GET": self.enter}}


async def test_no_more_requests_than_slots_run_at_once_and_health_does_not_wait() -> None:
    gate = Gate()
    async with run_server(gate, NullStore(), slots=Slots(0.001, 2)) as server:
        client = Client(server)
        waiting = [asyncio.create_task(client.get("/")) for _ in range(5)]
        await gate.two.wait()
        await asyncio.sleep(0.05)
        assert gate.inside == 2
        assert (await client.get("/healthz")).status == 200
        gate.open.set()
        assert [reply.status for reply in await asyncio.gather(*waiting)] == [200] * 5
        await client.http.close()


async def _time_to_run(slots: Slots, requests: int) -> float:
    async def nothing() -> None:
        return None

    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(slots.run(nothing) for _ in range(requests)))
    return loop.time() - began


async def _least_time_to_run(slots: Slots, requests: int) -> float:
    """The least of several times: a busy machine only makes them longer."""
    return min([await _time_to_run(slots, requests) for _ in range(5)])


@pytest.mark.slow  # it takes seconds
async def test_twice_the_slots_take_half_the_time() -> None:
    one, two = await _least_time_to_run(Slots(0.005, 1), 20), await _least_time_to_run(Slots(0.005, 2), 20)
    assert 1.7 < one / two < 2.3


@pytest.mark.slow  # it takes seconds
async def test_late_timers_do_not_add_up() -> None:
    # the loop rounds 2.5 ms up to 3, so 80 timers in a row would take 1.2 times as long
    assert 1.0 <= await _least_time_to_run(Slots(0.0025, 1), 80) / (80 * 0.0025) < 1.1


async def test_a_request_that_fails_frees_its_slot() -> None:
    slots = Slots(0.001, 1)

    async def fails() -> None:
        raise ZeroDivisionError

    for _ in range(3):
        try:
            await asyncio.wait_for(slots.run(fails), 1)
        except ZeroDivisionError:
            continue
        raise AssertionError("the failure did not come through")


async def test_background_work_begins_once_the_store_is_open_and_ends_before_it_is_closed() -> None:
    steps: list[str] = []

    class Store(NullStore):
        async def open(self) -> None:
            steps.append("open")

        async def close(self) -> None:
            steps.append("close")

    @asynccontextmanager
    async def working() -> AsyncIterator[None]:
        steps.append("begin")
        yield
        steps.append("end")

    async with open_app(Store(), [working, working]):
        steps.append("ready")
    assert steps == ["open", "begin", "begin", "ready", "end", "end", "close"]
