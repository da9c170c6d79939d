"""In etcd, a Raft store, by its JSON gateway: a write is acknowledged once most members have it on disk (fsync).

What was acknowledged outlives the loss of any minority of the members, and of all at once where their disks stay. A
read is linearizable: the leader makes sure that it still leads. While there is no leader, for a second or two after
one dies, every request is answered 503. ``--option versioned=yes`` writes in a transaction on the key's revision.

What has expired is cleared away by leases. A lease a session would be one more agreement of the members a session, so
a replica's sessions share one, and take the next before what is written then could outlive it.
"""

import asyncio
import base64
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from targets.common.settings import Settings
from targets.http.errors import UnavailableError
from targets.state import TTL
from targets.storage.versioned import StoredValue, VersionedStore, addresses

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True

Json = Mapping[str, Any]  # whatever etcd says
_SHARED = 0.25  # of the ttl: for so long sessions take the same lease


class Gateway:
    """Asks one member, and the next where that cannot be reached; what was sent once is not sent again."""

    def __init__(self, members: Sequence[str]) -> None:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._members = tuple(members)
        self._at = 0

    async def ask(self, what: str, body: Json) -> Json:
        """The answer to one call of the API.

        Raises:
            aiohttp.ClientError: no member can be reached, or the connection broke before the answer.
            UnavailableError: the member has no leader, or cannot do it.
        """
        for _ in self._members[1:]:
            try:
                return await self._post(what, body)
            except aiohttp.ClientConnectorError:
                continue
        return await self._post(what, body)

    async def _post(self, what: str, body: Json) -> Json:
        asked = self._at
        try:
            async with self._http.post(f"http://{self._members[asked]}/v3/{what}", json=body) as reply:
                told: Json = await reply.json(content_type=None)
            if reply.status != 200:
                raise UnavailableError(f"etcd answers {reply.status}: {told.get('error', '')}")
        except BaseException:  # one that does not answer in time is cancelled: that one is left as well
            self._at = (asked + 1) % len(self._members)
            raise
        return told

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


class Leases:
    """The lease that what is written now should have."""

    def __init__(self, gateway: Gateway, ttl: float) -> None:
        self._gateway = gateway
        self._shared = ttl * _SHARED
        self._lasts = math.ceil(ttl + self._shared) + 1  # whole seconds, and one for the clocks
        self._lock = asyncio.Lock()
        self._id = ""
        self._until = 0.0

    async def current(self) -> str:
        """The id of one that lasts for longer than the ttl."""
        async with self._lock:
            if time.monotonic() >= self._until:
                now = time.monotonic()
                self._id = (await self._gateway.ask("lease/grant", {"TTL": str(self._lasts)}))["ID"]
                self._until = now + self._shared
            return self._id


class Etcd:
    """Sessions under ``session/<handle>``; a revision is the key's ``mod_revision``."""

    def __init__(self, members: Sequence[str], ttl: float) -> None:
        self._gateway = Gateway(members)
        self._leases = Leases(self._gateway, ttl)

    async def fetch(self, key: str) -> StoredValue[str] | None:
        """A linearizable read."""
        kept = (await self._gateway.ask("kv/range", {"key": _key(key)})).get("kvs")
        return StoredValue(base64.b64decode(kept[0]["value"]).decode(), kept[0]["mod_revision"]) if kept else None

    async def insert(self, key: str, value: str) -> None:
        """A put."""
        await self._gateway.ask("kv/put", await self._put(key, value))

    async def replace(self, key: str, value: str, revision: str | None) -> bool:
        """A transaction: the put, if the key is there and of this revision."""
        is_there = {"key": _key(key), "target": "CREATE", "result": "GREATER", "create_revision": "0"}
        is_same = {"key": _key(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
        put = {"request_put": await self._put(key, value)}
        compare = is_there if revision is None else is_same
        told = await self._gateway.ask("kv/txn", {"compare": [compare], "success": [put]})
        return bool(told.get("succeeded"))  # left out where it is false

    async def close(self) -> None:
        """Close all connections; leases end by themselves."""
        await self._gateway.close()

    async def _put(self, key: str, value: str) -> Json:
        return {"key": _key(key), "value": _base64(value), "lease": await self._leases.current()}


def _key(key: str) -> str:
    return _base64(f"session/{key}")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def create_store(settings: Settings) -> VersionedStore[str]:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: ``--store`` names no members.
    """
    members = addresses(settings.store, "etcd")
    ttl, versioned = settings.options.seconds("ttl", TTL), settings.options.flag("versioned")

    async def connect() -> Etcd:
        return Etcd(members, ttl)

    return VersionedStore(connect, (aiohttp.ClientError, ValueError), ttl, versioned)
