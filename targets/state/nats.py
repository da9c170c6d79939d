"""In NATS JetStream: a bucket of three replicas that agree by Raft (or of one replica, with fewer than three servers).

A write is acknowledged once most servers have it in their logs. These reach the disk later (fsync every two minutes),
so an acknowledged write outlives the processes, any minority of them at any time and all of them if their disks
survive, but not a power cut of most machines at once. The bucket's leader answers reads; one that was deposed without
knowing it can answer with an old value. After a leader's death the others wait for four to nine seconds before they
elect the next, and until then every request is answered 503.

``--option versioned=yes`` lets the server compare the key's last revision. Without it, a write first checks that the
session still exists. The bucket drops values that are older than the ttl, in whole seconds.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from targets.common.settings import Settings
from targets.state import TTL
from targets.storage.store_client import TIMEOUT_S
from targets.storage.versioned import StoredValue, VersionedStore, addresses

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.kv import KeyValue

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True

_REPLICAS = 3
_PING_INTERVAL_S = 1  # after two pings without an answer the client tries another server


class Nats:
    """Sessions in one bucket; a revision is the number of the message."""

    def __init__(self, client: "Client", bucket: "KeyValue") -> None:
        from nats.js import errors  # noqa: PLC0415 - loaded with the client, which no other state needs

        self._client, self._bucket = client, bucket
        self._not_found_error = errors.KeyNotFoundError
        self._wrong_revision_error = errors.KeyWrongLastSequenceError

    async def fetch(self, key: str) -> StoredValue[int] | None:
        """The value at the bucket's leader."""
        try:
            entry = await self._bucket.get(key)
        except self._not_found_error:
            return None
        if entry.value is None or entry.revision is None:
            return None
        return StoredValue(entry.value.decode(), entry.revision)

    async def insert(self, key: str, value: str) -> None:
        """A put."""
        await self._bucket.put(key, value.encode())

    async def replace(self, key: str, value: str, revision: int | None) -> bool:
        """An update of this revision; without one, a put after checking that the key exists."""
        if revision is None:
            if await self.fetch(key) is None:
                return False
            await self.insert(key, value)
            return True
        try:
            await self._bucket.update(key, value.encode(), last=revision)
        except self._wrong_revision_error:
            return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()


async def _connect(servers: Sequence[str], ttl: float) -> Nats:
    """A connection to any server that answers, which reconnects on its own, and the bucket, created if missing."""
    from nats.aio.client import Client  # noqa: PLC0415 - takes 100 ms, which no other state needs to spend
    from nats.js.api import KeyValueConfig  # noqa: PLC0415

    client = Client()
    try:
        await client.connect(
            [f"nats://{server}" for server in servers],
            error_cb=_ignore_error,
            connect_timeout=1,
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # passed to sleep, so a fraction works
            max_reconnect_attempts=-1,
            ping_interval=_PING_INTERVAL_S,
            max_outstanding_pings=2,
            pending_size=0,  # without a connection a write fails at once, rather than being sent late
        )
        seconds = math.ceil(ttl)
        config = KeyValueConfig(
            f"sessions-{seconds}", ttl=seconds, replicas=_REPLICAS if len(servers) >= _REPLICAS else 1, direct=False
        )
        return Nats(client, await client.jetstream(timeout=TIMEOUT_S).create_key_value(config))
    except BaseException:
        await client.close()
        raise


async def _ignore_error(problem: Exception) -> None:
    """The requests that a broken connection interrupts report it."""


def create_store(settings: Settings) -> VersionedStore[int]:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: ``--store`` names no servers.
    """
    from nats.errors import Error  # noqa: PLC0415

    servers = addresses(settings.store, "nats")
    ttl, versioned = settings.options.seconds("ttl", TTL), settings.options.flag("versioned")
    return VersionedStore(lambda: _connect(servers, ttl), (Error,), ttl, versioned)
