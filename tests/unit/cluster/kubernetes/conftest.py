import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from harness.cluster.kubernetes.api import KubernetesApi, connect_api
from harness.cluster.supervisor import Child, Death, ProcessSupervisor
from tests.support.fake_cluster import FakeCluster, serve_cluster

NONCE = "nonce-of-the-run"


class NoProcesses:
    """A supervisor of processes that has none."""

    def __init__(self) -> None:
        self.children: tuple[Child, ...] = ()
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()


def no_processes() -> ProcessSupervisor:
    return cast(ProcessSupervisor, NoProcesses())


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeCluster]:
    """An API server that answers, named by the environment."""
    fake = FakeCluster()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    async with serve_cluster(fake, tmp_path / "kubeconfig"):
        yield fake


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Where every pod of the fake cluster answers, each time with another boot id."""
    boots = iter(range(1000))

    async def health(request: web.BaseRequest) -> web.Response:
        return web.json_response({"nonce": NONCE, "replica": "pod", "boot": f"boot-{next(boots)}"})

    runner = web.ServerRunner(web.Server(health))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def api(cluster: FakeCluster) -> KubernetesApi:
    return await connect_api()
