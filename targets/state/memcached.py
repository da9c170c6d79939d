"""In a memcached server: one value per session, in memory only.

A write is acknowledged once the server has it in memory. It is lost when the server dies or runs out of memory. Without
a check the last of two concurrent writes wins and the other is lost. ``--option versioned=yes`` replaces only the value
that was read (the server's ``cas``) and refuses the second write. Sessions of more than a megabyte are refused (503),
and so is every request while the server is unavailable.
"""

import math
import time
from typing import TYPE_CHECKING

from targets.common.settings import Settings
from targets.state import TTL
from targets.storage.versioned import StoredValue, VersionedStore, addresses

if TYPE_CHECKING:
    from memcachio import Client

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True

_CONNECTIONS = 4  # each carries many requests at a time
_REPLY_TIMEOUT_S = 0.4  # below the store's own timeout, since a cancelled request costs the client a connection


class Memcached:
    """Values by their keys; a revision is the number that the server gives to each write."""

    def __init__(self, client: "Client[bytes]", ttl: float) -> None:
        self._client, self._ttl = client, ttl

    async def fetch(self, key: str) -> StoredValue[int] | None:
        """A ``gets``."""
        item = (await self._client.gets(key)).get(key.encode())
        return None if item is None else StoredValue(item.value.decode(), item.cas or 0)

    async def insert(self, key: str, value: str) -> None:
        """A ``set``."""
        await self._client.set(key, value, expiry=self._expiry())

    async def replace(self, key: str, value: str, revision: int | None) -> bool:
        """A ``cas`` of this revision; without one, a ``replace``."""
        if revision is None:
            return await self._client.replace(key, value, expiry=self._expiry())
        return await self._client.cas(key, value, revision, expiry=self._expiry())

    async def close(self) -> None:
        """Close all connections."""
        self._client.connection_pool.close()

    def _expiry(self) -> int:
        """The first whole second of the wall clock after which the server may drop the value."""
        return math.ceil(time.time() + self._ttl) + 1


def create_store(settings: Settings) -> VersionedStore[int]:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: ``--store`` names no server.
    """
    from memcachio import Client  # noqa: PLC0415 - no other state needs to spend the time
    from memcachio.errors import MemcachedError  # noqa: PLC0415

    host, _, port = addresses(settings.store, "memcached")[0].rpartition(":")
    ttl, versioned = settings.options.seconds("ttl", TTL), settings.options.flag("versioned")

    async def connect() -> Memcached:
        client: Client[bytes] = Client(
            (host, int(port)),
            decode_responses=False,
            max_connections=_CONNECTIONS,
            connect_timeout=_REPLY_TIMEOUT_S * 0.9,
            blocking_timeout=_REPLY_TIMEOUT_S,
            read_timeout=_REPLY_TIMEOUT_S,
        )
        return Memcached(client, ttl)

    return VersionedStore(connect, (MemcachedError,), ttl, versioned)
