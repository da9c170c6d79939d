"""Tunnels to pods: which pod they lead to, and that they end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.run_namespace import open_namespace
from harness.cluster.kubernetes.tunnels import Tunnels
from harness.cluster.replicas.probes import probe
from tests.support.fake_cluster import FakeCluster


@asynccontextmanager
async def tunnels(api: KubernetesApi) -> AsyncIterator[Tunnels]:
    async with open_namespace(api, "mine", "x") as namespace:
        opened = Tunnels(namespace)
        try:
            yield opened
        finally:
            await opened.close()


async def test_a_pod_answers_at_a_port_of_this_machine(api: KubernetesApi, port: int) -> None:
    async with tunnels(api) as opened:
        address = await opened.open(lambda: "p0", port)
        assert address[0] == "127.0.0.1" and address[1] != port
        replies = [await probe(*address) for _ in range(3)]
        assert [reply and reply.status for reply in replies] == [200, 200, 200]


async def test_each_connection_goes_to_the_pod_that_is_there_then(
    api: KubernetesApi, cluster: FakeCluster, port: int
) -> None:
    names = iter(["p0", "p1"])
    async with tunnels(api) as opened:
        address = await opened.open(lambda: next(names), port)
        for _ in range(2):
            await probe(*address)
    assert cluster.forwarded == ["p0", "p1"]


async def test_without_a_pod_the_connection_is_closed_at_once(api: KubernetesApi, port: int) -> None:
    async with tunnels(api) as opened:
        reader, writer = await asyncio.open_connection(*await opened.open(lambda: "", port))
        assert await reader.read() == b""
        writer.close()


async def test_why_the_server_forwards_nothing_is_kept(api: KubernetesApi, cluster: FakeCluster, port: int) -> None:
    cluster.refuse["pods/portforward"] = (403, "forbidden")
    async with tunnels(api) as opened:
        assert await probe(*await opened.open(lambda: "p0", port)) is None
        assert "forwards no connection to p0: status 403" in opened.problem


async def test_all_connections_end_when_they_are_closed(api: KubernetesApi, port: int) -> None:
    async with tunnels(api) as opened:
        address = await opened.open(lambda: "p0", port)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await reader.readline()
        await opened.close()
        assert b"nonce" in await reader.read()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection(*address)
        writer.close()
