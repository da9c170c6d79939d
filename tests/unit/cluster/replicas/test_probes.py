import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from harness.cluster.replicas.probes import HealthReport, probe
from harness.common.ports import LOOPBACK, Reservation


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in reply:  # in many small pieces, as a network may
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]


OURS = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"nonce": "n", "replica": "r0", "boot": "b"}'


@pytest.mark.parametrize(
    ("reply", "health"),
    [
        (OURS, HealthReport(200, "n", "r0", "b")),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n<html>none</html>", HealthReport(503)),
        (b"HTTP/1.1 200 OK\r\n\r\n[1, 2]", HealthReport(200)),
        (b"+PONG\r\n", HealthReport(0)),
        (b"", None),
    ],
)
async def test_a_reply_is_read_for_what_it_is(reply: bytes, health: HealthReport | None) -> None:
    async with answering(reply) as port:
        assert await probe(LOOPBACK, port) == health


@pytest.mark.parametrize("name", [b"Content-Length: ", b"content-length:"])
async def test_a_reply_whose_length_is_known_is_complete_before_its_connection_ends(name: bytes) -> None:
    """A tunnel reports the end of a connection late."""
    asked_to_end = asyncio.Event()
    length = name + str(len(OURS.partition(b"\r\n\r\n")[2])).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OURS.replace(b"Content-Type: application/json", length))
        await asked_to_end.wait()
        writer.close()

    async with await asyncio.start_server(answer, LOOPBACK, 0) as server:
        assert await probe(LOOPBACK, server.sockets[0].getsockname()[1], 30.0) == HealthReport(200, "n", "r0", "b")
        asked_to_end.set()


async def test_a_port_without_a_listener_gives_no_report() -> None:
    with Reservation() as reservation:
        assert await probe(LOOPBACK, reservation.port) is None


async def test_a_service_that_does_not_answer_reports_no_health() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, LOOPBACK, 0) as server:
        assert await probe(LOOPBACK, server.sockets[0].getsockname()[1], timeout_s=0.02) is None
