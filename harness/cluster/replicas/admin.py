"""What a built-in target tells, and is told, on its admin pages (docs/wire.md)."""

import contextlib
from collections.abc import Sequence
from typing import Any

import aiohttp

from harness.cluster.capabilities import Keys, SlotUsage

_TIMEOUT = aiohttp.ClientTimeout(total=2)
_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError, TypeError)


async def fetch_keys(host: str, port: int) -> Keys | None:
    """The keys of the replica at an address; None where it tells none."""
    return await _keys("GET", host, port)


async def replace_keys(host: str, port: int, signing: int, accepted: Sequence[int]) -> Keys | None:
    """Have it sign with the key ``signing`` and accept these; None where it does not say that it does."""
    told = await _keys("PUT", host, port, {"signing": signing, "accepted": list(accepted)})
    return told if told is not None and (told.signing, told.accepted) == (signing, tuple(sorted(accepted))) else None


async def _keys(method: str, host: str, port: int, body: object = None) -> Keys | None:
    with contextlib.suppress(*_FAILURES):
        told = await _told(method, f"http://{host}:{port}/keys", body)
        signing = int(told["signing"])
        return Keys(signing, tuple(map(int, told["accepted"])), str(told["ids"][str(signing)]))
    return None


async def fetch_load(host: str, port: int) -> SlotUsage | None:
    """How busy its slots have been; None where it has none, or does not answer."""
    with contextlib.suppress(*_FAILURES):
        told = await _told("GET", f"http://{host}:{port}/load")
        return SlotUsage(float(told["held_s"]), int(told["slots"]), float(told["t"]))
    return None


async def _told(method: str, url: str, body: object = None) -> Any:
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.request(method, url, json=body) as reply,
    ):
        reply.raise_for_status()
        return await reply.json()
