"""The cart as a function: real processes that answer one call at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil
import pytest
from aiohttp.test_utils import RawTestServer

from targets.apps import AppContext, function
from targets.common.settings import Options, SettingsError
from targets.registry import STATES
from targets.server.service import Service, open_app
from targets.state import token
from targets.state.none import NullStore
from targets.storage.journal import Journal
from tests.support.served_target import SETTINGS, Client


@asynccontextmanager
async def _client_of(warm: str) -> AsyncIterator[Client]:
    settings = replace(SETTINGS, secret="s" * 32, state="token", options=Options({"warm": warm}))
    store = token.create_store(settings)
    context = AppContext(store, Journal(None, settings), settings)
    service = Service(settings, function.create_routes(context), store)
    async with open_app(store, context.background), RawTestServer(service.handle) as server:
        client = Client(server)
        yield client
        await client.http.close()


def _workers() -> set[int]:
    return {child.pid for child in psutil.Process().children() if "targets.server.worker" in child.cmdline()}


@pytest.mark.slow
async def test_every_call_has_a_cold_start_and_leaves_no_process() -> None:
    async with _client_of(warm="0") as client:
        added = await client.post("/cart/add", {"item": "tea"})
        shown_cart = await client.get("/cart")
        assert (shown_cart.status, shown_cart.body["items"]) == (200, {"tea": 1})
        assert shown_cart.session == added.session
        assert {float(reply.headers["X-Cold-Start"]) > 0 for reply in (added, shown_cart)} == {True}
        assert shown_cart.headers["X-Replica"] == "r7"
        assert not _workers()


@pytest.mark.slow
async def test_a_process_is_kept_warm_until_the_end_and_one_that_died_is_replaced() -> None:
    async with _client_of(warm="1") as client:
        first, second = await client.get("/cart"), await client.get("/cart")
        assert "X-Cold-Start" in first.headers
        assert "X-Cold-Start" not in second.headers
        [pid] = _workers()
        psutil.Process(pid).kill()
        assert (await client.get("/cart")).status == 503
        assert "X-Cold-Start" in (await client.get("/cart")).headers
        assert (await client.post("/cart/add", {})).status == 400
        assert len(_workers()) == 1
    assert not _workers()


@pytest.mark.parametrize("state", [name for name in STATES if name != "token"])
def test_a_state_that_would_be_lost_with_the_process_is_refused_with_the_reason(state: str) -> None:
    settings = replace(SETTINGS, state=state)
    with pytest.raises(SettingsError, match="keeps nothing"):
        function.create_routes(AppContext(NullStore(), Journal(None, settings), settings))


def test_a_state_in_a_store_is_accepted() -> None:
    settings = replace(SETTINGS, state="redis", store="redis://127.0.0.1:1/0")
    assert "/cart" in function.create_routes(AppContext(NullStore(), Journal(None, settings), settings))


@pytest.mark.parametrize("warm", ["-1", "x", "33"])
def test_a_wrong_pool_size_is_refused(warm: str) -> None:
    settings = replace(SETTINGS, state="token", options=Options({"warm": warm}))
    with pytest.raises(SettingsError, match="from 0 to 32"):
        function.create_routes(
            AppContext(
                token.create_store(replace(settings, secret="s", options=Options())), Journal(None, settings), settings
            )
        )
