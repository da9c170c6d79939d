"""Nodes: whether the cluster holds one lost, and emptying one as ``kubectl drain`` does it."""

import time
from collections.abc import Iterable, Mapping, Sequence

from harness.cluster.kubernetes.api import ForbiddenError, KubernetesApi, MissingError
from harness.cluster.kubernetes.kinds import NODE, Kind, Manifest
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.run_namespace import OWNER
from harness.cluster.supervisor.main import owner_identity
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


async def accepts_pods(api: KubernetesApi, node: str) -> bool:
    """Whether new pods may go onto a node."""
    found = await api.get(NODE, node) or {"spec": {}}
    return not found["spec"].get("unschedulable")


async def cordon(api: KubernetesApi, node: str) -> None:
    """Let no new pod onto a node, and record on it which harness did that."""
    await api.patch(NODE, node, _cordon({OWNER: owner_identity()}, unschedulable=True))


async def uncordon(api: KubernetesApi, node: str) -> None:
    """Let new pods onto a node again."""
    await api.patch(NODE, node, _cordon({OWNER: None}, unschedulable=None))


def _cordon(annotations: Mapping[str, str | None], unschedulable: bool | None) -> Manifest:
    return {"metadata": {"annotations": annotations}, "spec": {"unschedulable": unschedulable}}


async def find_cordoned(api: KubernetesApi) -> Mapping[str, str]:
    """The nodes that a harness cordoned, each with its identity; empty without the right to list nodes."""
    try:
        found = await api.read_all(NODE)
    except ForbiddenError:  # without more rights than that, no harness has cordoned one
        return {}
    owners = {str(node["metadata"]["name"]): node["metadata"].get("annotations", {}).get(OWNER) for node in found}
    return {name: owner for name, owner in owners.items() if owner}


async def evict_pods(api: KubernetesApi, pods: Iterable[PodState], namespace: str, within_s: float) -> Sequence[str]:
    """Evict pods one after another, as soon as disruption budgets allow, for so many seconds in all.

    Returns why each pod that was not accepted was refused.
    """
    deadline = time.monotonic() + within_s
    refusals = [await _evict_until(deadline, api, pod, namespace) for pod in pods]
    return [refusal for refusal in refusals if refusal]


async def _evict_until(deadline: float, api: KubernetesApi, pod: PodState, namespace: str) -> str:
    refusal = ""

    async def is_accepted() -> bool:
        nonlocal refusal
        refusal = await _evict(api, pod, namespace)
        return not refusal

    await wait_until(is_accepted, deadline - time.monotonic(), _POLL_INTERVAL_S)
    return refusal


async def _evict(api: KubernetesApi, pod: PodState, namespace: str) -> str:
    eviction = Kind("Eviction", "v1", f"pods/{pod.name}/eviction")
    metadata = {"name": pod.name, "namespace": namespace}
    manifest = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    try:
        await api.create(eviction, manifest, namespace)
    except MissingError:  # it has ended on its own
        return ""
    except EnvironmentLacksError as refusal:  # a disruption budget does not allow it yet
        return refusal.message
    return ""
