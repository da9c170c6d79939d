"""Replicas that a workload of Kubernetes keeps: each holds a place, which another pod takes when its pod ends."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Evidence, Member, SlotUsage
from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.kinds import CLAIM, POD
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.replicas import admin
from harness.cluster.replicas.probes import probe
from harness.cluster.supervisor import Child, ProcessSpec
from harness.cluster.supervisor.main import read_stat
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until

#: In which a workload has to replace a pod that ended.
REPLACED_WITHIN_S = 60.0
_GONE_WITHIN_S = 15.0  # after the end of its grace
_REACHABLE_WITHIN_S = 10.0  # after the cluster reports it ready
_POLL_INTERVAL_S = 0.02
_ASK_INTERVAL_S = 0.2  # between questions to the API server


@dataclass(frozen=True)
class PodSettings:
    """What all replicas of a workload have in common: their port, the run's nonce, their grace, and their files."""

    port: int
    nonce: str
    grace_s: int
    logs: Path
    journal: Path


#: Makes the workload one pod smaller, by this pod.
Shrink = Callable[["PodReplica"], Awaitable[None]]


class PodReplica:
    """The place of one replica, such as ``r1``. Its member is named after the pod that holds the place."""

    def __init__(self, name: str, supervisor: KubernetesSupervisor, settings: PodSettings, shrink: Shrink) -> None:
        self.name = name
        self._shrink = shrink
        self.boot = ""
        self.pod: PodState | None = None
        self._supervisor = supervisor
        self._settings = settings
        self._child: Child | None = None
        self._reached: tuple[str, int] | None = None

    @property
    def member(self) -> Member:
        """Its pod as a balancer knows it."""
        pod = self.require_pod()
        return Member(pod.name, pod.address, self._settings.port, self._reached)

    @property
    def pid(self) -> int | None:
        """The process of its container; None while it is down, or if its node is another machine."""
        return self._child.pid or None if self._child and self._child.alive else None

    @property
    def is_free(self) -> bool:
        """Whether a new pod can take the place: the last one has ended, or is about to."""
        if self.pod is None:
            return True
        now = self._supervisor.watch.pods.get(self.pod.name)
        return now is None or now.uid != self.pod.uid or now.deleted

    async def take(self, pod: PodState) -> None:
        """Let a pod that is ready take the place. Its boot id is asked for.

        Raises:
            EnvironmentLacksError: the pod does not answer, or not as one of this run.
        """
        port = self._settings.port
        reached = await self._supervisor.reach_pod(pod, port)
        health = await wait_until(lambda: probe(*reached), _REACHABLE_WITHIN_S, _POLL_INTERVAL_S)
        if health is None:
            raise self._supervisor.unreachable(pod, port)
        if health.nonce != self._settings.nonce:
            raise EnvironmentLacksError(f"{pod.address} answers, but not as {pod.name} of this run", "run again")
        spec = ProcessSpec(self.name, "replica", (pod.name,), self._settings.logs / f"{self.name}.log", port=port)
        self._child = self._supervisor.adopt(spec, pod, self._settings.journal)
        self.pod, self.boot, self._reached = pod, health.boot, reached

    def require_pod(self) -> PodState:
        """The pod that holds the place, or held it last.

        Raises:
            EnvironmentLacksError: none ever did.
        """
        if self.pod is None:
            raise EnvironmentLacksError(f"{self.name} has no pod", "see the events of the namespace")
        return self.pod

    async def kill(self) -> Evidence:
        """Delete its pod without grace: confirmed once the API server reports it gone.

        The node still gives the container a second between SIGTERM and SIGKILL. If the node is this machine, the fact
        ``process_gone_s`` says when its process was gone; otherwise nobody reports that.
        """
        child, begin = self._child, time.monotonic()
        evidence = await self._end(lambda: self._delete(grace_s=0))
        if child is None or not child.pid:
            return evidence
        gone = await wait_until(lambda: read_stat(child.pid) is None, _GONE_WITHIN_S, _POLL_INTERVAL_S)
        facts = {**evidence.facts, "pid": child.pid, "process_gone_s": round(time.monotonic() - begin, 3)}
        return Evidence(evidence.confirmed and gone, facts)

    async def terminate(self) -> Evidence:
        """Delete its pod with its grace: confirmed once the API server reports it gone."""
        return await self._end(lambda: self._delete(grace_s=None))

    async def retire(self) -> Evidence:
        """Make the workload smaller by its pod: confirmed once the API server reports it gone."""
        return await self._end(lambda: self._shrink(self))

    async def _delete(self, grace_s: int | None) -> None:
        pod, namespace = self.require_pod(), self._supervisor.namespace
        await namespace.api.delete(POD, pod.name, namespace.name, grace_s=grace_s, uid=pod.uid)

    async def _end(self, ask: Callable[[], Awaitable[None]]) -> Evidence:
        """Have its pod ended, and wait until it is gone. The facts are the seconds until what followed."""
        pod, boot = self.require_pod(), self.boot
        if self.is_free:
            return Evidence(False, {"reason": "it had no pod that runs"})
        if self._child is not None:
            self._child.end_expected = True
        begin = time.monotonic()
        await ask()
        return await self._wait_until_gone(pod, boot, begin)

    async def wait_until_gone(self, begin: float) -> Evidence:
        """Wait until its pod, which others have end since ``begin`` (CLOCK_MONOTONIC), is gone."""
        return await self._wait_until_gone(self.require_pod(), self.boot, begin)

    async def _wait_until_gone(self, pod: PodState, boot: str, begin: float) -> Evidence:
        times = self._supervisor.watch.times[pod.uid]
        within_s = self._settings.grace_s + _GONE_WITHIN_S
        gone = await self._supervisor.watch.until(lambda: times.gone is not None, within_s)
        after = self._supervisor.times(pod.uid).since(begin)
        return Evidence(gone, {**self._identify(pod), "boot": boot, **after})

    async def restart(self) -> Evidence:
        """Wait until another pod holds the place: confirmed if it answers with a new boot id."""
        before = self.boot

        def replaced() -> bool:
            return not self.is_free and self._child is not None and self._child.alive

        if not await self._supervisor.watch.until(replaced, REPLACED_WITHIN_S):
            return Evidence(False, {"reason": f"no pod took its place within {REPLACED_WITHIN_S:g} s"})
        return Evidence(True, {**self._identify(self.require_pod()), "boot": self.boot, "old_boot": before})

    async def lose_volume(self) -> Evidence:
        """Delete its claim, and its pod without grace: confirmed once the API server reports both gone.

        A pod that was killed is waited for first: it comes back on its own, and would keep the claim in use.
        """
        back = await self.restart()
        api, namespace = self._supervisor.namespace.api, self._supervisor.namespace.name
        name = manifests.claim_of(self.require_pod().name)
        claim = await api.get(CLAIM, name, namespace)
        if not back.confirmed or claim is None:
            return Evidence(False, back.facts if claim else {"reason": f"there is no claim {name}"})
        uid, begin = claim["metadata"]["uid"], time.monotonic()
        await api.delete(CLAIM, name, namespace, uid=uid)  # it goes when no pod uses it any more
        killed = await self.kill()

        async def is_gone() -> bool:  # the workload makes another one of this name at once
            now = await api.get(CLAIM, name, namespace)
            return now is None or now["metadata"]["uid"] != uid

        gone = await wait_until(is_gone, _GONE_WITHIN_S, _ASK_INTERVAL_S)
        facts = {"claim": name, "claim_uid": uid, "volume": claim["spec"].get("volumeName", "")}
        gone_s = round(time.monotonic() - begin, 3)
        return Evidence(killed.confirmed and gone, {**killed.facts, **facts, "claim_gone_s": gone_s})

    def _identify(self, pod: PodState) -> Mapping[str, str | int]:
        return {"replica": pod.name, "pod_uid": pod.uid, "node": pod.node, "restarts": pod.restarts}

    async def load(self) -> SlotUsage | None:
        """Return how busy its slots have been; None if its capacity is not emulated."""
        return await admin.fetch_load(*self.member.address_from_host)
