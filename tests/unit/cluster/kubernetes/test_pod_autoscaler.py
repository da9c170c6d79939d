"""A HorizontalPodAutoscaler: what it is asked for, and that what it does to the pods is seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.cluster.capabilities import ScalingRule, SizeChange
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.replicas import pod_autoscaler
from harness.cluster.replicas.pod import PodReplica
from harness.cluster.replicas.pod_autoscaler import PodAutoscaler
from harness.cluster.replicas.workload import PodWorkload, start_workload
from tests.support.fake_cluster import FakeCluster
from tests.unit.cluster.kubernetes.test_workload import settings, supervised, template

RULE = ScalingRule(cores=0.25, least=1, most=3, cooldown_s=1.5)
WORKLOAD = ("deployments", "mine-x", "shop-app")


@asynccontextmanager
async def scaled(api: KubernetesApi, port: int, logs: Path) -> AsyncIterator[tuple[PodWorkload, PodAutoscaler]]:
    async with (
        supervised(api) as supervisor,
        start_workload(supervisor, template(), settings(port, logs), ["r0"]) as workload,
    ):
        yield workload, PodAutoscaler(supervisor.namespace, workload, logs)
        assert supervisor.deaths.empty()


async def next_change(autoscaler: PodAutoscaler) -> SizeChange:
    change = await autoscaler.next_change(10.0)
    assert change is not None
    return change


async def test_it_is_asked_to_keep_the_cpu_and_to_remove_one_pod_at_a_time(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with scaled(api, port, tmp_path) as (_, autoscaler):
        assert (await autoscaler.begin(RULE)).confirmed
        spec = cluster.objects["horizontalpodautoscalers", "mine-x", "shop-app"]["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-app"}
        assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)
        assert spec["metrics"][0]["resource"]["target"] == {"type": "AverageValue", "averageValue": "250m"}
        calm = spec["behavior"]["scaleDown"]
        assert calm["stabilizationWindowSeconds"] == 2
        assert calm["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 2}]
        assert (await autoscaler.end()).confirmed
        assert cluster.names("horizontalpodautoscalers") == []


async def test_pods_that_it_adds_get_places_and_those_that_it_removes_leave_theirs(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with scaled(api, port, tmp_path) as (workload, autoscaler):
        await autoscaler.begin(RULE)
        cluster.scale(WORKLOAD, 3)
        added = [await next_change(autoscaler), await next_change(autoscaler)]
        assert [(change.added, change.replica.name) for change in added] == [(True, "r1"), (True, "r2")]
        assert [replica.name for replica in workload.replicas] == ["r0", "r1", "r2"]
        boots = {replica.name: replica.boot for replica in workload.replicas}
        cluster.scale(WORKLOAD, 2)
        removed = await next_change(autoscaler)
        gone = await removed.replica.wait_until_gone(removed.t)
        assert not removed.added and gone.confirmed and gone.facts["boot"] == boots.pop(removed.replica.name)
        assert {replica.name: replica.boot for replica in workload.replicas} == boots
        assert await autoscaler.next_change(0.05) is None
        assert (await autoscaler.end()).facts["ready"] == 2


async def test_its_decisions_are_kept_in_its_own_words(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with scaled(api, port, tmp_path) as (_, autoscaler):
        await autoscaler.begin(RULE)
        for number, reason in enumerate(("SuccessfulRescale", "FailedGetResourceMetric")):
            event = {"metadata": {"name": f"e{number}"}, "reason": reason, "message": f"says {reason}"}
            cluster.put(("events", "mine-x", f"e{number}"), event)
        assert (await autoscaler.end()).facts["decisions"] == "says SuccessfulRescale"


async def test_without_figures_it_has_not_begun(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_autoscaler, "ACTIVE_WITHIN_S", 0.05)
    cluster.metrics = False
    async with scaled(api, port, tmp_path) as (_, autoscaler):
        assert not (await autoscaler.begin(RULE)).confirmed
        assert (await autoscaler.end()).confirmed


async def test_a_pod_that_ends_while_nothing_scales_keeps_its_place_for_the_next_one(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with scaled(api, port, tmp_path) as (workload, autoscaler):
        await autoscaler.begin(RULE)
        await autoscaler.end()
        (place,) = workload.replicas
        assert isinstance(place, PodReplica)
        before = place.member.name
        assert (await place.kill()).confirmed and (await place.restart()).confirmed
        assert workload.replicas == [place] and place.member.name != before
