"""The replicas of a design as a workload of Kubernetes: a Deployment, or a StatefulSet if they keep state on disk."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Evidence, Replica, SizeChange
from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.kinds import DEPLOYMENT, POD, REPLICA_SET, STATEFUL_SET, Kind, Manifest
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.manifests import PodTemplate
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.replicas.pod import PodReplica, PodSettings
from harness.cluster.replicas.workload_nodes import PlacedPod, WorkloadOnNodes
from harness.common.background import background
from harness.common.errors import EnvironmentLacksError

READY_WITHIN_S = 60.0
_POLL_INTERVAL_S = 0.5


class PodWorkload(WorkloadOnNodes):
    """A workload whose pods take the places ``r0``, ``r1``, ... as they become ready."""

    def __init__(
        self, supervisor: KubernetesSupervisor, template: PodTemplate, settings: PodSettings, names: Sequence[str]
    ) -> None:
        super().__init__(supervisor.namespace.api, supervisor.namespace.name, READY_WITHIN_S)
        self._places = [PodReplica(name, supervisor, settings, self.shrink) for name in names]
        self.replicas: list[Replica] = [*self._places]  # those in service
        self._size = len(self._places)
        self._restarted: dict[str, str] = {}  # the uids of the pods that a restart replaces, by their places
        self._restarted_at = 0.0
        self._supervisor = supervisor
        self._settings = settings
        self._template = template
        self._changed = asyncio.Event()
        self.on_size: Callable[[SizeChange], None] | None = None  # set while an autoscaler may change its size

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
                while not await self._fill():
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
        self._places.append(replica := self._make_place())
        await self._change({"spec": {"replicas": len(self._places)}})
        if not await self._supervisor.watch.until(lambda: bool(replica.boot), READY_WITHIN_S):
            raise await self._start_error()
        return replica

    async def shrink(self, replica: PodReplica) -> None:
        """Make it one pod smaller: that of the replica, which is marked as the cheapest to delete.

        A StatefulSet deletes the pod with the highest number, whatever it costs.
        """
        cheapest = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1000"}}}
        await self._api.patch(POD, replica.require_pod().name, cheapest, self._namespace)
        self._places.remove(replica)
        await self._change({"spec": {"replicas": len(self._places)}})

    async def _change(self, change: Manifest) -> None:
        await self._api.patch(self.kind, self.part, change, self._namespace)

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
        """Change the number of pods; None: back to what it was. The controller chooses the ``boots`` that end by it."""
        wanted, begin = self._size if replicas is None else replicas, time.monotonic()
        before = {place.pod.uid: place.boot for place in self._places if place.pod and not place.is_free}
        for _ in range(len(self._places), wanted):
            self._places.append(self._make_place())
        await self._change({"spec": {"replicas": wanted}})
        evidence = await self.settle(wanted)
        free = [place for place in self._places if place.is_free]
        self._places = [place for place in self._places if place not in free[: len(self._places) - wanted]]
        self.replicas[:] = self._places
        living = {pod.uid for pod in self._pods() if not pod.deleted}
        boots = ",".join(boot for uid, boot in before.items() if uid not in living)
        facts = {**evidence.facts, "settled_s": round(time.monotonic() - begin, 3)}
        return Evidence(evidence.confirmed, facts | ({"boots": boots} if boots else {}))

    async def pods(self) -> Sequence[PodState]:
        """Its pods as the API server last reported them, in the order of their names."""
        return self._pods()

    def placed_pods(self) -> Sequence[PlacedPod]:
        """The pods that hold its places, or held them last."""
        return [PlacedPod(place.name, place.boot, place.require_pod()) for place in self._places]

    def losable_nodes(self) -> Sequence[str]:
        """The nodes without a balancer or a store of the run."""
        used = {pod.node for pod in self._supervisor.watch.pods.values() if pod.labels.get(manifests.PART) != self.part}
        return [pod.node for pod in self._pods() if pod.node not in used]

    async def wait_until_left(self, there: Sequence[PlacedPod], begin: float) -> Evidence:
        """The facts are the seconds until the endpoint of each pod left."""
        watch = self._supervisor.watch
        times = {place.name: watch.times[place.pod.uid] for place in there}
        confirmed = await watch.until(lambda: all((each.left or 0) > begin for each in times.values()), READY_WITHIN_S)
        left = {name: each.since(begin).get("endpoint_left_s") for name, each in times.items()}
        return Evidence(confirmed, {f"{name}_endpoint_left_s": seconds for name, seconds in left.items()})

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
        """Take a report of a pod. One that an autoscaler has end leaves its place for good."""
        if pod.labels.get(manifests.PART) != self.part:
            return
        self._changed.set()
        place = next((place for place in self._places if place.pod and place.pod.uid == pod.uid), None)
        if self.on_size and place and (pod.deleted or gone):
            self._places.remove(place)
            self.replicas[:] = self._places
            times = self._supervisor.watch.times[pod.uid]
            self.on_size(SizeChange(place, False, min(filter(None, (times.deleted, times.left)))))

    async def _fill(self) -> bool:
        """Give pods that are ready the free places; returns whether each place has had a pod."""
        taken = {(replica.pod.uid, replica.pod.restarts) for replica in self._places if replica.pod}
        for pod in self._pods():
            place = self._place_for(pod)
            if not pod.ready or pod.deleted or (pod.uid, pod.restarts) in taken:
                continue
            if place is not None:
                await place.take(pod)
            elif self.on_size:
                await self._take_another(pod, self.on_size)
        return all(place.boot for place in self._places)

    async def _take_another(self, pod: PodState, on_size: Callable[[SizeChange], None]) -> None:
        """Give a pod that an autoscaler has added a new place."""
        place = self._make_place()
        await place.take(pod)
        self._places.append(place)
        self.replicas[:] = self._places
        on_size(SizeChange(place, True, time.monotonic()))

    def _make_place(self) -> PodReplica:
        number = 1 + max((int(place.name[1:]) for place in self._places), default=-1)
        return PodReplica(f"r{number}", self._supervisor, self._settings, self.shrink)

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
        owners = await self._api.read_all(kind, self._namespace, labels=labels)
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
