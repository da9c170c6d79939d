"""In Hazelcast, a map that is spread over the members: each entry has an owner and one backup.

A write is acknowledged once its owner and its backup both have it in memory. When one member dies, the backups take
over and new backups are made: an acknowledged write outlives any one member at a time, but not two within the seconds
that this takes, nor all of them, since nothing is on disk. Hazelcast prefers availability: where the network parts the
members, each side continues, and the writes of one side are lost when they meet again. Requests to the dead member are
answered 503 until the others have noticed, which takes a broken connection, or (by default) a minute of silence.

``--option versioned=yes`` replaces an entry only if it is still the one that was read. The map drops entries that are
older than the ttl, in whole seconds.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from targets.common.settings import Settings
from targets.state import TTL
from targets.storage.versioned import StoredValue, VersionedStore, addresses

if TYPE_CHECKING:
    from hazelcast.asyncio import HazelcastClient, Map

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True

_CLUSTER = "sessions"


class Hazelcast:
    """Sessions in one map; a revision is the value itself."""

    def __init__(self, client: "HazelcastClient", entries: "Map[str, str]", ttl: float) -> None:
        # Hazelcast rounds times down to whole seconds: an entry with one second to live could expire at once.
        self._client, self._map, self._ttl = client, entries, math.ceil(ttl) + 1

    async def fetch(self, key: str) -> StoredValue[str] | None:
        """The value at the entry's owner."""
        value = await self._map.get(key)
        return None if value is None else StoredValue(value, value)

    async def insert(self, key: str, value: str) -> None:
        """A set with a time to live."""
        await self._map.set(key, value, self._ttl)

    async def replace(self, key: str, value: str, revision: str | None) -> bool:
        """A replace at the owner. The new entry would never expire, so a second call sets its time to live."""
        if revision is None:
            replaced = await self._map.replace(key, value) is not None
        else:
            replaced = await self._map.replace_if_same(key, revision, value)
        if replaced:
            await self._map.set_ttl(key, self._ttl)
        return replaced

    async def close(self) -> None:
        """Close all connections."""
        await self._client.shutdown()


async def _connect(members: Sequence[str], ttl: float) -> Hazelcast:
    """A client that knows the owner of each entry, and reconnects on its own."""
    from hazelcast.asyncio import HazelcastClient  # noqa: PLC0415 - takes 200 ms, which no other state needs to spend
    from hazelcast.config import ReconnectMode  # noqa: PLC0415

    client = await HazelcastClient.create_and_start(
        cluster_name=_CLUSTER,
        cluster_members=list(members),
        reconnect_mode=ReconnectMode.ASYNC,  # without a member a request fails at once
        retry_max_backoff=1.0,
        invocation_retry_pause=0.05,
        fail_on_indeterminate_operation_state=True,  # without an answer of the backup there is no acknowledgement
    )
    connected = Hazelcast(client, await client.get_map(_CLUSTER), ttl)
    await connected.fetch("")  # the first request makes the members assign owners
    return connected


def create_store(settings: Settings) -> VersionedStore[str]:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: ``--store`` names no members.
    """
    from hazelcast.errors import HazelcastError  # noqa: PLC0415

    members = addresses(settings.store, "hazelcast")
    ttl, versioned = settings.options.seconds("ttl", TTL), settings.options.flag("versioned")
    return VersionedStore(lambda: _connect(members, ttl), (HazelcastError,), ttl, versioned)
