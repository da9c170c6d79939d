"""What an address says of itself: on ``/healthz``, or as a service of the user's own."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Protocol

_MAX_REPLY_BYTES = 1 << 16


@dataclass(frozen=True)
class HealthReport:
    """A reply: its HTTP status, and what a target of ours tells; empty texts where it is something else."""

    status: int
    nonce: str = ""
    replica: str = ""
    boot: str = ""
    opened_s: float = 0.0  # that its place and its app took to get ready


class HealthProbe(Protocol):
    """How a part shows that it is there, and the right one."""

    async def problem(self, host: str, port: int) -> str:
        """What is wrong with what answers at an address; empty where nothing is."""


@dataclass(frozen=True)
class NonceProbe:
    """A built-in target of this run."""

    nonce: str

    async def problem(self, host: str, port: int) -> str:
        """It answers 200 with this run's nonce."""
        health = await probe(host, port)
        if health is None:
            return "does not answer"
        if health.status != 200:
            return f"answers {health.status}"
        return "" if health.nonce == self.nonce else "answers, but not as ours"


@dataclass(frozen=True)
class ReadinessProbe:
    """A service of the user's own: ``path`` answers 200 to 399, or (None) its port is open."""

    path: str | None

    async def problem(self, host: str, port: int) -> str:
        """It answers so, within two seconds."""
        if self.path is None:
            return "" if await _is_open(host, port) else "does not listen"
        status = await _status(host, port, self.path)
        if status is None:
            return "does not answer"
        return "" if 200 <= status < 400 else f"answers GET {self.path} with {status}"


async def _status(host: str, port: int, path: str) -> int | None:
    """The status that a path answers with; None where no reply begins within two seconds."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                words = (await reader.readline()).split(maxsplit=2)
    except (OSError, ValueError):  # TimeoutError is one of the former; ValueError: a line without end
        return None
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None


async def _is_open(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one of them
        return False
    writer.close()
    return True


async def probe(host: str, port: int, within: float = 1.0) -> HealthReport | None:
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
        while len(reply) < _MAX_REPLY_BYTES and (data := await reader.read(_MAX_REPLY_BYTES)):
            reply += data
        return reply
    finally:
        writer.close()


def _parsed(reply: bytes) -> HealthReport | None:
    if not reply:
        return None
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    try:
        told = json.loads(body)
    except ValueError:
        return HealthReport(status)
    if not isinstance(told, dict):
        return HealthReport(status)
    nonce, replica, boot = (str(told.get(key, "")) for key in ("nonce", "replica", "boot"))
    return HealthReport(status, nonce, replica, boot, _seconds(told))


def _seconds(told: dict[str, object]) -> float:
    opened = told.get("opened_s")
    return float(opened) if isinstance(opened, int | float) else 0.0
