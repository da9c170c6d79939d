"""Chat and game over WebSockets, in this process: answers, receivers, and the end of a connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, CookieJar, WSCloseCode, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import BaseTestServer, TestClient

from targets.apps import AppContext, chat, game
from targets.common.session import token
from targets.common.settings import Options, Settings, SettingsError
from targets.http.errors import UnavailableError
from targets.server import catalog
from targets.server.capacity import Slots
from targets.sessions.bus import LocalBus, RoomMessage, is_later
from targets.state import SessionStore
from targets.state.memory import Memory
from targets.storage.journal import Journal
from tests.support.served_target import run_server

OPS = [f"{n:016x}" for n in range(1, 9)]
DEADLINE = 20


class Player:
    """One client with a WebSocket."""

    def __init__(self, server: BaseTestServer, owner: str) -> None:
        self.http: TestClient[Any, Any] = TestClient(server, cookie_jar=CookieJar(unsafe=True))
        self.owner = owner

    async def join(self, path: str) -> "Player":
        headers = {"X-User": self.owner, "X-Writer": self.owner[1:]}
        self.ws: ClientWebSocketResponse[Any] = await self.http.ws_connect(path, headers=headers)
        return self

    async def leave(self) -> None:
        await self.ws.close()
        await self.http.session.close()

    async def send(self, **fields: object) -> None:
        await self.ws.send_str(json.dumps(fields))

    async def receive(self) -> Any:
        message = await self.ws.receive(DEADLINE)
        assert message.type is WSMsgType.TEXT, message
        return json.loads(message.data)

    async def ask(self, **fields: object) -> Any:
        """Send a message and return its answer; other messages that come before it are skipped."""
        await self.send(**fields)
        while True:
            message = await self.receive()
            if message.get("op") == fields["op"]:
                return message

    async def get(self, path: str) -> Any:
        async with self.http.get(path, headers={"X-User": self.owner, "X-Writer": self.owner[1:]}) as response:
            return await response.json()


@asynccontextmanager
async def players(
    app: ModuleType, count: int, path: str, store: SessionStore | None = None, **more: Any
) -> AsyncIterator[list[Player]]:
    async with run_server(app, store or Memory(), **more) as server:
        members = [await Player(server, f"u{n}").join(path) for n in range(1, count + 1)]
        yield members
        for player in members:
            await player.leave()


async def test_a_message_is_a_write_and_the_others_in_the_room_receive_it() -> None:
    async with players(chat, 3, "/chat?room=7") as (one, two, three):
        answer = await one.ask(op=OPS[0], text="hello")
        assert answer["session"] == {
            "birth": answer["session"]["birth"],
            "owner": "u1",
            "count": 1,
            "last": OPS[0],
            "digest": f"{token(OPS[0]):016x}",
        }
        message = {"room": "7", "from": "u1", "n": 1, "op": OPS[0], "text": "hello"}
        assert [await two.receive(), await three.receive()] == [message, message]
        assert (await one.get("/chat"))["session"] == answer["session"], "the cookie came with the upgrade"


async def test_a_member_receives_neither_messages_of_other_rooms_nor_earlier_ones() -> None:
    async with run_server(chat, Memory()) as server:
        here, there = await Player(server, "u1").join("/chat?room=1"), await Player(server, "u2").join("/chat?room=2")
        await here.ask(op=OPS[0], text="hello")
        late = await Player(server, "u3").join("/chat?room=1")
        await here.ask(op=OPS[1], text="again")
        assert (await late.receive())["op"] == OPS[1]
        await there.ask(op=OPS[2], text="mine")  # its answer is the first it hears
        for player in (here, there, late):
            await player.leave()


async def test_the_upgrade_names_the_replica_and_keeps_an_existing_session() -> None:
    async with run_server(chat, Memory()) as server:
        player = await Player(server, "u1").join("/chat")
        headers = player.ws._response.headers
        assert (headers["X-Replica"], headers["X-Boot"]) == ("r7", "b00")
        first = await player.ask(op=OPS[0], text="hello")
        await player.ws.close()
        await player.join("/chat")
        second = await player.ask(op=OPS[1], text="again")
        assert (second["session"]["birth"], second["session"]["count"]) == (first["session"]["birth"], 2)
        await player.leave()


@pytest.mark.parametrize(
    "text", ['{"op": 1, "text": "hi"}', "[]", "no JSON", '{"op": "00000000000000ff"}', '{"op": "0", "text": "hi"}']
)
async def test_a_malformed_message_is_answered_and_breaks_nothing(text: str) -> None:
    async with players(chat, 1, "/chat") as (one,):
        await one.ws.send_str(text)
        assert (await one.receive())["status"] == 400
        assert "status" not in await one.ask(op=OPS[0], text="hello")


async def test_binary_messages_are_refused() -> None:
    async with players(chat, 1, "/chat") as (one,):
        await one.ws.send_bytes(b"hello")
        assert (await one.ws.receive(DEADLINE)).data == WSCloseCode.UNSUPPORTED_DATA


async def test_a_wrong_room_or_handshake_is_refused_before_the_upgrade() -> None:
    async with run_server(chat, Memory()) as server:
        player = Player(server, "u1")
        with pytest.raises(WSServerHandshakeError) as refused:
            await player.join("/chat?room=a%20b")
        assert refused.value.status == 400
        async with player.http.get("/chat", headers={"Upgrade": "websocket"}) as response:
            assert response.status == 400
        await player.http.close()


async def test_an_unavailable_store_is_reported_in_the_answer() -> None:
    class Away(Memory):
        gone = False

        async def read(self, handle: str, *, to_write: bool = False) -> Any:
            if self.gone:
                raise UnavailableError("the store does not answer")
            return await super().read(handle)

    store = Away()
    async with players(chat, 2, "/chat", store=store) as (one, two):
        store.gone = True
        assert (await one.ask(op=OPS[0], text="hello"))["status"] == 503
        store.gone = False
        await one.ask(op=OPS[1], text="again")
        assert (await two.receive())["op"] == OPS[1]


async def test_a_message_starts_a_new_session_if_the_old_one_is_gone() -> None:
    store = Memory()
    async with players(chat, 1, "/chat", store=store) as (one,):
        first = await one.ask(op=OPS[0], text="hello")
        await store.close()
        second = await one.ask(op=OPS[1], text="again")
        assert second["session"]["birth"] != first["session"]["birth"] and second["session"]["count"] == 1


async def test_a_dropped_repeat_is_not_sent_twice() -> None:
    settings = Settings("r7", "b00", options=Options({"dedupe": "yes"}))
    async with players(chat, 2, "/chat", settings=settings) as (one, two):
        for op in (OPS[0], OPS[0], OPS[1]):
            await one.ask(op=op, text="hello")
        assert [(await two.receive())["op"] for _ in range(2)] == OPS[:2]


async def test_open_websockets_hold_no_slot() -> None:
    async with players(chat, 3, "/chat", slots=Slots(0.001, 1)) as (one, _, _):
        assert (await one.ask(op=OPS[0], text="hello"))["session"]["count"] == 1
        assert (await one.get("/chat"))["session"]["count"] == 1


async def test_missed_messages_come_before_new_ones_and_none_twice() -> None:
    class Slow(LocalBus):
        """A history of three, of which the last is also said while it is being read, and once more after that."""

        async def messages_after(self, room: str, at: str) -> list[RoomMessage]:
            kept = [RoomMessage(room, "x", json.dumps({"op": op}), f"{n}-0") for n, op in enumerate(OPS[:3], 1)]
            self._deliver(kept[-1])
            self._deliver(RoomMessage(room, "x", json.dumps({"op": OPS[3]}), "10-0"))
            for late in (kept[-1], RoomMessage(room, "x", json.dumps({"op": OPS[4]}), "11-0")):
                asyncio.get_running_loop().call_later(0.01, self._deliver, late)
            return [message for message in kept if is_later(message.at, at)]

    monkey = pytest.MonkeyPatch()
    monkey.setattr(chat, "create_bus", lambda settings: Slow())
    async with players(chat, 1, "/chat?room=1&after=1-0") as (one,):
        assert [(await one.receive()) for _ in range(4)] == [
            {"at": f"{at}-0", "op": op} for at, op in zip((2, 3, 10, 11), OPS[1:5], strict=True)
        ]
    monkey.undo()


async def test_a_game_keeps_positions_and_sends_them_at_every_tick() -> None:
    settings = Settings("r7", "b00", options=Options({"tick": "20ms"}))
    async with players(game, 2, "/game?room=7", settings=settings) as (one, two):
        moved = await one.ask(op=OPS[0], dx=3, dy=-2)
        assert (moved["x"], moved["y"], moved["session"]["count"]) == (3, -2, 1)
        moved = await one.ask(op=OPS[1], dx=1, dy=0)
        assert (moved["x"], moved["y"]) == (4, -2)
        message = await two.receive()
        while message["players"]["u1"] != [4, -2]:
            message = await two.receive()
        assert message["players"] == {"u1": [4, -2], "u2": [0, 0]}
        assert (await two.receive())["tick"] > message["tick"]
        assert (await one.get("/game"))["items"] == {"x": 4, "y": -2}


@pytest.mark.parametrize("step", [{"dx": 11, "dy": 0}, {"dx": 0}, {"dx": True, "dy": 0}, {"dx": "1", "dy": 0}])
async def test_no_player_moves_further_than_a_step(step: dict[str, object]) -> None:
    async with players(game, 1, "/game") as (one,):
        assert (await one.ask(op=OPS[0], **step))["status"] == 400
        assert (await one.get("/game"))["items"] == {}


@pytest.mark.parametrize("app", ["chat", "game"])
def test_the_token_state_is_refused_on_websockets_with_a_reason(app: str) -> None:
    with pytest.raises(SettingsError, match="no cookie can change on an open WebSocket"):
        catalog.select(app, "token", Options())
    for state in ("memory", "redis", "checkpoint", "eventlog"):
        catalog.select(app, state, Options())


@pytest.mark.parametrize(
    ("options", "store", "problem"),
    [
        ({"bus": "redis"}, "", "needs a Redis server"),
        ({"history": "yes"}, "redis://127.0.0.1:1/0", "add --option bus=redis"),
        ({"bus": "post"}, "", "not known"),
    ],
)
def test_a_bus_that_cannot_work_is_refused(options: dict[str, str], store: str, problem: str) -> None:
    settings = Settings("r0", "b0", store=store, options=Options(options))
    with pytest.raises(SettingsError, match=problem):
        chat.create_routes(AppContext(Memory(), Journal(None, settings), settings))
