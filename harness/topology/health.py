"""What an address says of itself on ``/healthz``."""

import asyncio
import json
from dataclasses import dataclass

_LARGEST = 1 << 16


@dataclass(frozen=True)
class Health:
    """A reply: its HTTP status, and what a target of ours tells; empty texts where it is something else."""

    status: int
    nonce: str = ""
    replica: str = ""
    boot: str = ""


async def probe(host: str, port: int, within: float = 1.0) -> Health | None:
    """Ask once, on a connection of its own; None where nobody answers in time.

    HTTP/1.0, so that the reply ends with the connection. Spoken by hand, so that no proxy setting, pool or redirect
    comes between.
    """
    try:
        async with asyncio.timeout(within):
            reply = await _ask(host, port)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    return _parsed(reply)


async def _ask(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /healthz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        reply = b""
        while len(reply) < _LARGEST and (data := await reader.read(_LARGEST)):
            reply += data
        return reply
    finally:
        writer.close()


def _parsed(reply: bytes) -> Health | None:
    if not reply:
        return None
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    try:
        told = json.loads(body)
    except ValueError:
        return Health(status)
    if not isinstance(told, dict):
        return Health(status)
    return Health(status, str(told.get("nonce", "")), str(told.get("replica", "")), str(told.get("boot", "")))
