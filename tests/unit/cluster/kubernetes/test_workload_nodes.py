"""A node that is drained, of a workload whose pods may have nowhere else to go."""

from collections.abc import Sequence

from harness.cluster.capabilities import Evidence
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.nodes import accepts_pods, cordon, find_cordoned
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.run_namespace import OWNER
from harness.cluster.kubernetes.sweep import sweep
from harness.cluster.replicas.workload_nodes import PlacedPod, WorkloadOnNodes
from tests.support.fake_cluster import FakeCluster

NODE = ("nodes", "", "only")


class OnOneNode(WorkloadOnNodes):
    """A workload of one pod, which is ready while the only node takes pods."""

    async def pods(self) -> Sequence[PodState]:
        return ()

    async def settle(self) -> Evidence:
        return Evidence(await accepts_pods(self._api, "only"), {"ready": 1})

    def placed_pods(self) -> Sequence[PlacedPod]:
        return [PlacedPod("r0", "boot-0", PodState("shop", "1", {}, node="only"))]

    async def wait_until_left(self, there: Sequence[PlacedPod], begin: float) -> Evidence:
        return Evidence(True)


async def test_pods_without_another_node_are_there_again_when_the_drain_has_ended(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.put(NODE, {"metadata": {"name": "only"}, "spec": {}})
    workload = OnOneNode(api, "shop", within_s=0.1)
    assert (await workload.drain("r0")).confirmed
    undone = await workload.uncordon("r0")
    assert not undone.confirmed and undone.facts["reason"] == "no other node has taken all of its pods"
    assert cluster.objects[NODE]["spec"] == {} and undone.facts["ready"] == 1


async def test_only_nodes_that_a_dead_harness_cordoned_are_uncordoned(api: KubernetesApi, cluster: FakeCluster) -> None:
    for name in ("dead", "living", "of-others"):
        cluster.put(("nodes", "", name), {"metadata": {"name": name}, "spec": {"unschedulable": name == "of-others"}})
    for name in ("dead", "living"):
        await cordon(api, name)
    cluster.objects["nodes", "", "dead"]["metadata"]["annotations"][OWNER] = "dead"
    assert (await sweep(api, lambda owner: owner == "dead")).removed == [("cordon", "dead")]
    assert [await accepts_pods(api, name) for name in ("dead", "living", "of-others")] == [True, False, False]
    assert cluster.objects["nodes", "", "dead"]["metadata"]["annotations"] == {}


async def test_who_may_not_list_nodes_has_cordoned_none(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.refuse["nodes"] = (403, 'nodes is forbidden: User "guest" cannot list resource "nodes"')
    assert await find_cordoned(api) == {}
