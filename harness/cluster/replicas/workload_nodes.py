"""The nodes of a workload's pods: one is drained or lost, of a workload of the run and of an attached one."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from harness.cluster.capabilities import Evidence, RunOnNode
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.nodes import (
    LOST_WITHIN_S,
    accepts_pods,
    cordon,
    evict_pods,
    find_busiest,
    is_ready,
    uncordon,
)
from harness.cluster.kubernetes.pod_state import PodState
from harness.common.errors import UntrustedError
from harness.common.waiting import wait_until

_ASK_INTERVAL_S = 0.1  # between questions to the API server


@dataclass(frozen=True)
class PlacedPod:
    """The pod that holds the place ``name``, such as ``r1``, and its boot id."""

    name: str
    boot: str
    pod: PodState


class WorkloadOnNodes(ABC):
    """A workload in a namespace, with ``within_s`` seconds for its controller to follow a change."""

    def __init__(self, api: KubernetesApi, namespace: str, within_s: float) -> None:
        self._api, self._namespace, self._within_s = api, namespace, within_s
        self._cordoned: dict[str, str] = {}  # the node that was drained for each replica
        self._lost = ""  # the node that is cut off

    @abstractmethod
    async def pods(self) -> Sequence[PodState]:
        """Its pods, in the order of their names; some may be about to end."""

    @abstractmethod
    async def settle(self) -> Evidence:
        """Wait until as many replicas as there should be are ready, and no other is left."""

    @abstractmethod
    def placed_pods(self) -> Sequence[PlacedPod]:
        """The pods that hold its places, or held them last."""

    def losable_nodes(self) -> Sequence[str]:
        """The nodes of its pods, each as often as it has one, without those that the run itself needs."""
        return [place.pod.node for place in self.placed_pods()]

    @abstractmethod
    async def wait_until_left(self, there: Sequence[PlacedPod], begin: float) -> Evidence:
        """Wait until none of these pods, whose node was cut off at ``begin``, gets new connections."""

    async def drain(self, name: str) -> Evidence:
        """Let no new pod onto a replica's node, and evict its pods there, as disruption budgets allow.

        Confirmed once all of them have to end.

        Raises:
            UntrustedError: the replica has no pod any more.
        """
        node = next((place.pod.node for place in self.placed_pods() if place.name == name), "")
        if not node:
            raise UntrustedError(f"there is no pod of {name} any more")
        if await accepts_pods(self._api, node):
            self._cordoned[name] = node  # noted first, so that an interruption from here on is undone
            await cordon(self._api, node)
        there = [pod for pod in await self.pods() if pod.node == node]
        boots = self._boots_on(node)
        refusals = await evict_pods(self._api, there, self._namespace, self._within_s)
        uids = {pod.uid for pod in there}

        async def end() -> bool:
            return all(pod.deleted for pod in await self.pods() if pod.uid in uids)

        ending = not refusals and await wait_until(end, self._within_s, _ASK_INTERVAL_S)
        reason = {"refused": refusals[0]} if refusals else {}
        return Evidence(ending, {"node": node, "evicted": len(there) - len(refusals), "boots": boots, **reason})

    async def uncordon(self, name: str) -> Evidence:
        """Wait until the pods run elsewhere, and uncordon the node, unless it was cordoned before.

        Not confirmed if no other node has taken them in time; they have the time once more then, on any node.
        """
        node = self._cordoned.pop(name, "")
        try:
            settled = await self.settle()
        finally:
            if node:
                await uncordon(self._api, node)
        if node and not settled.confirmed:
            back = await self.settle()
            return Evidence(False, {**back.facts, "node": node, "reason": "no other node has taken all of its pods"})
        return Evidence(settled.confirmed, {**settled.facts, "node": node})

    async def lose_node(self, cut: RunOnNode) -> Evidence:
        """Cut off the node with most of the pods: confirmed once it is missed and none of them gets connections."""
        nodes = self.losable_nodes()
        if not nodes:
            return Evidence(False, {"reason": "every node with replicas has the balancer or the store, too"})
        self._lost = node = find_busiest(nodes)
        there, boots = [place for place in self.placed_pods() if place.pod.node == node], self._boots_on(node)
        begin, done = time.monotonic(), await cut(node)
        lost = done.confirmed and await self._wait_for_node(node, ready=False)
        facts = {**done.facts, "node": node, "boots": boots, "not_ready_s": round(time.monotonic() - begin, 3)}
        left = await self.wait_until_left(there, begin) if lost else Evidence(False)
        return Evidence(left.confirmed, {**facts, **left.facts})

    async def regain_node(self, restore: RunOnNode) -> Evidence:
        """Bring back the node that was cut off, and wait until the cluster has it again and every pod is ready."""
        node, self._lost = self._lost, ""
        if not node:
            return Evidence(True)
        done = await restore(node)
        back = done.confirmed and await self._wait_for_node(node, ready=True)
        settled = await self.settle()
        return Evidence(back and settled.confirmed, {**done.facts, **settled.facts, "node": node})

    def _boots_on(self, node: str) -> str:
        return ",".join(place.boot for place in self.placed_pods() if place.pod.node == node)

    async def _wait_for_node(self, node: str, *, ready: bool) -> bool:
        async def reached() -> bool:
            return await is_ready(self._api, node) is ready

        return await wait_until(reached, LOST_WITHIN_S, _ASK_INTERVAL_S)
