"""The admin pages of a built-in target: its keys and its load (docs/wire.md)."""

import contextlib
from collections.abc import Sequence

from harness.cluster.capabilities import Keys, SlotUsage
from harness.common.http_client import ask_json

_TIMEOUT_S = 2.0
_FAILURES = (OSError, ValueError, LookupError, TypeError)


async def fetch_keys(host: str, port: int) -> Keys | None:
    """Return the keys of the replica at an address; None if it reports none."""
    return await _request_keys("GET", host, port)


async def replace_keys(host: str, port: int, signing: int, accepted: Sequence[int]) -> Keys | None:
    """Make it sign with the key ``signing`` and accept ``accepted``; None if it does not confirm both."""
    keys = await _request_keys("PUT", host, port, {"signing": signing, "accepted": list(accepted)})
    return keys if keys is not None and (keys.signing, keys.accepted) == (signing, tuple(sorted(accepted))) else None


async def _request_keys(method: str, host: str, port: int, body: object = None) -> Keys | None:
    with contextlib.suppress(*_FAILURES):
        reply = await ask_json(f"http://{host}:{port}/keys", method=method, body=body, timeout_s=_TIMEOUT_S)
        signing = int(reply["signing"])
        return Keys(signing, tuple(map(int, reply["accepted"])), str(reply["ids"][str(signing)]))
    return None


async def fetch_load(host: str, port: int) -> SlotUsage | None:
    """Return how busy its slots have been; None if it has no slots, or does not answer."""
    with contextlib.suppress(*_FAILURES):
        reply = await ask_json(f"http://{host}:{port}/load", timeout_s=_TIMEOUT_S)
        return SlotUsage(float(reply["held_s"]), int(reply["slots"]), float(reply["t"]))
    return None
