"""The replicas of a design as a workload of Kubernetes: a Deployment, or a StatefulSet if they keep state on disk."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Evidence, Replica, RunOnNode
from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.kinds import DEPLOYMENT, POD, REPLICA_SET, STATEFUL_SET, Kind, Manifest
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.manifests import PodTemplate
from harness.cluster.kubernetes.nodes import LOST_WITHIN_S, cordon, evict_pods, find_busiest, is_ready, uncordon
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.replicas.pod import PodReplica, PodSettings
from harness.common.background import background
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until

READY_WITHIN_S = 60.0
_POLL_INTERVAL_S = 0.5
_ASK_INTERVAL_S = 0.1  # between questions to the API server


class PodWorkload:
    """A workload whose pods take the places ``r0``, ``r1``, ... as they become ready."""

    def __init__(
        self, supervisor: KubernetesSupervisor, template: PodTemplate, settings: PodSettings, names: Sequence[str]
    ) -> None:
        self._places = [PodReplica(name, supervisor, settings, self.shrink) for name in names]
        self.replicas: list[Replica] = [*self._places]  # those in service
        self._size = len(self._places)
        self._restarted: dict[str, str] = {}  # the uids of the pods that a restart replaces, by their places
        self._restarted_at = 0.0
        self._cordoned: dict[str, str] = {}  # the node that was drained for each replica
        self._lost = ""  # the node that is cut off
        self._supervisor = supervisor
        self._settings = settings
        self._template = template
        self._changed = asyncio.Event()

    @property
    def manifest(self) -> Manifest:
        """The workload as it is created."""
        make = manifests.stateful_set if self._template.claim else manifests.deployment
        return make(self.part, self._template, len(self._places))

    @property
    def part(self) -> str:
        """Its name, which is also that of its Service."""
        return self._template.part

    @property
    def kind(self) -> Kind:
        """A Deployment or a StatefulSet."""
        return STATEFUL_SET if self._template.claim else DEPLOYMENT

    async def start(self) -> None:
        """Create it, and wait until every place is taken.

        Raises:
            EnvironmentLacksError: the pods do not become ready; the message says why.
        """
        await self._supervisor.namespace.create(self.manifest, self._settings.logs)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not all(replica.boot for replica in self._places):
                    await self._fill()
                    await self._require_progress()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), _POLL_INTERVAL_S)
                    self._changed.clear()
        except TimeoutError:
            raise await self._start_error() from None

    async def grow(self) -> PodReplica:
        """Make it one pod larger; returns the new place once it is taken.

        Raises:
            EnvironmentLacksError: the pod does not become ready in time.
        """
        number = 1 + max((int(replica.name[1:]) for replica in self._places), default=-1)
        replica = PodReplica(f"r{number}", self._supervisor, self._settings, self.shrink)
        self._places.append(replica)
        await self._change({"spec": {"replicas": len(self._places)}})
        if not await self._supervisor.watch.until(lambda: bool(replica.boot), READY_WITHIN_S):
            raise await self._start_error()
        return replica

    async def shrink(self, replica: PodReplica) -> None:
        """Make it one pod smaller: that of the replica, which is marked as the cheapest to delete.

        A StatefulSet deletes the pod with the highest number, whatever it costs.
        """
        namespace, name = self._supervisor.namespace, replica.require_pod().name
        cheapest = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1000"}}}
        await namespace.api.patch(POD, name, cheapest, namespace.name)
        self._places.remove(replica)
        await self._change({"spec": {"replicas": len(self._places)}})

    async def _change(self, change: Manifest) -> None:
        await self._supervisor.namespace.api.patch(self.kind, self.part, change, self._supervisor.namespace.name)

    async def restart(self) -> Evidence:
        """Begin to replace every pod, by the workload's own strategy: confirmed once the first one starts or ends."""
        before = {pod.uid for pod in self._pods()}
        self._restarted = {place.name: place.pod.uid for place in self._places if place.pod}
        self._restarted_at = time.monotonic()
        await self._change(manifests.restart())
        begun = await self._supervisor.watch.until(
            lambda: any(pod.deleted or pod.uid not in before for pod in self._pods()), READY_WITHIN_S
        )
        return Evidence(begun, {"replaces": len(before)})

    async def resize(self, replicas: int | None) -> Evidence:
        """Change the number of pods; None: back to what it was. The controller chooses which of them end."""
        wanted = self._size if replicas is None else replicas
        for number in range(len(self._places), wanted):
            place = PodReplica(f"r{number}", self._supervisor, self._settings, self.shrink)
            self._places.append(place)
        await self._change({"spec": {"replicas": wanted}})
        evidence = await self.settle(wanted)
        free = [place for place in self._places if place.is_free]
        self._places = [place for place in self._places if place not in free[: len(self._places) - wanted]]
        self.replicas[:] = self._places
        return evidence

    async def drain(self, name: str) -> Evidence:
        """Let no new pod onto a replica's node, and evict the workload's pods there."""
        namespace = self._supervisor.namespace
        node = next(place for place in self._places if place.name == name).require_pod().node
        if await cordon(namespace.api, node):
            self._cordoned[name] = node
        there = [pod for pod in self._pods() if pod.node == node]
        boots = [place.boot for place in self._places if place.require_pod().uid in {pod.uid for pod in there}]
        evicted = await evict_pods(namespace.api, there, namespace.name, READY_WITHIN_S)
        watch = self._supervisor.watch
        ending = await watch.until(lambda: all(watch.times[pod.uid].deleted for pod in there), READY_WITHIN_S)
        return Evidence(evicted and ending, {"node": node, "evicted": len(there), "boots": ",".join(boots)})

    async def uncordon(self, name: str) -> Evidence:
        """Wait until the pods run elsewhere, and let new ones onto the node again."""
        evidence = await self.settle()
        if node := self._cordoned.pop(name, ""):
            await uncordon(self._supervisor.namespace.api, node)
        return Evidence(evidence.confirmed, {**evidence.facts, "node": node})

    async def lose_node(self, cut: RunOnNode) -> Evidence:
        """Cut off the node with most of the pods among those without a balancer or a store of the run."""
        used = {pod.node for pod in self._supervisor.watch.pods.values() if pod.labels.get(manifests.PART) != self.part}
        free = [pod.node for pod in self._pods() if pod.node not in used]
        if not free:
            return Evidence(False, {"reason": "every node with replicas has the balancer or the store, too"})
        self._lost = node = find_busiest(free)
        there = [place for place in self._places if place.require_pod().node == node]
        uids = {place.name: place.require_pod().uid for place in there}
        watch = self._supervisor.watch
        for uid in uids.values():
            watch.times[uid].left = None  # an earlier loss of this node
        boots, begin = ",".join(place.boot for place in there), time.monotonic()
        done = await cut(node)

        async def is_lost() -> bool:
            return not await is_ready(self._supervisor.namespace.api, node)

        lost = done.confirmed and await wait_until(is_lost, LOST_WITHIN_S, _ASK_INTERVAL_S)
        facts = {**done.facts, "node": node, "boots": boots, "not_ready_s": round(time.monotonic() - begin, 3)}
        left = lost and await watch.until(lambda: all(watch.times[uid].left for uid in uids.values()), READY_WITHIN_S)
        seconds = {name: watch.times[uid].since(begin).get("endpoint_left_s") for name, uid in uids.items()}
        return Evidence(left, {**facts, **{f"{name}_endpoint_left_s": t for name, t in seconds.items()}})

    async def regain_node(self, restore: RunOnNode) -> Evidence:
        """Bring back the node that was cut off, and wait until the cluster has it again and every pod is ready."""
        node, self._lost = self._lost, ""
        if not node:
            return Evidence(True)
        done = await restore(node)

        async def is_back() -> bool:
            return await is_ready(self._supervisor.namespace.api, node)

        back = done.confirmed and await wait_until(is_back, LOST_WITHIN_S, _ASK_INTERVAL_S)
        settled = await self.settle()
        return Evidence(back and settled.confirmed, {**done.facts, **settled.facts, "node": node})

    async def settle(self, size: int | None = None) -> Evidence:
        """Wait until every place is taken, and no other pod is left.

        The facts are, for each pod that a restart has replaced, the seconds from the restart to its SIGTERM, to the
        removal of its endpoint, and to its end.
        """
        wanted, begin = len(self._places) if size is None else size, time.monotonic()

        def settled() -> bool:
            pods = self._pods()
            replaced = not {pod.uid for pod in pods} & set(self._restarted.values())
            holding = [place for place in self._places if not place.is_free]
            return len(pods) == len(holding) == wanted and replaced and all(pod.ready for pod in pods)

        confirmed = await self._supervisor.watch.until(settled, READY_WITHIN_S + self._settings.grace_s)
        facts = {"ready": wanted, "settled_s": round(time.monotonic() - begin, 3)}
        for name, uid in self._restarted.items():
            times = self._supervisor.times(uid).since(self._restarted_at)
            facts |= {f"{name}_{what}": seconds for what, seconds in times.items()}
        self._restarted = {}
        return Evidence(confirmed, facts)

    async def keep_filled(self) -> None:
        """Give pods that become ready the free places, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            with contextlib.suppress(EnvironmentLacksError):  # the pod ended meanwhile; another one will come
                await self._fill()

    def on_pod(self, pod: PodState, gone: bool) -> None:
        """Take a report of a pod."""
        if pod.labels.get(manifests.PART) == self.part:
            self._changed.set()

    async def _fill(self) -> None:
        taken = {(replica.pod.uid, replica.pod.restarts) for replica in self._places if replica.pod}
        for pod in self._pods():
            place = self._place_for(pod)
            if pod.ready and not pod.deleted and (pod.uid, pod.restarts) not in taken and place is not None:
                await place.take(pod)

    def _pods(self) -> Sequence[PodState]:
        pods = self._supervisor.watch.pods
        return [pods[name] for name in sorted(pods) if pods[name].labels.get(manifests.PART) == self.part]

    def _place_for(self, pod: PodState) -> PodReplica | None:
        """The place that the pod held before its container restarted; or the one of its number; or any free one."""
        for replica in self._places:
            if replica.pod is not None and replica.pod.uid == pod.uid:
                return replica
        if self.kind is STATEFUL_SET:
            return next((replica for replica in self._places if pod.name.endswith(f"-{replica.name[1:]}")), None)
        return next((replica for replica in self._places if replica.is_free), None)

    async def _require_progress(self) -> None:
        """Check that no pod is hopeless, and that the workload may create its pods at all."""
        for pod in self._pods():
            if pod.hopeless or pod.restarts:
                raise await self._start_error()
        if len(self._pods()) < len(self._places) and (refusal := await self._find_refusal()):
            raise EnvironmentLacksError(f"no pods: {refusal}", "raise the quota, or use fewer or smaller replicas")

    async def _find_refusal(self) -> str:
        """Why the controller may not create pods; empty if it may."""
        kind = REPLICA_SET if self.kind is DEPLOYMENT else STATEFUL_SET
        labels = f"{manifests.PART}={self.part}"
        owners = await self._supervisor.namespace.api.read_all(kind, self._supervisor.namespace.name, labels=labels)
        conditions = [condition for owner in owners for condition in owner.get("status", {}).get("conditions", ())]
        return next((str(each["message"]) for each in conditions if each["type"] == "ReplicaFailure"), "")

    async def _start_error(self) -> EnvironmentLacksError:
        waiting = [pod for pod in self._pods() if not pod.ready]
        if not waiting:
            return EnvironmentLacksError(f"{self.part} has no pods", "kubectl get events shows why")
        broken = next((pod for pod in waiting if pod.hopeless or pod.restarts), waiting[0])
        return await self._supervisor.start_error(broken.name)


@asynccontextmanager
async def start_workload(
    supervisor: KubernetesSupervisor, template: PodTemplate, settings: PodSettings, names: Sequence[str]
) -> AsyncIterator[PodWorkload]:
    """Run a workload for the length of a scope; the namespace deletes it.

    Raises:
        EnvironmentLacksError: its pods do not become ready.
    """
    workload = PodWorkload(supervisor, template, settings, names)
    supervisor.watch.on_pod.append(workload.on_pod)
    try:
        await workload.start()
        async with background(workload.keep_filled()):
            yield workload
    finally:
        supervisor.watch.on_pod.remove(workload.on_pod)
