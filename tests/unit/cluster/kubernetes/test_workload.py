"""Replicas as pods of a workload: who takes which place, and why a start fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.capabilities import Evidence, Replica
from harness.cluster.kubernetes.api import KubernetesApi, connect_api
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.manifests import PodTemplate
from harness.cluster.kubernetes.pod_watch import watch_pods
from harness.cluster.kubernetes.run_namespace import open_namespace
from harness.cluster.kubernetes.tunnels import Tunnels
from harness.cluster.replicas import pod as pod_module
from harness.cluster.replicas import workload as workload_module
from harness.cluster.replicas.pod import PodReplica, PodSettings
from harness.cluster.replicas.probes import probe
from harness.cluster.replicas.workload import PodWorkload, start_workload
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until
from tests.support.fake_cluster import FakeCluster, ready, waiting
from tests.unit.cluster.kubernetes.conftest import NONCE, no_processes

CLAIMS = ("folder-shop-app-0", "folder-shop-app-1")


@asynccontextmanager
async def supervised(
    api: KubernetesApi, run: str = "x", *, forwarded: bool = False
) -> AsyncIterator[KubernetesSupervisor]:
    async with (
        open_namespace(api, "mine", run) as namespace,
        watch_pods(namespace) as watch,
    ):
        supervisor = KubernetesSupervisor(
            namespace, watch, no_processes(), "image:1", Tunnels(namespace) if forwarded else None
        )
        yield supervisor
        await supervisor.close_tunnels()


def settings(port: int, logs: Path) -> PodSettings:
    return PodSettings(port, NONCE, 1, logs, logs / "journal.jsonl")


def template(claim: bool = False) -> PodTemplate:
    return PodTemplate("shop-app", "image:1", ("serve",), 8080, claim=claim)


async def started(workload: PodWorkload) -> None:
    assert all(replica.boot for replica in workload.replicas)
    assert len({replica.member.name for replica in workload.replicas}) == len(workload.replicas)


async def test_a_pod_that_is_killed_is_replaced_in_its_place(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        await started(workload)
        kept, victim = workload.replicas
        assert isinstance(victim, PodReplica)
        before, boot = victim.member.name, victim.boot
        evidence = await victim.kill()
        assert evidence.confirmed and evidence.facts["boot"] == boot and evidence.facts["replica"] == before
        assert cluster.deletions[-1][1]["gracePeriodSeconds"] == 0
        assert (await victim.restart()).confirmed
        assert victim.name == "r1" and victim.member.name not in (before, kept.member.name) and victim.boot != boot
        assert supervisor.deaths.empty()


def elsewhere(pod: Any) -> Any:
    """The status of a pod that is ready, at an address that leads nowhere."""
    return {**ready(pod), "podIP": "127.0.0.254"}


async def test_pods_whose_addresses_lead_nowhere_from_here_are_reached_through_the_server(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    cluster.pod_status = elsewhere
    async with (
        supervised(api, forwarded=True) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        await started(workload)
        members = {replica.member.name: replica.member for replica in workload.replicas}
        assert {(member.host, member.port) for member in members.values()} == {("127.0.0.254", port)}, "for a balancer"
        cluster.forwarded.clear()
        for name, member in members.items():
            assert member.address_from_host[0] == "127.0.0.1" and await probe(*member.address_from_host)
            assert cluster.forwarded.pop() == name


@pytest.mark.parametrize(
    ("forwarded", "says"),
    [
        (False, r"127\.0\.0\.254:\d+ cannot be reached from this machine"),
        (True, "forwards no connection .* status 403"),
    ],
)
async def test_a_pod_that_cannot_be_reached_is_said(
    forwarded: bool, says: str, cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.pod_status = elsewhere
    cluster.refuse["pods/portforward"] = (403, "forbidden")
    monkeypatch.setattr(pod_module, "_REACHABLE_WITHIN_S", 0.1)
    async with supervised(await connect_api(), forwarded=forwarded) as supervisor:
        with pytest.raises(EnvironmentLacksError, match=says):
            async with start_workload(supervisor, template(), settings(1, tmp_path), ["r0"]):
                pass


async def test_a_restart_replaces_every_pod_and_keeps_the_places(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        before = {replica.member.name: replica.boot for replica in workload.replicas}
        assert (await workload.restart()).confirmed
        settled = await workload.settle()
        assert settled.confirmed and {"r0_gone_s", "r1_gone_s"} <= settled.facts.keys()
        after = {replica.member.name: replica.boot for replica in workload.replicas}
        assert [replica.name for replica in workload.replicas] == ["r0", "r1"]
        assert not (before.keys() & after.keys() or {*before.values()} & {*after.values()})
        assert supervisor.deaths.empty()


async def test_the_number_of_pods_changes_and_changes_back(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        larger = await workload.resize(3)
        assert larger.confirmed and "boots" not in larger.facts
        assert [replica.name for replica in workload.replicas] == ["r0", "r1", "r2"]
        assert (await workload.resize(None)).confirmed
        assert len(workload.replicas) == 2 == len(cluster.names("pods"))


async def test_the_pods_that_a_change_of_size_ends_are_in_its_evidence(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1", "r2"]) as workload,
    ):
        before = {replica.boot for replica in workload.replicas}
        smaller = await workload.resize(1)
        assert smaller.confirmed
        assert {*str(smaller.facts["boots"]).split(",")} == before - {workload.replicas[0].boot}


async def test_the_pod_that_retires_is_the_one_that_was_asked_for(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        kept, retired = workload.replicas
        assert isinstance(retired, PodReplica)
        assert (await retired.retire()).confirmed
        assert cluster.names("pods") == [kept.member.name]


async def test_a_drained_node_gets_no_pods_until_it_is_uncordoned(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    node = ("nodes", "", "node1")
    cluster.put(node, {"metadata": {"name": "node1"}, "spec": {}})
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]) as workload,
    ):
        before = workload.replicas[0].member.name
        boot = workload.replicas[0].boot
        drained = await workload.drain("r0")
        assert drained.confirmed and drained.facts == {"node": "node1", "evicted": 1, "boots": boot}
        assert cluster.objects[node]["spec"] == {"unschedulable": True}
        assert (await workload.uncordon("r0")).confirmed
        assert cluster.objects[node]["spec"] == {} and workload.replicas[0].member.name != before


def node(name: str, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}}


def endpoints(pods: Sequence[Replica], ready: bool) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "shop-app"}
    listed = [
        {"targetRef": {"name": pod.member.name}, "addresses": ["127.0.0.1"], "conditions": {"ready": ready}}
        for pod in pods
    ]
    return {"metadata": {"name": "shop-app-1", "labels": labels}, "endpoints": listed}


async def test_a_node_is_lost_once_the_cluster_misses_it_and_its_pods_get_no_connections(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    cluster.put(("nodes", "", "node1"), node("node1"))
    slice_key = ("endpointslices", "mine-x", "shop-app-1")
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        cluster.put(slice_key, endpoints(workload.replicas, ready=True))
        boots = [replica.boot for replica in workload.replicas]

        async def cut(name: str) -> Evidence:
            cluster.put(("nodes", "", name), node(name, ready=False))
            cluster.put(slice_key, endpoints(workload.replicas, ready=False))
            return Evidence(True, {"exit": 0})

        async def restore(name: str) -> Evidence:
            cluster.put(("nodes", "", name), node(name))
            cluster.put(slice_key, endpoints(workload.replicas, ready=True))
            return Evidence(True)

        for _ in range(2):
            lost = await workload.lose_node(cut)
            assert lost.confirmed and lost.facts["node"] == "node1" and lost.facts["boots"] == ",".join(boots)
            times = [lost.facts[name] for name in ("not_ready_s", "r0_endpoint_left_s", "r1_endpoint_left_s")]
            assert all(isinstance(seconds, float) and seconds >= 0 for seconds in times)
            assert (await workload.regain_node(restore)).confirmed
        assert [replica.boot for replica in workload.replicas] == boots


async def test_a_node_with_another_part_of_the_run_is_not_cut_off(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async def cut(name: str) -> Evidence:
        raise AssertionError(name)

    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]) as workload,
    ):
        store = {"metadata": {"name": "redis-1", "labels": {"session-harness.part": "redis"}}}
        cluster.put(("pods", "mine-x", "redis-1"), {**store, "spec": {"nodeName": "node1"}, "status": {}})
        assert await wait_until(lambda: "redis-1" in supervisor.watch.pods, 10.0, 0.005)
        lost = await workload.lose_node(cut)
        assert not lost.confirmed and "the balancer or the store" in str(lost.facts["reason"])
        assert (await workload.regain_node(cut)).confirmed


async def test_a_stateful_set_gives_each_pod_the_place_of_its_number(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(claim=True), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        assert [replica.member.name for replica in workload.replicas] == ["shop-app-0", "shop-app-1"]
        spec = cluster.objects["statefulsets", "mine-x", "shop-app"]["spec"]
        assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]


async def test_a_pod_loses_its_claim_and_comes_back_with_another_one(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(claim=True), settings(port, tmp_path), ["r0", "r1"]) as workload,
    ):
        claims = {name: cluster.objects["persistentvolumeclaims", "mine-x", name] for name in CLAIMS}
        victim = workload.replicas[1]
        assert isinstance(victim, PodReplica)
        assert (await victim.kill()).confirmed
        lost = await victim.lose_volume()
        assert lost.confirmed and lost.facts["claim"] == "folder-shop-app-1" and lost.facts["boot"]
        assert (await victim.restart()).confirmed and victim.boot != lost.facts["boot"]
        now = {name: cluster.objects["persistentvolumeclaims", "mine-x", name] for name in CLAIMS}
        assert [now[name]["metadata"]["uid"] == claims[name]["metadata"]["uid"] for name in CLAIMS] == [True, False]
        assert lost.facts["claim_uid"] == claims["folder-shop-app-1"]["metadata"]["uid"]
        assert supervisor.deaths.empty()


async def test_a_pod_without_a_claim_has_none_to_lose(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]) as workload,
    ):
        only = workload.replicas[0]
        assert isinstance(only, PodReplica)
        lost = await only.lose_volume()
        assert not lost.confirmed and "there is no claim" in str(lost.facts["reason"])
        assert cluster.deletions == []


async def test_a_container_that_crashes_is_missed(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]) as workload,
    ):
        key = ("pods", "mine-x", workload.replicas[0].member.name)
        crashed = {"exitCode": 137}
        status: dict[str, Any] = {"restartCount": 1, "state": {"waiting": {}}, "lastState": {"terminated": crashed}}
        cluster.put(key, {**cluster.objects[key], "status": {"containerStatuses": [status]}})
        death = await asyncio.wait_for(supervisor.deaths.get(), 10)
        assert (death.name, death.role, death.code) == ("r0", "replica", -9)


def unscheduled(message: str) -> Callable[[Any], dict[str, Any]]:
    """The status of a pod for which the scheduler finds no node."""
    return lambda pod: {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


@pytest.mark.parametrize(
    ("status", "says", "hint"),
    [
        (waiting("ErrImagePull", "not found"), "no image image:1: ErrImagePull: not found", "--image REF"),
        (unscheduled("0/2 nodes are available"), "0/2 nodes are available", "kubectl describe nodes"),
        (unscheduled("pod has unbound immediate PersistentVolumeClaims"), "unbound", "kubectl get storageclass"),
    ],
    ids=["image", "pending", "no volume"],
)
async def test_why_pods_do_not_start_is_one_line(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, status: Any, says: str, hint: str
) -> None:
    monkeypatch.setattr(workload_module, "READY_WITHIN_S", 1.0)
    cluster.pod_status = status
    with pytest.raises(EnvironmentLacksError, match=says) as lack:
        async with (
            supervised(await connect_api()) as supervisor,
            start_workload(supervisor, template(), settings(1, tmp_path), ["r0"]),
        ):
            pass
    assert hint in lack.value.hint
    assert cluster.names("namespaces") == []


async def test_a_quota_that_is_exceeded_is_reported_at_once(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    cluster.replica_set_conditions = [{"type": "ReplicaFailure", "message": "exceeded quota: small"}]
    begin = time.monotonic()
    with pytest.raises(EnvironmentLacksError, match="no pods: exceeded quota: small"):
        async with (
            supervised(api) as supervisor,
            start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]),
        ):
            pass
    assert time.monotonic() - begin < workload_module.READY_WITHIN_S


async def test_effects_among_the_printed_lines_go_to_the_journal(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    effect = '{"op": "1f", "effect": "order"}'
    cluster.pod_status = lambda pod: (
        cluster.logs.update(
            {
                pod["metadata"]["name"]: [
                    "2026-01-01T00:00:00.000000001Z hello",
                    f"2026-01-01T00:00:00.000000002Z {effect}",
                ]
            }
        )
        or ready(pod)
    )
    async with supervised(api) as supervisor:
        async with start_workload(supervisor, template(), settings(port, tmp_path), ["r0"]):
            pass
        await supervisor.logs.drain()
    assert (tmp_path / "r0.log").read_text() == "hello\n"
    assert (tmp_path / "journal.jsonl").read_text() == f"{effect}\n"
