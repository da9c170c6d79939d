"""Logins by every scheme: the check of each, and the effect of a logout."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from targets.apps import AppContext, login
from targets.common.settings import Options, Settings, SettingsError
from targets.http.keys import Keyring
from targets.server.capacity import Slots
from targets.server.service import Service, open_app
from targets.state import SessionStore
from targets.state.memory import Memory
from targets.state.token import Token
from targets.storage.journal import Journal
from tests.support.served_target import SETTINGS, Client

SCHEMES = ("jwt", "session", "opaque")


def _store(scheme: str, ttl: float = 60.0) -> SessionStore:
    return Token(Keyring("s"), ttl) if scheme == "jwt" else Memory(ttl)


def _settings(scheme: str, **peers: str) -> Settings:
    state = "token" if scheme == "jwt" else "memory"
    return replace(SETTINGS, options=Options({"scheme": scheme}), state=state, peers=peers)


@asynccontextmanager
async def _client_of(
    scheme: str, ttl: float = 60.0, slots: Slots | None = None, auth: str | None = None
) -> AsyncIterator[Client]:
    """The only client of a service, which serves introspection itself unless ``auth`` is another address."""
    services: list[Service] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await services[0].handle(request)

    async with RawTestServer(answer) as server:
        settings, store = _settings(scheme, r7=auth or f"{server.host}:{server.port}"), _store(scheme, ttl)
        context = AppContext(store, Journal(None, settings), settings)
        services.append(Service(settings, login.create_routes(context), store, slots))
        async with open_app(store, context.background):
            client = Client(server)
            yield client
            await client.http.close()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_login_is_known_until_it_logs_out(scheme: str) -> None:
    async with _client_of(scheme) as client:
        assert (await client.get("/me")).status == 401
        made = await client.post("/login")
        assert made.session["owner"] == "u17"
        assert (await client.get("/me")).session == made.session
        assert (await client.post("/logout")).body == {"logged_out": True}
        assert (await client.get("/me")).status == 401


@pytest.mark.parametrize(("scheme", "lives_on"), [("jwt", True), ("session", False), ("opaque", False)])
async def test_only_a_jwt_outlives_its_logout(scheme: str, lives_on: bool) -> None:
    async with _client_of(scheme) as client:
        stolen = (await client.post("/login")).body["access_token"]
        await client.post("/logout")
        assert (await client.get("/me", Authorization=f"Bearer {stolen}")).status == (200 if lives_on else 401)
        reply = await client.post("/introspect", urlencode({"token": stolen}).encode())
        assert reply.body["active"] is lives_on


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_login_expires(scheme: str) -> None:
    async with _client_of(scheme, ttl=0.01) as client, asyncio.timeout(10):
        await client.post("/login")
        while (await client.get("/me")).status != 401:
            pass  # asked again until it has: the deadline is above


async def test_introspection_answers_as_rfc_7662_requires() -> None:
    async with _client_of("opaque") as client:
        made = await client.post("/login")
        reply = await client.post("/introspect", urlencode({"token": made.body["access_token"]}).encode())
        assert reply.body == {"active": True, "sub": "u17", "token_type": "Bearer", "session": made.session}
        assert (await client.post("/introspect", b"token=unknown")).body == {"active": False}
        assert (await client.post("/introspect", b"")).status == 400


async def test_a_check_by_introspection_does_not_wait_for_the_slot_that_its_request_holds() -> None:
    async with _client_of("opaque", slots=Slots(0.001, 1)) as client:
        await client.post("/login")
        assert (await client.get("/me")).status == 200


async def test_without_the_authorisation_server_the_check_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        unused_address = f"127.0.0.1:{free.getsockname()[1]}"
    async with _client_of("opaque", auth=unused_address) as client:
        await client.post("/login")
        reply = await client.get("/me")
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("state", "options", "reply"),
    [
        ("memory", {"scheme": "jwt"}, "give it --state token"),
        ("token", {"scheme": "opaque"}, "another state than token"),
        ("token", {"scheme": "session"}, "another state than token"),
        ("memory", {"scheme": "kerberos"}, "not known"),
        ("memory", {"scheme": "opaque"}, "--peers has only"),
        ("memory", {"scheme": "opaque", "auth": "r9"}, "needs the address of the replica r9"),
    ],
)
def test_a_scheme_that_cannot_work_is_refused_with_a_reason(state: str, options: dict[str, str], reply: str) -> None:
    settings = replace(SETTINGS, state=state, options=Options(options))
    with pytest.raises(SettingsError, match=reply):
        login.create_routes(AppContext(_store("jwt" if state == "token" else ""), Journal(None, settings), settings))
