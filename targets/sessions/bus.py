"""The bus: carries a message that a room receives on one replica to the members on the others.

``--option bus=none`` keeps messages on their replica. ``--option bus=redis`` publishes them through the Redis server of
the state. With ``--option history=yes`` that server also keeps the last thousand messages of each room, in the order in
which they are published, so that a client that was away can receive those that it missed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol

from targets.common.background import background
from targets.common.settings import Settings, SettingsError
from targets.http.errors import UnavailableError
from targets.storage.redis_client import connect
from targets.storage.store_client import TIMEOUT_S

OPTIONS: tuple[str, ...] = ("bus", "history")
_CHANNEL = "rooms"
_RETRY_INTERVAL_S = 0.1
# In one step, so that the history and every subscriber have the same order.
_PUBLISH = """
local at = ''
if ARGV[3] == 'yes' then at = redis.call('XADD', KEYS[1], 'MAXLEN', '~', 1000, '*', 'text', ARGV[2]) end
redis.call('PUBLISH', KEYS[2], at .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
return at
"""


class RoomMessage(NamedTuple):
    """A message in a room: ``at`` is its position in the history ("" without one), ``sender`` the connection's id."""

    room: str
    sender: str
    text: str
    at: str = ""


Deliver = Callable[[RoomMessage], None]


class Bus(Protocol):
    """Brings each message to every replica, that of its sender included."""

    def deliver_all(self, deliver: Deliver) -> contextlib.AbstractAsyncContextManager[None]:
        """Deliver the messages of all replicas, for the length of a scope."""

    def check(self) -> None:
        """Check that it delivers now.

        Raises:
            UnavailableError: it does not.
        """

    async def publish(self, message: RoomMessage) -> str:
        """Bring a message to every replica, and return its position in the history.

        Raises:
            UnavailableError: the server does not answer; the message may have been published.
        """

    async def messages_after(self, room: str, at: str) -> list[RoomMessage]:
        """The messages of a room after that position.

        Raises:
            UnavailableError: the server does not answer.
        """


class LocalBus:
    """No bus: messages stay on this replica, and there is no history."""

    def __init__(self) -> None:
        self._deliver: Deliver = lambda message: None

    @contextlib.asynccontextmanager
    async def deliver_all(self, deliver: Deliver) -> AsyncIterator[None]:
        """Deliver at once."""
        self._deliver = deliver
        yield

    def check(self) -> None:
        """It always delivers."""

    async def publish(self, message: RoomMessage) -> str:
        """Deliver to this replica."""
        self._deliver(message)
        return ""

    async def messages_after(self, room: str, at: str) -> list[RoomMessage]:
        """Nothing is kept."""
        return []


class RedisBus:
    """A bus through Redis: one subscription per replica, for all rooms."""

    def __init__(self, url: str, history: bool) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - imported only where it is needed, as in the state

        self._client = connect(url, TIMEOUT_S)
        self._publish = self._client.register_script(_PUBLISH)
        self._store_errors = (RedisError, OSError, TimeoutError)
        self._history = history
        self._subscribed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def deliver_all(self, deliver: Deliver) -> AsyncIterator[None]:
        """Stay subscribed; a server that cannot be reached yet is no error."""
        try:
            async with background(self._listen(deliver)):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TIMEOUT_S):
                        await self._subscribed.wait()
                yield
        finally:
            await self._client.aclose()

    def check(self) -> None:
        """Check that the subscription stands.

        Raises:
            UnavailableError: it does not.
        """
        if not self._subscribed.is_set():
            raise UnavailableError("the bus cannot be reached")

    async def _listen(self, deliver: Deliver) -> None:
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(_CHANNEL)
                    async for message in subscription.listen():
                        self._subscribed.set()
                        if message["type"] == "message":
                            deliver(_parse_message(message["data"]))
            except self._store_errors:
                self._subscribed.clear()
                await asyncio.sleep(_RETRY_INTERVAL_S)

    async def publish(self, message: RoomMessage) -> str:
        """Publish a message, and append it to the history if there is one.

        Raises:
            UnavailableError: no answer in time.
        """
        arguments = [message.room, f"{message.sender} {message.text}", "yes" if self._history else "no"]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                at = await self._publish([_history_key(message.room), _CHANNEL], arguments)
        except self._store_errors as problem:
            raise UnavailableError(f"the bus does not answer: {type(problem).__name__}") from problem
        return bytes(at).decode()

    async def messages_after(self, room: str, at: str) -> list[RoomMessage]:
        """Read the room's history.

        Raises:
            UnavailableError: no answer in time.
        """
        if not (self._history and at):
            return []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                entries: Any = await self._client.xrange(_history_key(room), min=f"({at}")
        except self._store_errors as problem:
            raise UnavailableError(f"the bus does not answer: {type(problem).__name__}") from problem
        return [_parse_message(b"%b %b %b" % (id_, room.encode(), fields[b"text"])) for id_, fields in entries]


def is_later(at: str, other: str) -> bool:
    """Whether a position in a history comes after another."""
    return _parse_position(at) > _parse_position(other)


def _parse_position(at: str) -> tuple[int, int]:
    milliseconds, _, number = at.partition("-")
    return int(milliseconds or 0), int(number or 0)


def _history_key(room: str) -> str:
    return f"room:{room}"


def _parse_message(data: bytes) -> RoomMessage:
    at, room, sender, text = data.decode().split(" ", 3)
    return RoomMessage(room, sender, text, at)


def create_bus(settings: Settings) -> Bus:
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
