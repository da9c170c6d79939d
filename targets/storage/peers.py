"""Replicas that ask one another: what they tell of a session, and how, over HTTP."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import aiohttp
from aiohttp import web

from targets.common.session import SessionState
from targets.http import request_fields
from targets.http.errors import UnauthorizedError, UnavailableError

KEEP, GIVE = "/peer/keep", "/peer/give"
#: Seconds after which a peer that does not answer counts as away.
TIMEOUT_S = 1.0
_KEY = "X-Peer-Key"
_AT_ONCE = 100  # entries in a request, which may hold a megabyte
_CONNECTION_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError)


class ReplicatedEntry(NamedTuple):
    """A session as one replica tells it to another."""

    handle: str
    expires: float
    session: SessionState

    def to_list(self) -> list[Any]:
        """In values that JSON knows."""
        return [self.handle, self.expires, self.session.to_dict()]

    @classmethod
    def from_list(cls, plain: Sequence[Any]) -> "ReplicatedEntry":
        """The reverse of ``plain``."""
        return cls(plain[0], plain[1], SessionState.from_dict(plain[2]))


class Peer(Protocol):
    """Another replica."""

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        """Have it keep copies; the handles of those that it refuses, since what it has is as new.

        Raises:
            UnavailableError: it does not answer.
        """

    async def give(self, handle: str) -> ReplicatedEntry | None:
        """What it has of a session, which it leads no longer; None where it has nothing.

        Raises:
            UnavailableError: it does not answer.
        """

    async def close(self) -> None:
        """Ask nothing more."""


class HttpPeer:
    """Another replica by its address, ``host:port``."""

    def __init__(self, address: str, key: str) -> None:
        self._url, self._headers = f"http://{address}", {_KEY: key}
        self._client: aiohttp.ClientSession | None = None

    async def keep(self, entries: Sequence[ReplicatedEntry]) -> Collection[str]:
        """Have it keep copies."""
        refused: set[str] = set()
        for first in range(0, len(entries), _AT_ONCE):
            some = [entry.to_list() for entry in entries[first : first + _AT_ONCE]]
            refused.update(await self._ask(KEEP, {"entries": some}, "refused"))
        return refused

    async def give(self, handle: str) -> ReplicatedEntry | None:
        """What it has of a session."""
        told = await self._ask(GIVE, {"handle": handle}, "entry")
        return ReplicatedEntry.from_list(told) if told else None

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(self, path: str, told: object, wanted: str) -> Any:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._client.post(self._url + path, json=told, headers=self._headers) as response:
                response.raise_for_status()
                return (await response.json())[wanted]
        except _CONNECTION_ERRORS as problem:
            raise UnavailableError(f"{self._url} does not answer: {type(problem).__name__}") from problem


def peer_key(secret: str) -> str:
    """By which the replicas of one service know each other."""
    return hashlib.blake2b(b"peers", key=secret.encode()[:64], digest_size=16).hexdigest()


async def read_message(request: web.BaseRequest, key: str) -> dict[str, Any]:
    """What a peer tells in its request.

    Raises:
        UnauthorizedError: it is no peer.
        BadRequestError: it makes no sense.
    """
    if request.headers.get(_KEY) != key:
        raise UnauthorizedError("only the other replicas may ask this")
    return await request_fields.body(request)
