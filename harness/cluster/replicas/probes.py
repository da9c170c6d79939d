"""Probes: whether the right part answers at an address."""

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

_MAX_REPLY_BYTES = 1 << 16


@dataclass(frozen=True)
class HealthReport:
    """A reply of ``/healthz``: the HTTP status, and what a built-in target reports; empty if it is something else."""

    status: int
    nonce: str = ""
    replica: str = ""
    boot: str = ""
    opened_s: float = 0.0  # the time that its session store and its app took to get ready


def address_of(url: str) -> tuple[str, int]:
    """The host and the port of an ``http`` URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


class HealthProbe(Protocol):
    """A way to check that a part answers, and that it is the right one."""

    async def problem(self, host: str, port: int) -> str:
        """Return what is wrong with the part at an address; empty if nothing is."""


@dataclass(frozen=True)
class NonceProbe:
    """Expects a built-in target of this run."""

    nonce: str

    async def problem(self, host: str, port: int) -> str:
        """It has to answer 200 with this run's nonce."""
        health = await probe(host, port)
        if health is None:
            return "does not answer"
        if health.status != 200:
            return f"answers {health.status}"
        return "" if health.nonce == self.nonce else "answers, but not with this run's nonce"


@dataclass(frozen=True)
class ReadinessProbe:
    """Expects that ``path`` answers 200 to 399 or, without a path, that the port is open."""

    path: str | None

    async def problem(self, host: str, port: int) -> str:
        """It has to answer within two seconds."""
        if self.path is None:
            return "" if await _is_open(host, port) else "does not listen"
        status = await _status(host, port, self.path)
        if status is None:
            return "does not answer"
        return "" if 200 <= status < 400 else f"answers GET {self.path} with {status}"


async def _status(host: str, port: int, path: str) -> int | None:
    """The status that a path answers with; None if no reply begins within two seconds."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                words = (await reader.readline()).split(maxsplit=2)
    except (OSError, ValueError):  # OSError includes TimeoutError; ValueError: a line too long
        return None
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None


async def _is_open(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # includes TimeoutError
        return False
    writer.close()
    return True


async def probe(host: str, port: int, timeout_s: float = 1.0) -> HealthReport | None:
    """Ask ``/healthz`` once, on a separate connection; None if no reply comes in time.

    The request is HTTP/1.0, so that the reply has no chunks. It is written by hand, so that no proxy setting,
    connection pool or redirect interferes.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reply = await _fetch_health(host, port)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    return _parse_health(reply)


async def _fetch_health(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /healthz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        return await _read_reply(reader)
    finally:
        writer.close()


async def _read_reply(reader: asyncio.StreamReader) -> bytes:
    """Read as much as the reply says that it has, or until the connection ends: a tunnel reports its end late."""
    reply, missing = b"", _MAX_REPLY_BYTES
    while missing > 0 and (data := await reader.read(missing)):
        reply += data
        head, ends, body = reply.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head) if ends else None
        missing = min(_MAX_REPLY_BYTES - len(reply), int(length[1]) - len(body) if length else _MAX_REPLY_BYTES)
    return reply


def _parse_health(reply: bytes) -> HealthReport | None:
    if not reply:
        return None
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    try:
        report = json.loads(body)
    except ValueError:
        return HealthReport(status)
    if not isinstance(report, dict):
        return HealthReport(status)
    nonce, replica, boot = (str(report.get(key, "")) for key in ("nonce", "replica", "boot"))
    opened_s = report.get("opened_s")
    return HealthReport(status, nonce, replica, boot, float(opened_s) if isinstance(opened_s, int | float) else 0.0)
