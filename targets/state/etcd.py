"""In etcd, a Raft store, through its JSON gateway: a write is acknowledged once most members have it on disk (fsync).

An acknowledged write outlives the loss of any minority of the members, and of all at once if their disks survive. A
read is linearizable: the leader makes sure that it still leads. While there is no leader, for a second or two after
one dies, every request is answered 503. ``--option versioned=yes`` writes in a transaction on the key's revision.

Leases remove expired sessions. A lease per session would cost one more agreement of the members per session, so the
sessions of a replica share a lease, and take the next one early enough that none of them outlives its lease.
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

Json = Mapping[str, Any]
_SHARED_FRACTION = 0.25  # of the ttl: how long sessions take the same lease


class Gateway:
    """Calls one member, and the next if that cannot be reached. A request that was sent is not sent again."""

    def __init__(self, members: Sequence[str]) -> None:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._members = tuple(members)
        self._current = 0

    async def call(self, method: str, body: Json) -> Json:
        """Call a method of the API, and return its answer.

        Raises:
            aiohttp.ClientError: no member can be reached, or the connection broke before the answer.
            UnavailableError: the member answers with an error, such as that there is no leader.
        """
        for _ in self._members[1:]:
            try:
                return await self._post(method, body)
            except aiohttp.ClientConnectorError:
                continue
        return await self._post(method, body)

    async def _post(self, method: str, body: Json) -> Json:
        member = self._current
        try:
            async with self._http.post(f"http://{self._members[member]}/v3/{method}", json=body) as reply:
                answer: Json = await reply.json(content_type=None)
            if reply.status != 200:
                raise UnavailableError(f"etcd answers {reply.status}: {answer.get('error', '')}")
        except BaseException:  # includes the cancellation of a call that is not answered in time
            self._current = (member + 1) % len(self._members)
            raise
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


class Leases:
    """The lease that a write takes at the time."""

    def __init__(self, gateway: Gateway, ttl: float) -> None:
        self._gateway = gateway
        self._shared = ttl * _SHARED_FRACTION
        self._lasts = math.ceil(ttl + self._shared) + 1  # whole seconds, and one for the clocks
        self._lock = asyncio.Lock()
        self._id = ""
        self._until = 0.0

    async def current(self) -> str:
        """The id of a lease that lasts longer than the ttl."""
        async with self._lock:
            if time.monotonic() >= self._until:
                now = time.monotonic()
                self._id = (await self._gateway.call("lease/grant", {"TTL": str(self._lasts)}))["ID"]
                self._until = now + self._shared
            return self._id


class Etcd:
    """Sessions under ``session/<handle>``; a revision is the key's ``mod_revision``."""

    def __init__(self, members: Sequence[str], ttl: float) -> None:
        self._gateway = Gateway(members)
        self._leases = Leases(self._gateway, ttl)

    async def fetch(self, key: str) -> StoredValue[str] | None:
        """A linearizable read."""
        entries = (await self._gateway.call("kv/range", {"key": _key(key)})).get("kvs")
        return (
            StoredValue(base64.b64decode(entries[0]["value"]).decode(), entries[0]["mod_revision"]) if entries else None
        )

    async def insert(self, key: str, value: str) -> None:
        """A put."""
        await self._gateway.call("kv/put", await self._put(key, value))

    async def replace(self, key: str, value: str, revision: str | None) -> bool:
        """A transaction that puts the value if the key exists and has this revision."""
        exists = {"key": _key(key), "target": "CREATE", "result": "GREATER", "create_revision": "0"}
        is_unchanged = {"key": _key(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
        put = {"request_put": await self._put(key, value)}
        compare = exists if revision is None else is_unchanged
        answer = await self._gateway.call("kv/txn", {"compare": [compare], "success": [put]})
        return bool(answer.get("succeeded"))  # etcd leaves the field out if it is false

    async def close(self) -> None:
        """Close all connections; leases expire on their own."""
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
