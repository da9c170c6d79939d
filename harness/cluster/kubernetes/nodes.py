"""Nodes: whether the cluster holds one lost, and emptying one as ``kubectl drain`` does it."""

from collections.abc import Iterable
from functools import partial

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import NODE, Kind
from harness.cluster.kubernetes.pod_state import PodState
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until

#: In which a cluster has to miss a node, or to have it back; it misses one after 50 s by default.
LOST_WITHIN_S = 120.0
_POLL_INTERVAL_S = 0.1


def find_busiest(nodes: Iterable[str]) -> str:
    """The node that is named most often; of several, the last by its name."""
    named = sorted(nodes, reverse=True)
    return max(named, key=named.count)


async def is_ready(api: KubernetesApi, node: str) -> bool:
    """Whether the cluster hears from a node, and it can run pods."""
    found = await api.get(NODE, node) or {}
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def cordon(api: KubernetesApi, node: str) -> bool:
    """Let no new pod onto a node; returns whether that was allowed before."""
    found = await api.get(NODE, node) or {"spec": {}}
    if found["spec"].get("unschedulable"):
        return False
    await api.patch(NODE, node, {"spec": {"unschedulable": True}})
    return True


async def uncordon(api: KubernetesApi, node: str) -> None:
    """Let new pods onto a node again."""
    await api.patch(NODE, node, {"spec": {"unschedulable": None}})


async def evict_pods(api: KubernetesApi, pods: Iterable[PodState], namespace: str, within_s: float) -> bool:
    """Evict pods one after another, as soon as disruption budgets allow; returns whether all were accepted in time."""
    evicted = [await wait_until(partial(_evict, api, pod, namespace), within_s, _POLL_INTERVAL_S) for pod in pods]
    return all(evicted)


async def _evict(api: KubernetesApi, pod: PodState, namespace: str) -> bool:
    eviction = Kind("Eviction", "v1", f"pods/{pod.name}/eviction")
    metadata = {"name": pod.name, "namespace": namespace}
    manifest = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    try:
        await api.create(eviction, manifest, namespace)
    except EnvironmentLacksError:  # a disruption budget does not allow it yet
        return False
    return True
