"""The bus: how what is said in a room on one replica reaches those who are connected to another.

``--option bus=none`` has no such thing. ``--option bus=redis`` publishes through the Redis server of the state; with
``--option history=yes`` each room's last thousand messages are kept there as well, in the very order in which they are
published, so that whoever was away can be told what it has missed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol

from targets.common.settings import Settings, SettingsError
from targets.http.errors import UnavailableError
from targets.storage.store_client import TIMEOUT_S

OPTIONS: tuple[str, ...] = ("bus", "history")
_CHANNEL = "rooms"
_RETRY = 0.1
# In one step, so that the history and everybody who listens see the same order.
_PUBLISH = """
local at = ''
if ARGV[3] == 'yes' then at = redis.call('XADD', KEYS[1], 'MAXLEN', '~', 1000, '*', 'text', ARGV[2]) end
redis.call('PUBLISH', KEYS[2], at .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
return at
"""


class RoomMessage(NamedTuple):
    """A message in a room: ``at`` is its place in the history ("" where none is kept), ``by`` the connection."""

    room: str
    by: str
    text: str
    at: str = ""


Deliver = Callable[[RoomMessage], None]


class Bus(Protocol):
    """Brings what is said to every replica, that of the speaker included."""

    def running(self, deliver: Deliver) -> contextlib.AbstractAsyncContextManager[None]:
        """Deliver what is said anywhere, for the length of a scope."""

    def check(self) -> None:
        """Whether it delivers now.

        Raises:
            UnavailableError: it does not.
        """

    async def say(self, said: RoomMessage) -> str:
        """Say it everywhere; its place in the history.

        Raises:
            UnavailableError: whether it was said is not known.
        """

    async def since(self, room: str, at: str) -> list[RoomMessage]:
        """What was said in a room after that place.

        Raises:
            UnavailableError: nobody can tell.
        """


class LocalBus:
    """No bus: what is said stays on this replica."""

    def __init__(self) -> None:
        self._deliver: Deliver = lambda said: None

    @contextlib.asynccontextmanager
    async def running(self, deliver: Deliver) -> AsyncIterator[None]:
        """Deliver at once."""
        self._deliver = deliver
        yield

    def check(self) -> None:
        """Always."""

    async def say(self, said: RoomMessage) -> str:
        """To those here."""
        self._deliver(said)
        return ""

    async def since(self, room: str, at: str) -> list[RoomMessage]:
        """Nothing is kept."""
        return []


class RedisBus:
    """Through Redis: one subscription a replica, for all rooms."""

    def __init__(self, url: str, history: bool) -> None:
        from redis import asyncio as client  # noqa: PLC0415 - imported where it is needed, as by the place
        from redis.exceptions import RedisError  # noqa: PLC0415

        self._client = client.Redis.from_url(url)
        self._publish = self._client.register_script(_PUBLISH)
        self._store_errors = (RedisError, OSError, TimeoutError)
        self._history = history
        self._hears = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self, deliver: Deliver) -> AsyncIterator[None]:
        """Subscribed, as far as the server can be reached."""
        listening = asyncio.create_task(self._listen(deliver))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIMEOUT_S):
                    await self._hears.wait()
            yield
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            await self._client.aclose()

    def check(self) -> None:
        """Whether the subscription stands.

        Raises:
            UnavailableError: it does not.
        """
        if not self._hears.is_set():
            raise UnavailableError("the bus cannot be reached")

    async def _listen(self, deliver: Deliver) -> None:
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(_CHANNEL)
                    async for message in subscription.listen():
                        self._hears.set()
                        if message["type"] == "message":
                            deliver(_said(message["data"]))
            except self._store_errors:
                self._hears.clear()
                await asyncio.sleep(_RETRY)

    async def say(self, said: RoomMessage) -> str:
        """Publish it, and keep it where there is a history.

        Raises:
            UnavailableError: no answer in time.
        """
        arguments = [said.room, f"{said.by} {said.text}", "yes" if self._history else "no"]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                at = await self._publish([_history(said.room), _CHANNEL], arguments)
        except self._store_errors as problem:
            raise UnavailableError(f"the bus does not answer: {type(problem).__name__}") from problem
        return bytes(at).decode()

    async def since(self, room: str, at: str) -> list[RoomMessage]:
        """From the room's history.

        Raises:
            UnavailableError: no answer in time.
        """
        if not (self._history and at):
            return []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                kept: Any = await self._client.xrange(_history(room), min=f"({at}")
        except self._store_errors as problem:
            raise UnavailableError(f"the bus does not answer: {type(problem).__name__}") from problem
        return [_said(b"%b %b %b" % (place, room.encode(), fields[b"text"])) for place, fields in kept]


def later(one: str, other: str) -> bool:
    """Whether a place in a history comes after another."""
    return _place(one) > _place(other)


def _place(at: str) -> tuple[int, int]:
    milliseconds, _, nth = at.partition("-")
    return int(milliseconds or 0), int(nth or 0)


def _history(room: str) -> str:
    return f"room:{room}"


def _said(data: bytes) -> RoomMessage:
    at, room, by, text = data.decode().split(" ", 3)
    return RoomMessage(room, by, text, at)


def bus(settings: Settings) -> Bus:
    """The bus of the options ``bus`` and ``history``.

    Raises:
        SettingsError: it needs a Redis server and there is none.
    """
    history = settings.options.flag("history")
    if settings.options.text("bus", "none", ("none", "redis")) == "none":
        if history:
            raise SettingsError("--option history=yes keeps what the bus carries: add --option bus=redis")
        return LocalBus()
    if not settings.store.startswith(("redis://", "unix://")):
        raise SettingsError("--option bus=redis needs a Redis server: --state redis --store redis://127.0.0.1:6379/0")
    return RedisBus(settings.store, history)
