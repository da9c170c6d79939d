"""A workload that the harness did not make: what is done to it, and that it is left as it was found.

Everything is read from the API server again whenever it matters: others may change the workload at any time.
"""

import copy
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from harness.cluster.capabilities import Evidence, Member, Replica, RunOnNode
from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import POD, Manifest
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.replicas.attachment import KINDS, Attachment, held_back
from harness.cluster.replicas.workload_nodes import PlacedPod, WorkloadOnNodes
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.common.waiting import wait_until
from harness.scenario.kubernetes import Kubernetes

_POLL_INTERVAL_S = 0.1
_GONE_WITHIN_S = 60.0  # after the end of its grace


@dataclass(frozen=True)
class WorkloadState:
    """What has to be the same after a run; ``generation`` counts the changes of its specification.

    ``template`` is that of its pods, without the time of their last restart.
    """

    replicas: int
    generation: int
    labels: Mapping[str, str]
    template: Manifest

    @classmethod
    def of(cls, workload: Manifest) -> Self:
        """Read it from the object."""
        metadata, spec = workload["metadata"], workload["spec"]
        template = copy.deepcopy(spec["template"])
        template["metadata"].get("annotations", {}).pop(manifests.RESTARTED_AT, None)
        if not template["metadata"].get("annotations"):
            template["metadata"].pop("annotations", None)
        return cls(spec.get("replicas", 1), metadata["generation"], dict(metadata.get("labels", {})), template)

    def differences(self, now: "WorkloadState", changes: int) -> Sequence[str]:
        """In words, what is different now, after the harness has made this number of ``changes``."""
        found = {
            "replicas": (self.replicas, now.replicas),
            "generation": (self.generation + changes, now.generation),
            "labels": (self.labels, now.labels),
            "template": (self.template, now.template),
        }
        return [
            f"its {what} changed" if what == "template" else f"its {what} should be {before}, not {after}"
            for what, (before, after) in found.items()
            if before != after
        ]


def _boot_of(pod: PodState) -> str:
    """The uid of a pod and, after its container crashed, how often."""
    return f"{pod.uid}.{pod.restarts}" if pod.restarts else pod.uid


def _add_boots(evidence: Evidence, ended: Sequence[str], **facts: str | float | bool | None) -> Evidence:
    """The evidence with more facts, and the boots that ended, if there are any."""
    boots = {"boots": ",".join(ended)} if ended else {}
    return Evidence(evidence.confirmed, {**evidence.facts, **facts, **boots})


class AttachedPod:
    """The place of one replica, such as ``r1``. When its pod ends, the pod that replaces it takes the place."""

    pid = None  # it may be on another machine

    def __init__(self, name: str, workload: "AttachedWorkload", pod: PodState) -> None:
        self.name = name
        self.pod = pod
        self._workload = workload
        self.ended = ""  # the boot that was ended last

    @property
    def boot(self) -> str:
        """The boot id of its pod."""
        return _boot_of(self.pod)

    @property
    def member(self) -> Member:
        """Its pod's address."""
        return Member(self.name, self.pod.address, self._workload.pod_port)

    async def kill(self) -> Evidence:
        """Delete its pod without grace: confirmed once the API server reports it gone."""
        return await self._workload.delete_pod(self, grace_s=0)

    async def terminate(self) -> Evidence:
        """Delete its pod with its own grace: confirmed once the API server reports it gone."""
        return await self._workload.delete_pod(self, grace_s=None)

    async def restart(self) -> Evidence:
        """Wait until another pod has taken the place: confirmed if all pods are ready again."""
        settled = await self._workload.settle()
        return Evidence(settled.confirmed and self.boot != self.ended, {**settled.facts, "boot": self.boot})


class AttachedWorkload(WorkloadOnNodes):
    """A workload, with a place for each of its pods in ``places``. ``announce`` gets a pod's name and boot id.

    The places change with the number of replicas.
    """

    def __init__(
        self, api: KubernetesApi, target: Kubernetes, attachment: Attachment, announce: Callable[[str, str], None]
    ) -> None:
        super().__init__(api, attachment.namespace, parse_seconds(target.ready_within))
        self.places: list[Replica] = []
        self.pod_port = attachment.pod_port
        self._kind, self._name, self._attachment = KINDS[target.kind], target.name, attachment
        self._announce = announce
        self._found = WorkloadState.of(attachment.workload)
        self._changes = 0  # of the specification, by the harness
        self._boots: list[str] = []  # those that have had a place, but for those whose end a fault has reported
        self._ended_by_command = False  # some have, and may not all be replaced

    async def pods(self) -> list[PodState]:
        """Its own pods, in the order of their names; some may be about to end. Its labels may be on pods of others."""
        listed = map(PodState.of, await self._api.read_all(POD, self._namespace, labels=self._attachment.selector))
        own = (pod for pod in listed if self._attachment.owns(pod) and not pod.over)
        return sorted(own, key=lambda pod: pod.name)

    async def delete_pod(self, place: AttachedPod, grace_s: int | None) -> Evidence:
        """Delete the pod at a place."""
        await self._assign_places(may_shrink=False)
        pod, begin, place.ended = place.pod, time.monotonic(), place.boot
        found = await self._api.delete(POD, pod.name, self._namespace, grace_s=grace_s, uid=pod.uid)

        async def gone() -> bool:
            return all(other.uid != pod.uid for other in await self.pods())

        self._leave_out([place.boot])
        facts = {"pod": pod.name, "boot": place.boot, "node": pod.node}
        if not found:
            return Evidence(False, {**facts, "reason": "it has ended before, and no other is ready"})
        within_s = _GONE_WITHIN_S + (pod.grace_s if grace_s is None else grace_s)
        confirmed = await wait_until(gone, within_s, _POLL_INTERVAL_S)
        return Evidence(confirmed, {**facts, "gone_s": round(time.monotonic() - begin, 3)})

    async def drain(self, name: str) -> Evidence:
        """As every workload, but the place may have another pod by now."""
        await self._assign_places(may_shrink=False)
        drained = await super().drain(name)
        self._leave_out(str(drained.facts["boots"]).split(","))
        return drained

    async def lose_node(self, cut: RunOnNode) -> Evidence:
        """As every workload, but the places may have other pods by now."""
        await self._assign_places(may_shrink=False)
        return await super().lose_node(cut)

    async def restart(self) -> Evidence:
        """Begin to replace every pod, by the workload's own strategy: confirmed once the first one starts or ends."""
        before = {pod.uid for pod in await self.pods()}
        self._boots.clear()

        async def begun() -> bool:
            pods = await self.pods()
            return any(pod.deleted for pod in pods) or {pod.uid for pod in pods} != before

        await self._change(manifests.restart())
        return Evidence(await wait_until(begun, self._within_s, _POLL_INTERVAL_S), {"replaces": len(before)})

    async def resize(self, replicas: int | None) -> Evidence:
        """Change the number of replicas; None: back to what it was. ``boots`` are those that ended by it."""
        wanted = self._found.replicas if replicas is None else replicas
        await self._take_ended()  # those that ended before
        begin = time.monotonic()
        if (await self._read())["spec"].get("replicas", 1) != wanted:
            await self._change({"spec": {"replicas": wanted}}, subresource="/scale")
        settled = await self.settle()
        ended = await self._take_ended()
        return _add_boots(settled, ended, settled_s=round(time.monotonic() - begin, 3))

    async def break_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        """Run a command that may end pods."""
        await self._take_ended()  # those that ended before
        done = await command()
        ended = await self._take_ended()
        self._ended_by_command |= bool(ended)
        return _add_boots(done, ended)

    async def undo_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        """Run a command and, if pods have ended, wait until others have their places."""
        done = await command()
        ended = await self._take_ended()
        if not ended and not self._ended_by_command:
            return done
        settled = await self.settle()
        self._ended_by_command = not settled.confirmed
        ended += await self._take_ended()
        facts = {name: fact for name, fact in settled.facts.items() if name != "settled_s"}  # some ended before
        return _add_boots(Evidence(done.confirmed and settled.confirmed, done.facts), ended, **facts)

    async def _take_ended(self) -> list[str]:
        """Give new pods their places; returns the boots that have ended, or have to, since this was last asked for."""
        await self._assign_places(may_shrink=False)
        living = {_boot_of(pod) for pod in await self.pods() if not pod.deleted}
        ended = [boot for boot in self._boots if boot not in living]
        self._leave_out(ended)
        return ended

    def _leave_out(self, reported: Sequence[str]) -> None:
        self._boots = [boot for boot in self._boots if boot not in reported]

    async def settle(self) -> Evidence:
        """Wait until the controller has done what the specification says; every pod then has a place."""
        begin, waits_for = time.monotonic(), ""

        async def is_settled() -> bool:
            nonlocal waits_for
            waits_for = await self._waits_for()
            return not waits_for

        settled = await wait_until(is_settled, self._within_s, _POLL_INTERVAL_S)
        ready = await self._assign_places(may_shrink=settled)
        facts = {"ready": ready, "settled_s": round(time.monotonic() - begin, 3)}
        return Evidence(settled, facts | ({"waits_for": waits_for} if waits_for else {}))

    async def _waits_for(self) -> str:
        """What the controller has yet to do, in words; empty if it has done all."""
        workload, pods = await self._read(), await self.pods()
        status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
        if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
            return "its controller has not seen its last change"
        ready = min(sum(pod.ready and not pod.deleted for pod in pods), status.get("readyReplicas", 0))
        there = max(len(pods), status.get("replicas", 0))
        updated = wanted if held_back(workload) else status.get("updatedReplicas", 0)
        if ready < wanted:
            refused = [each["message"] for each in status.get("conditions", ()) if each["type"] == "ReplicaFailure"]
            waiting = [f"{pod.name} is not: {pod.waits_for}" for pod in pods if pod.waits_for]
            return ", and ".join([f"{ready} of {wanted} pods are ready", *[*refused, *waiting][:1]])
        if there > wanted:
            return f"{there - wanted} of {there} pods have yet to end"
        return f"{updated} of {wanted} pods have its current template" if updated != wanted else ""

    async def _assign_places(self, *, may_shrink: bool) -> int:
        """Keep the places whose pods live, give the others to new pods, and add places for the rest.

        Unless it ``may_shrink``, a place without a successor keeps the pod that it had last. Returns how many are
        ready.
        """
        pods = {pod.uid: pod for pod in await self.pods() if pod.ready and not pod.deleted}
        ready, before = len(pods), self._pods_in_place()
        known = {place.boot for place in before}
        places = before[:ready] if may_shrink else before
        free = [place for place in places if place.pod.uid not in pods]
        for place in places:
            place.pod = pods.pop(place.pod.uid, place.pod)
        for pod in pods.values():
            place = free.pop(0) if free else AttachedPod(f"r{len(places)}", self, pod)
            place.pod = pod
            places = places if place in places else [*places, place]
        for place in places:
            if place.boot not in known:
                self._announce(place.pod.name, place.boot)
                self._boots.append(place.boot)
        self.places[:] = places
        return ready

    def placed_pods(self) -> list[PlacedPod]:
        """The pods of its places."""
        return [PlacedPod(place.name, place.boot, place.pod) for place in self._pods_in_place()]

    async def wait_until_left(self, there: Sequence[PlacedPod], begin: float) -> Evidence:
        """Their Services are not watched: a pod that is not ready gets no new connections."""
        uids = {place.pod.uid for place in there}

        async def unready() -> bool:
            return not any(pod.ready for pod in await self.pods() if pod.uid in uids)

        return Evidence(await wait_until(unready, self._within_s, _POLL_INTERVAL_S))

    def _pods_in_place(self) -> list[AttachedPod]:
        return [place for place in self.places if isinstance(place, AttachedPod)]

    async def _read(self) -> Manifest:
        workload = await self._api.get(self._kind, self._name, self._namespace)
        if workload is None:
            raise UntrustedError(f"{self._kind.name} {self._name} was deleted during the run")
        return workload

    async def _change(self, change: Manifest, subresource: str = "") -> None:
        await self._api.patch(self._kind, f"{self._name}{subresource}", change, self._namespace)
        self._changes += 1

    async def require_unchanged(self) -> None:
        """Check that the workload is as it was found.

        Raises:
            UntrustedError: it is not; the message says in what.
        """
        now = WorkloadState.of(await self._read())
        if different := self._found.differences(now, self._changes):
            raise UntrustedError(
                f"{self._kind.name} {self._name} is not as it was found: {'; '.join(different)} "
                "(somebody else, or an autoscaler, changed it, or it could not be changed back)"
            )


@asynccontextmanager
async def attach(
    api: KubernetesApi, target: Kubernetes, attachment: Attachment, announce: Callable[[str, str], None]
) -> AsyncIterator[AttachedWorkload]:
    """A workload for the length of a scope, at whose end it has to be as it was found.

    Raises:
        EnvironmentLacksError: its pods are not ready (on entering the scope).
        UntrustedError: it is not as it was found (on leaving it).
    """
    workload = AttachedWorkload(api, target, attachment, announce)
    settled = await workload.settle()
    if not settled.confirmed:
        raise EnvironmentLacksError(
            f"{target.workload} is not ready: {settled.facts['waits_for']}",
            f"kubectl -n {attachment.namespace} rollout status {target.workload}",
        )
    try:
        yield workload
    finally:
        await workload.require_unchanged()
