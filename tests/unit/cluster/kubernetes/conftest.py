from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cluster.kubernetes.api import KubernetesApi, connect_api
from tests.support.fake_cluster import FakeCluster, serve_cluster


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeCluster]:
    """An API server that answers, named by the environment."""
    fake = FakeCluster()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    async with serve_cluster(fake, tmp_path / "kubeconfig"):
        yield fake


@pytest.fixture
async def api(cluster: FakeCluster) -> KubernetesApi:
    return await connect_api()
