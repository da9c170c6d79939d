"""A design that is held up in pods: where it is, and what ``harness kill`` answers."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from harness import BuiltIn
from harness.cluster import leftovers
from harness.cluster.backends import kubernetes
from harness.runner import hold
from harness.scenario.balancing import Balancing
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.design import Design
from tests.support.fake_cluster import FakeCluster, serve_cluster

DESIGN = Design("plain", BuiltIn(), Balancing("connection", name="service"), replicas=2)


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeCluster]:
    """A cluster whose pods all answer at one port, with the nonce of their command line and ever new boot ids."""
    fake, boots = FakeCluster(), iter(range(1000))

    async def health(request: web.BaseRequest) -> web.Response:
        (deployment,) = [item for (kind, _, _), item in fake.objects.items() if kind == "deployments"]
        command = " ".join(deployment["spec"]["template"]["spec"]["containers"][0]["command"])
        found = re.search(r"--nonce[= ](\S+)", command)
        assert found is not None, command
        return web.json_response({"nonce": found[1], "replica": "pod", "boot": f"boot-{next(boots)}"})

    runner = web.ServerRunner(web.Server(health))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setattr(kubernetes, "PORT", runner.addresses[0][1])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    async with serve_cluster(fake, tmp_path / "kubeconfig"):
        yield fake
    await runner.cleanup()


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the supervisor of this test is found: another topology may be held on this machine."""
    known = {*leftovers.scratch_directories()}
    monkeypatch.setattr(hold, "scratch_directories", lambda: {*leftovers.scratch_directories()} - known)
    yield


async def test_a_pod_is_killed_and_its_place_taken_by_another(cluster: FakeCluster) -> None:
    access = ClusterAccess(prefix="held", image="image:2")
    async with hold.hold_topology(DESIGN, backend="kubernetes", access=access) as held:
        (namespace,) = cluster.names("namespaces")
        assert namespace.startswith("held-")
        pods = cluster.names("pods")
        images = {cluster.objects["pods", namespace, pod]["spec"]["containers"][0]["image"] for pod in pods}
        assert len(pods) == 2 and images == {"image:2"}
        victim = held.topology.replicas[1].member.name
        killed = await hold.request("kill", "r1")
        assert (killed["replica"], killed["pod"], killed["node"]) == ("r1", victim, "node1")
        restarted = await hold.request("restart", "r1")
        assert restarted["pod"] in cluster.names("pods") and restarted["pod"] != victim
    assert cluster.names("namespaces") == []
