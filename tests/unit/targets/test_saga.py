"""The coordinator over one volume and one journal, killed at every step: the effects in the end."""

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from targets.apps import AppContext, saga
from targets.apps.saga import BEGIN, COMPENSATIONS, END, RECORD, STEPS, Coordinator, SagaLog, SagaOrder
from targets.common.session import SessionState
from targets.common.settings import Options, Settings, SettingsError
from targets.http.errors import UnavailableError
from targets.server import catalog
from targets.server.service import open_app
from targets.sessions.service import WriteRequest
from targets.state import SessionStore
from targets.state.eventlog import EventLog
from targets.state.memory import Memory
from targets.storage.journal import Journal
from tests.support.served_target import client_of

OPS = [f"{n:016x}" for n in range(1, 9)]
SHIPPED, UNDONE = Counter(["reserve", "pay", "ship"]), Counter(["reserve", "pay", "refund", "release"])


class KilledError(BaseException):
    """In store of the end of this process."""


@dataclass
class World:
    """What outlives a coordinator."""

    path: Path
    boots: int = 0
    options: dict[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> Path:
        return self.path / "volume"

    def boot(self) -> str:
        self.boots += 1
        return f"b{self.boots}"

    def settings(self) -> Settings:
        return Settings("r0", self.boot(), options=Options(self.options), volume=self.volume)

    def service(self) -> dict[str, Any]:
        settings = self.settings()
        return {"settings": settings, "journal": Journal(self.path / "journal", settings)}

    def store(self) -> EventLog:
        return EventLog(self.volume)

    def seen(self, op: str) -> Counter[str]:
        lines = [json.loads(line) for line in (self.path / "journal").read_text().splitlines()]
        return Counter(line["effect"] for line in lines if line["op"] == op)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "volume").mkdir()
    return World(tmp_path)


@pytest.mark.parametrize(
    ("refused", "effects", "item"),
    [
        ("", SHIPPED, "shipped"),
        ("reserve", Counter(), "undone"),
        ("pay", Counter(["reserve", "release"]), "undone"),
        ("ship", UNDONE, "undone"),
    ],
)
async def test_an_order_is_shipped_or_undone_completely(
    world: World, refused: str, effects: Counter[str], item: str
) -> None:
    async with client_of(saga, Memory(), **world.service()) as client:
        reply = await client.post("/order", {"item": "tea", "refused": refused}, op=OPS[0])
        assert (reply.status, reply.body["items"]) == (200, {item: 1})
        assert (await client.get("/orders")).session["count"] == 1
    assert world.seen(OPS[0]) == effects


async def test_a_repeated_order_is_processed_once(world: World) -> None:
    world.options = {"step_time": "20ms"}
    async with client_of(saga, Memory(), **world.service()) as client:
        await client.post("/order", {"item": "tea"}, op=OPS[0])
        both = await asyncio.gather(*(client.post("/order", {"item": "tea"}, op=OPS[1]) for _ in range(2)))
        again = await client.post("/order", {"item": "tea"}, op=OPS[1])
        assert [reply.session["count"] for reply in (*both, again)] == [2, 2, 2]
    assert world.seen(OPS[1]) == SHIPPED


@asynccontextmanager
async def coordinating(
    world: World, store: SessionStore, *, die_at: str = "", log: bool = True
) -> AsyncIterator[Coordinator]:
    settings = Settings("r0", world.boot(), volume=world.volume)
    context = AppContext(store, Journal(world.path / "journal", settings), settings)
    coordinator = Coordinator(context, SagaLog(world.volume if log else None, "always", die_at))
    async with open_app(store, [coordinator.running]):
        yield coordinator


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(pid: int, number: int) -> None:
        raise KilledError

    monkeypatch.setattr(os, "kill", killed)


def order(op: str, handle: str = "", refused: str = "") -> SagaOrder:
    return SagaOrder(WriteRequest("0", op, handle, "u1"), "tea", 1, refused)


def whole(seen: Counter[str]) -> bool:
    """Whether an order was shipped and paid, or all of it was undone, each step once."""
    shipped = seen == SHIPPED
    undone = not seen["ship"] and seen["pay"] == seen["refund"] and seen["reserve"] == seen["release"]
    return max(seen.values(), default=0) <= 1 and (shipped or undone)


@pytest.mark.parametrize("refused", ["", "ship"])
@pytest.mark.parametrize("step", [BEGIN, *STEPS, *COMPENSATIONS.values(), RECORD, END])
async def test_a_coordinator_killed_at_any_step_leaves_nothing_half_done(
    world: World, step: str, refused: str, dying: None
) -> None:
    reached = {"": {*COMPENSATIONS.values()}, "ship": {"ship"}}
    killed = contextlib.nullcontext() if step in reached[refused] else pytest.raises(KilledError)
    async with coordinating(world, world.store()) as coordinator:
        handle = (await coordinator.process(order(OPS[0]))).handle
    with killed:
        async with coordinating(world, world.store(), die_at=step) as coordinator:
            await coordinator.process(order(OPS[1], handle, refused))
    store = world.store()
    async with coordinating(world, store, die_at=step):
        kept = await store.read(handle)
    assert kept is not None
    assert (kept.version, sum(kept.items.values())) == (2, 2)
    assert whole(world.seen(OPS[1]))
    assert world.seen(OPS[1])["ship"] == (kept.items["shipped"] - 1)


@pytest.mark.parametrize("step", ["pay", RECORD])
async def test_a_paid_order_is_shipped_even_if_its_client_never_received_a_session(
    world: World, step: str, dying: None
) -> None:
    with pytest.raises(KilledError):
        async with coordinating(world, world.store(), die_at=step) as coordinator:
            await coordinator.process(order(OPS[0]))
    for _ in range(2):
        async with coordinating(world, world.store()):
            assert world.seen(OPS[0]) == SHIPPED


async def test_without_a_log_a_killed_coordinator_leaves_sagas_half_done(world: World, dying: None) -> None:
    with pytest.raises(KilledError):
        async with coordinating(world, Memory(), die_at="pay") as coordinator:
            await coordinator.process(order(OPS[0]))
    async with coordinating(world, Memory(), log=False):
        pass
    assert not whole(world.seen(OPS[0]))


async def test_an_order_is_finished_later_if_its_store_is_unavailable(world: World) -> None:
    class Away(Memory):
        away = False

        async def write(self, handle: str, session: SessionState) -> str:
            if self.away:
                raise UnavailableError("away")
            return await super().write(handle, session)

    store = Away()
    async with coordinating(world, store) as coordinator:
        handle = (await coordinator.process(order(OPS[0]))).handle
        store.away = True
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await coordinator.process(order(OPS[1], handle))
        store.away = False
        give_up = time.monotonic() + 20
        kept = None
        while kept is None:  # the write comes before the order's end
            assert time.monotonic() < give_up
            with contextlib.suppress(UnavailableError):
                kept = await coordinator.process(order(OPS[1], handle))
            await asyncio.sleep(0.02)
        assert kept.applied is False
    assert world.seen(OPS[1]) == SHIPPED
    assert await count_writes(world.store(), handle) == 0


async def count_writes(store: SessionStore, handle: str) -> int:
    session = await store.read(handle)
    return session.version if session else 0


def test_a_saga_refuses_the_token_state_and_a_durable_log_needs_a_volume(world: World) -> None:
    with pytest.raises(SettingsError, match="does not go with the state token"):
        catalog.select("saga", "token", Options())
    settings = Settings("r0", "b0")
    with pytest.raises(SettingsError, match="the app saga needs --volume"):
        saga.create_routes(AppContext(Memory(), Journal(None, settings), settings))
    with pytest.raises(SettingsError, match="die_at=lunch"):
        world.options = {"die_at": "lunch"}
        saga.create_routes(AppContext(Memory(), Journal(None, settings), world.settings()))
