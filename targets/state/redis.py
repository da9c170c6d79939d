"""In a Redis server: one JSON value per session, which expires ``ttl`` after its last write.

Without a check the last of two concurrent writes wins and the other is lost. ``--option versioned=yes`` compares the
version inside the server and refuses the second write. While the server is unavailable the service starts, and answers
503.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http.errors import ConflictError
from targets.state import TTL
from targets.storage.redis_client import connect
from targets.storage.store_client import TIMEOUT_S, answer_within, new_handle

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True

_COMPARE_AND_SET = """
local kept = redis.call('GET', KEYS[1])
if not kept or cjson.decode(kept)['version'] + 1 ~= tonumber(ARGV[2]) then return false end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
"""
T = TypeVar("T")


class Redis:
    """Sessions under ``session:<handle>``."""

    def __init__(self, url: str, ttl: float = TTL, versioned: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - takes 100 ms, which no other state needs to spend

        self._client = self.connect(url, timeout_s)
        self._compare_and_set = self._client.register_script(_COMPARE_AND_SET)
        self._store_errors = (RedisError, OSError)
        self._ttl, self._versioned, self._timeout_s = round(ttl * 1000), versioned, timeout_s

    def connect(self, url: str, timeout_s: float) -> "Client":
        """A client of the one server at ``url``."""
        return connect(url, timeout_s)

    async def open(self) -> None:
        """Nothing to do yet: connections are made when they are needed."""

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired.

        Raises:
            UnavailableError: no answer in time.
        """
        value = await self._answer(self._client.get(_key(handle)))
        return None if value is None else SessionState.from_json(value)

    async def create(self, session: SessionState) -> str:
        """Keep it under a new random handle.

        Raises:
            UnavailableError: no answer in time.
        """
        handle = new_handle()
        await self._answer(self._client.set(_key(handle), session.to_json(), px=self._ttl))
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it still exists (and, if versions are checked, is still the one that was read).

        Raises:
            ConflictError: it is not.
            UnavailableError: no answer in time.
        """
        value = session.to_json()
        if self._versioned:
            applied: Awaitable[object] = self._compare_and_set([_key(handle)], [value, session.version, self._ttl])
        else:
            applied = self._client.set(_key(handle), value, px=self._ttl, xx=True)
        if not await self._answer(applied):
            raise ConflictError("the session is gone, or was changed by another write")
        return handle

    async def _answer(self, call: Awaitable[T]) -> T:
        return await answer_within(self._timeout_s, call, self._store_errors)


def _key(handle: str) -> str:
    return f"session:{handle}"


def create_store(settings: Settings) -> Redis:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: there is no store, or its URL is wrong.
    """
    if not settings.store:
        raise SettingsError("the state redis needs --store URL, such as redis://127.0.0.1:6379/0")
    try:
        return Redis(settings.store, settings.options.seconds("ttl", TTL), settings.options.flag("versioned"))
    except ValueError as problem:
        raise SettingsError(
            f"--store {settings.store} is not the URL of a Redis server: write it like redis://host:port/0"
        ) from problem
