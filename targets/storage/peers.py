"""Replicas that exchange sessions over HTTP."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import aiohttp
from aiohttp import web

from targets.common.session import SessionState
from targets.http import request_fields
from targets.http.errors import UnauthorizedError, UnavailableError

KEEP, GIVE = "/peer/keep", "/peer/give"
#: Seconds after which a peer that does not answer counts as unavailable.
TIMEOUT_S = 1.0
_KEY = "X-Peer-Key"
_BATCH_SIZE = 100  # entries in a request, which can have up to a megabyte
_CONNECTION_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError)


class ReplicatedEntry(NamedTuple):
    """A session as one replica sends it to another."""

    handle: str
    expires: float
    session: SessionState

    def to_list(self) -> list[Any]:
        """The entry in JSON's types."""
        return [self.handle, self.expires, self.session.to_dict()]

    @classmethod
    def from_list(cls, entry: Sequence[Any]) -> "ReplicatedEntry":
        """The reverse of ``to_list``."""
        return cls(entry[0], entry[1], SessionState.from_dict(entry[2]))


class Peer(Protocol):
    """Another replica."""

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        """Send copies, and return the handles of those that it refuses, since they are not newer than its own.

        Raises:
            UnavailableError: it does not answer.
        """

    async def give(self, handle: str) -> ReplicatedEntry | None:
        """The session as it has it, which it no longer leads; None if it does not have it.

        Raises:
            UnavailableError: it does not answer.
        """

    async def close(self) -> None:
        """Close all connections to it."""


class HttpPeer:
    """Another replica at an address, ``host:port``."""

    def __init__(self, address: str, key: str) -> None:
        self._url, self._headers = f"http://{address}", {_KEY: key}
        self._client: aiohttp.ClientSession | None = None

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        """Send copies, in batches."""
        refused: set[str] = set()
        for first in range(0, len(entries), _BATCH_SIZE):
            batch = [entry.to_list() for entry in entries[first : first + _BATCH_SIZE]]
            refused.update(await self._post(KEEP, {"entries": batch}, "refused"))
        return refused

    async def give(self, handle: str) -> ReplicatedEntry | None:
        """Ask for a session."""
        entry = await self._post(GIVE, {"handle": handle}, "entry")
        return ReplicatedEntry.from_list(entry) if entry else None

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()

    async def _post(self, path: str, message: object, field: str) -> Any:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._client.post(self._url + path, json=message, headers=self._headers) as response:
                response.raise_for_status()
                return (await response.json())[field]
        except _CONNECTION_ERRORS as problem:
            raise UnavailableError(f"{self._url} does not answer: {type(problem).__name__}") from problem


def peer_key(secret: str) -> str:
    """The key by which the replicas of one service recognise each other."""
    return hashlib.blake2b(b"peers", key=secret.encode()[:64], digest_size=16).hexdigest()


async def read_message(request: web.BaseRequest, key: str) -> dict[str, Any]:
    """The message in a peer's request.

    Raises:
        UnauthorizedError: the sender is not a peer.
        BadRequestError: the body is not a JSON object.
    """
    if request.headers.get(_KEY) != key:
        raise UnauthorizedError("only the other replicas can send this request")
    return await request_fields.body(request)
