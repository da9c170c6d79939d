"""The keys that a built-in target signs with, asked for and changed over HTTP (docs/wire.md); no key is ever told."""

import contextlib
from collections.abc import Sequence

import aiohttp

from harness.parts import Keys

_PATIENCE = aiohttp.ClientTimeout(total=2)


async def ask(host: str, port: int) -> Keys | None:
    """The keys of the replica at an address; None where it tells none."""
    return await _told("GET", host, port)


async def change(host: str, port: int, signing: int, accepted: Sequence[int]) -> Keys | None:
    """Have it sign with the key ``signing`` and accept these; None where it does not say that it does."""
    told = await _told("PUT", host, port, {"signing": signing, "accepted": list(accepted)})
    return told if told is not None and (told.signing, told.accepted) == (signing, tuple(sorted(accepted))) else None


async def _told(method: str, host: str, port: int, body: object = None) -> Keys | None:
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError, TypeError):
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.request(method, f"http://{host}:{port}/keys", json=body) as reply,
        ):
            reply.raise_for_status()
            told = await reply.json()
            signing, accepted = int(told["signing"]), tuple(map(int, told["accepted"]))
            return Keys(signing, accepted, str(told["ids"][str(signing)]))
    return None
