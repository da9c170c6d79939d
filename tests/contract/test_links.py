"""What a link promises, held to the real proxy before a server that answers and remembers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.cluster.capabilities import DirectionState, LinkState
from harness.cluster.links import ProxiedLink, Route, open_links
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import UntrustedError

HOLD, DROP = DirectionState("hold"), DirectionState("drop")


@dataclass
class Echo:
    """Answers every line with itself, and remembers it."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            self.seen.append(line)
            writer.write(line)
        writer.close()


@dataclass
class Ask:
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __call__(self, line: bytes, within: float = 2.0) -> bytes:
        """The answer to a line; empty where the connection has ended."""
        self.writer.write(line)
        return await self.hear(within)

    async def hear(self, within: float = 2.0) -> bytes:
        try:
            async with asyncio.timeout(within):
                return await self.reader.readline()
        except ConnectionError:
            return b""


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("contract-links") as started:
        yield started


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.answer, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


@pytest.fixture
async def link(supervisor: Supervisor, echo: Echo, tmp_path: Path) -> AsyncIterator[ProxiedLink]:
    async with open_links(supervisor, [Route("a-b", echo.port)], tmp_path) as links:
        yield links["a-b"]


@asynccontextmanager
async def asking(link: ProxiedLink) -> AsyncIterator[Ask]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield Ask(reader, writer)
    finally:
        writer.close()


async def nothing_comes(ask: Ask, line: bytes = b"held\n") -> None:
    with pytest.raises(TimeoutError):
        await ask(line, within=0.15)


async def test_data_passes_unchanged(link: ProxiedLink, echo: Echo) -> None:
    async with asking(link) as ask:
        assert await ask(b"tea\n") == b"tea\n"
        large = b"x" * 60_000 + b"\n"
        for _ in range(20):
            ask.writer.write(large)
        assert [await ask.hear() for _ in range(20)] == [large] * 20
    assert echo.connections == 1


async def test_the_end_of_a_connection_passes_too(link: ProxiedLink, echo: Echo) -> None:
    async with asking(link) as ask:
        await ask(b"tea\n")
        ask.writer.write(b"last\n")
        await ask.writer.drain()
    for _ in range(100):
        if len(echo.seen) == 2 and not (await link.set_state(LinkState())).facts["connections"]:
            break
        await asyncio.sleep(0.01)
    assert echo.seen == [b"tea\n", b"last\n"]
    assert (await link.set_state(LinkState())).facts["connections"] == 0


async def test_a_partition_holds_both_directions_and_delivers_once_it_is_healed(link: ProxiedLink, echo: Echo) -> None:
    async with asking(link) as before:
        await before(b"tea\n")
        evidence = await link.set_state(LinkState(HOLD, HOLD))
        assert evidence.confirmed and evidence.facts["connections"] == 1
        await nothing_comes(before)
        async with asking(link) as during:
            await nothing_comes(during, b"new\n")
            assert (echo.seen, echo.connections) == ([b"tea\n"], 1)
            healed = await link.set_state(LinkState())
            assert healed.facts["held"] == len(b"held\nnew\n")
            assert (await before.hear(), await during.hear()) == (b"held\n", b"new\n")


async def test_a_request_is_delivered_even_after_its_client_gave_up(link: ProxiedLink, echo: Echo) -> None:
    """A late write for which no client waits."""
    await link.set_state(LinkState(HOLD, HOLD))
    async with asking(link) as ask:
        ask.writer.write(b"late\n")
        await ask.writer.drain()
        await asyncio.sleep(0.05)
    assert echo.seen == []
    await link.set_state(LinkState())
    for _ in range(100):
        if echo.seen:
            break
        await asyncio.sleep(0.01)
    assert echo.seen == [b"late\n"]


async def test_a_stall_lets_requests_through_and_keeps_the_replies_for_later(link: ProxiedLink, echo: Echo) -> None:
    await link.set_state(LinkState(replies=HOLD))
    async with asking(link) as ask:
        await nothing_comes(ask)
        assert echo.seen == [b"held\n"]
        await link.set_state(LinkState())
        assert await ask.hear() == b"held\n"


async def test_what_is_applied_and_not_acknowledged_never_is(link: ProxiedLink, echo: Echo) -> None:
    await link.set_state(LinkState(replies=DROP))
    async with asking(link) as ask:
        await nothing_comes(ask)
        assert echo.seen == [b"held\n"]
        assert (await link.set_state(LinkState())).facts["dropped"] == len(b"held\n")
        assert await ask.hear() == b""  # a stream with a hole in it is no use
    async with asking(link) as ask:
        assert await ask(b"tea\n") == b"tea\n"


async def test_a_cut_link_resets_its_connections_and_refuses_new_ones(link: ProxiedLink, echo: Echo) -> None:
    async with asking(link) as ask:
        await ask(b"tea\n")
        await link.set_state(LinkState(cut=True))
        with pytest.raises(ConnectionResetError):
            await ask.reader.readline()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", link.port)
    await link.set_state(LinkState())
    async with asking(link) as ask:
        assert await ask(b"again\n") == b"again\n"


async def test_latency_is_added_and_order_kept(link: ProxiedLink) -> None:
    async with asking(link) as ask:
        await ask(b"tea\n")
        await link.set_state(LinkState(replies=DirectionState(latency=0.2)))
        begin = time.monotonic()
        ask.writer.write(b"one\ntwo\n")
        assert [await ask.hear(), await ask.hear()] == [b"one\n", b"two\n"]
        assert time.monotonic() - begin >= 0.2


async def test_bandwidth_is_a_ceiling(link: ProxiedLink) -> None:
    async with asking(link) as ask:
        await ask(b"tea\n")
        await link.set_state(LinkState(replies=DirectionState(rate=20_000)))
        begin = time.monotonic()
        for _ in range(10):
            assert await ask(b"x" * 999 + b"\n") == b"x" * 999 + b"\n"
        assert time.monotonic() - begin >= 0.9 * 10_000 / 20_000


async def test_links_do_not_meet(supervisor: Supervisor, echo: Echo, tmp_path: Path) -> None:
    async with open_links(supervisor, [Route("a-b", echo.port), Route("a-c", echo.port)], tmp_path) as links:
        await links["a-b"].set_state(LinkState(HOLD, HOLD))
        async with asking(links["a-c"]) as ask:
            assert await ask(b"tea\n") == b"tea\n"


async def test_without_a_route_there_is_no_proxy(supervisor: Supervisor, tmp_path: Path) -> None:
    async with open_links(supervisor, [], tmp_path) as links:
        assert links == {}
        assert supervisor.children == ()


async def test_the_end_of_the_scope_leaves_nothing(supervisor: Supervisor, echo: Echo, tmp_path: Path) -> None:
    async with open_links(supervisor, [Route("a-b", echo.port)], tmp_path) as links:
        link = links["a-b"]
        assert [child.role for child in supervisor.children] == ["proxy"]
    assert supervisor.children == () and supervisor.deaths.empty()
    with pytest.raises(UntrustedError, match="does not answer"):
        await link.set_state(LinkState())


def test_a_link_stands_for_the_port_of_a_url() -> None:
    assert ProxiedLink("r1-store", 7, Path()).rewrite_url("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:7/0"
