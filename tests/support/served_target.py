"""An app over a store behind a real HTTP server, and a client that keeps its cookies, all in this process."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import BaseTestServer, RawTestServer, TestClient

from targets.apps import App, AppContext
from targets.common.settings import Settings
from targets.server.capacity import Slots
from targets.server.service import Service, open_app
from targets.state import SessionStore
from targets.storage.journal import Journal

SETTINGS = Settings(replica="r7", boot="b00")


@dataclass
class Reply:
    status: int
    headers: Any
    body: Any

    @property
    def session(self) -> Any:
        return self.body["session"]


class Client:
    """One client of a server, with its own cookies."""

    def __init__(self, server: BaseTestServer, owner: str = "u17") -> None:
        self.http: TestClient[web.BaseRequest, Any] = TestClient(server, cookie_jar=CookieJar(unsafe=True))
        self.owner = owner

    def forget(self) -> None:
        """Drop all cookies, so that a test can send others."""
        self.http.session.cookie_jar.clear()

    async def get(self, path: str, **headers: str) -> Reply:
        return await self._reply(await self.http.get(path, headers=self._headers(headers)))

    async def post(self, path: str, body: object = None, *, op: str | None = None, **headers: str) -> Reply:
        if op is not None:
            headers["Idempotency-Key"] = op
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self._reply(await self.http.post(path, data=data, headers=self._headers(headers)))

    async def put(self, path: str, body: object, **headers: str) -> Reply:
        return await self._reply(
            await self.http.put(path, data=json.dumps(body).encode(), headers=self._headers(headers))
        )

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"X-User": self.owner, **{name.replace("_", "-"): value for name, value in more.items()}}

    async def _reply(self, response: ClientResponse) -> Reply:
        text = await response.text()
        return Reply(response.status, response.headers, json.loads(text) if text else None)


@asynccontextmanager
async def run_server(
    app: App,
    store: SessionStore,
    settings: Settings = SETTINGS,
    journal: Journal | None = None,
    slots: Slots | None = None,
) -> AsyncIterator[BaseTestServer]:
    """A server that runs one service."""
    context = AppContext(store, journal or Journal(None, settings), settings)
    service = Service(settings, app.create_routes(context), store, slots, nonce="mine")
    async with open_app(store, context.background), RawTestServer(service.handle) as server:
        yield server


@asynccontextmanager
async def client_of(app: App, store: SessionStore, **more: Any) -> AsyncIterator[Client]:
    """A client of a server that runs one service."""
    async with run_server(app, store, **more) as server:
        client = Client(server)
        yield client
        await client.http.close()
