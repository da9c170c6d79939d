"""In Hazelcast, a map spread over the members: each entry has an owner, and one backup that is written with it.

A write is acknowledged once its owner and its backup both have it in memory. When one member dies, the backups take
over and new ones are made: what was acknowledged outlives any one member at a time, but not two within the seconds
that takes, nor all of them; nothing is on disk. It prefers to answer: where the network parts the members, each side
goes on, and one side's writes are lost when they meet again. What is asked of the dead member is answered 503 until
the others have noticed, which takes a broken connection, or (by default) a minute of silence.

``--option versioned=yes`` replaces an entry only if it is still the one that was read. The map drops what is older
than the ttl, in whole seconds.
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
        # Its records round their times down to whole seconds: what lives for one may be gone at once.
        self._client, self._map, self._ttl = client, entries, math.ceil(ttl) + 1

    async def fetch(self, key: str) -> StoredValue[str] | None:
        """What the entry's owner has."""
        value = await self._map.get(key)
        return None if value is None else StoredValue(value, value)

    async def insert(self, key: str, value: str) -> None:
        """A set with a time to live."""
        await self._map.set(key, value, self._ttl)

    async def replace(self, key: str, value: str, revision: str | None) -> bool:
        """Replaced by the owner at once; the new entry would live on, and is given its time in a second call."""
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
    """A client that knows who owns what, and comes back by itself."""
    from hazelcast.asyncio import HazelcastClient  # noqa: PLC0415 - 200 ms that only this store needs to spend
    from hazelcast.config import ReconnectMode  # noqa: PLC0415

    client = await HazelcastClient.create_and_start(
        cluster_name=_CLUSTER,
        cluster_members=list(members),
        reconnect_mode=ReconnectMode.ASYNC,  # while there is no member a request fails at once
        retry_max_backoff=1.0,
        invocation_retry_pause=0.05,
        fail_on_indeterminate_operation_state=True,  # a backup that does not answer is no acknowledgement
    )
    connected = Hazelcast(client, await client.get_map(_CLUSTER), ttl)
    await connected.fetch("")  # the first question makes the members share out who owns what
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
