"""An API server that is away for too long is reported, however it is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.api_silence import report_silence
from harness.cluster.supervisor import Death
from harness.common.background import background
from tests.support.fake_cluster import FakeCluster

INTERVAL_S = 0.05


@pytest.fixture
async def deaths(api: KubernetesApi) -> AsyncIterator[asyncio.Queue[Death]]:
    found: asyncio.Queue[Death] = asyncio.Queue()
    async with background(report_silence(api, found, INTERVAL_S)):
        yield found


@pytest.mark.slow  # it takes seconds
@pytest.mark.parametrize("kind", ["down", "hangs"])
async def test_silence_is_reported_once_for_each_time(
    kind: str, cluster: FakeCluster, deaths: asyncio.Queue[Death]
) -> None:
    for _ in range(2):
        setattr(cluster, kind, True)
        assert "the API server did not answer for 5 s" in (await deaths.get()).describe()
        await asyncio.sleep(8 * INTERVAL_S)
        setattr(cluster, kind, False)
        await cluster.asked_for_its_version()
    assert deaths.empty()


async def test_a_server_that_answers_or_refuses_is_not_silent(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.refuse["version"] = (403, "forbidden")
    deaths: asyncio.Queue[Death] = asyncio.Queue()
    async with background(report_silence(api, deaths, 10 * INTERVAL_S)):
        for _ in range(3):
            await cluster.asked_for_its_version()
    assert deaths.empty()
