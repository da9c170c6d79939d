"""In NATS JetStream: a bucket of three replicas that agree by Raft (or of one, where there are fewer servers).

A write is acknowledged once most servers have it in their logs. They leave it to the system when those reach the disk
(fsync every two minutes), so what was acknowledged outlives processes, any minority of them at any time and all of
them where their disks stay, but not most machines losing power at once. Reads are answered by the bucket's leader; one
that was deposed without knowing it may answer from its past. After a leader's death the others wait for four to nine
seconds before they elect the next, and until then every request is answered 503.

``--option versioned=yes`` lets the server compare the key's last revision. Without, a write first looks whether the
session is still there. The bucket drops what is older than the ttl, in whole seconds.
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
_PING = 1  # seconds; two that stay unanswered, and another server is asked


class Nats:
    """Sessions in one bucket; a revision is the number of the message."""

    def __init__(self, client: "Client", bucket: "KeyValue") -> None:
        from nats.js import errors  # noqa: PLC0415 - loaded with the client, which only this store needs

        self._client, self._bucket = client, bucket
        self._absent, self._other = errors.KeyNotFoundError, errors.KeyWrongLastSequenceError

    async def fetch(self, key: str) -> StoredValue[int] | None:
        """What the bucket's leader has."""
        try:
            entry = await self._bucket.get(key)
        except self._absent:
            return None
        if entry.value is None or entry.revision is None:
            return None
        return StoredValue(entry.value.decode(), entry.revision)

    async def insert(self, key: str, value: str) -> None:
        """A put."""
        await self._bucket.put(key, value.encode())

    async def replace(self, key: str, value: str, revision: int | None) -> bool:
        """An update of this revision; where that is None, a put after a look."""
        if revision is None:
            if await self.fetch(key) is None:
                return False
            await self.insert(key, value)
            return True
        try:
            await self._bucket.update(key, value.encode(), last=revision)
        except self._other:
            return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()


async def _connect(servers: Sequence[str], ttl: float) -> Nats:
    """A connection that comes back by itself, to whichever server answers, and the bucket, made where it is not yet."""
    from nats.aio.client import Client  # noqa: PLC0415 - 100 ms of imports that only this store needs to spend
    from nats.js.api import KeyValueConfig  # noqa: PLC0415

    client = Client()
    try:
        await client.connect(
            [f"nats://{server}" for server in servers],
            error_cb=_unheard,
            connect_timeout=1,
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # it is slept, and may be a fraction
            max_reconnect_attempts=-1,
            ping_interval=_PING,
            max_outstanding_pings=2,
            pending_size=0,  # while there is no connection a write fails at once, rather than being sent late
        )
        seconds = math.ceil(ttl)
        config = KeyValueConfig(
            f"sessions-{seconds}", ttl=seconds, replicas=_REPLICAS if len(servers) >= _REPLICAS else 1, direct=False
        )
        return Nats(client, await client.jetstream(timeout=TIMEOUT_S).create_key_value(config))
    except BaseException:
        await client.close()
        raise


async def _unheard(problem: Exception) -> None:
    """What befalls a connection is told by the requests that it breaks."""


def create_store(settings: Settings) -> VersionedStore[int]:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: ``--store`` names no servers.
    """
    from nats.errors import Error  # noqa: PLC0415

    servers = addresses(settings.store, "nats")
    ttl, versioned = settings.options.seconds("ttl", TTL), settings.options.flag("versioned")
    return VersionedStore(lambda: _connect(servers, ttl), (Error,), ttl, versioned)
