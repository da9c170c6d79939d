"""A workload of somebody else's: found, broken with evidence, and left as it was found."""

from typing import Any

import pytest

from harness.cluster.capabilities import Evidence, Replica
from harness.cluster.kubernetes.kinds import POD
from harness.cluster.kubernetes.nodes import evict_pods
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.rights import needed_rights, roles
from harness.cluster.replicas import attached_workload, workload_nodes
from harness.cluster.replicas.attached_workload import AttachedPod, AttachedWorkload, attach
from harness.cluster.replicas.attachment import find_attachment, require_usable
from harness.cluster.replicas.probes import address_of
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.scenario.kubernetes import ATTACHED_FAULTS, Kubernetes
from tests.support.attached import FakeCluster, service

SHOP = Kubernetes("deployment/shop", ready_within="300ms")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached_workload, "_POLL_INTERVAL_S", 0.001)


def boots(workload: AttachedWorkload) -> dict[str, str]:
    return {place.name: place.boot for place in workload.places}


def place(workload: AttachedWorkload, number: int) -> AttachedPod:
    found: Replica = workload.places[number]
    assert isinstance(found, AttachedPod)
    return found


async def attached(cluster: Any, announced: list[tuple[str, str]] | None = None) -> Any:
    attachment = await find_attachment(cluster, SHOP)
    announce = (lambda name, boot: None) if announced is None else (lambda name, boot: announced.append((name, boot)))
    return attach(cluster, SHOP, attachment, announce)


async def test_every_pod_has_a_place_and_is_announced_by_its_own_name() -> None:
    announced: list[tuple[str, str]] = []
    async with await attached(FakeCluster(), announced) as workload:
        assert boots(workload) == {"r0": "uid-0", "r1": "uid-1"}
        assert announced == [("shop-0", "uid-0"), ("shop-1", "uid-1")]
        assert workload.places[0].member.port == 8000


async def test_a_deleted_pod_is_gone_and_another_one_takes_its_place() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        killed = await place(workload, 1).kill()
        assert killed.confirmed and killed.facts["boot"] == "uid-1"
        assert cluster.log == ["delete shop-1 grace 0"]
        back = await place(workload, 1).restart()
        assert back.confirmed and back.facts["boot"] == "uid-2"
        assert boots(workload) == {"r0": "uid-0", "r1": "uid-2"}


async def test_a_kill_is_undone_although_something_else_waited_for_the_new_pod() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        await place(workload, 0).kill()
        await place(workload, 1).kill()
        assert (await place(workload, 1).restart()).confirmed
        assert (await place(workload, 0).restart()).confirmed


async def test_a_fault_reaches_the_pod_that_has_the_place_by_then() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        await workload.drain("r1")
        assert (await place(workload, 1).kill()).facts["boot"] == "uid-2"
        assert (await place(workload, 1).restart()).confirmed
        assert (await workload.uncordon("r1")).confirmed
        assert (await workload.drain("r1")).facts["node"] == "node1", "where the pod is that replaced the first one"
        assert (await workload.uncordon("r1")).confirmed


async def test_a_pod_that_ended_without_a_successor_cannot_be_killed() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        del cluster.pods["uid-1"]
        killed = await place(workload, 1).kill()
        assert not killed.confirmed and killed.facts["reason"] == "it has ended before, and no other is ready"


async def test_places_are_numbered_from_0_whichever_pods_live() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        await workload.resize(3)
        cluster.pods.pop("uid-0")
        await workload.resize(2)
        assert boots(workload) == {"r0": "uid-2", "r1": "uid-1"}


async def test_a_place_remains_until_the_workload_has_settled() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        cluster.stuck = True
        await place(workload, 1).kill()
        back = await place(workload, 1).restart()
        assert (back.facts["ready"], back.facts["waits_for"]) == (1, "1 of 2 pods are ready")
        assert boots(workload) == {"r0": "uid-0", "r1": "uid-1"}


async def test_pods_of_others_and_reports_of_pods_that_ended_are_none_of_its_own() -> None:
    cluster = FakeCluster()
    cluster.add_foreign("bare")
    cluster.add_foreign("other", ownerReferences=[{"kind": "ReplicaSet", "name": "other-6f", "controller": True}])
    mine = [{"kind": "ReplicaSet", "name": "shop-6f", "controller": True}]
    cluster.add_foreign("evicted", phase="Failed", ownerReferences=mine)
    async with await attached(cluster) as workload:
        assert set(boots(workload).values()) == {"uid-0", "uid-1"}
        cluster.log.clear()
        await workload.drain("r1")
        assert cluster.log == ["patch nodes/node2", "evict shop-1"]
        await workload.uncordon("r1")


async def test_a_terminated_pod_gets_its_own_grace() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        assert (await place(workload, 0).terminate()).confirmed
        assert cluster.log == ["delete shop-0 grace None"]


@pytest.mark.parametrize(("grace", "confirmed"), [(60.0, True), (0.0, False)])
async def test_a_terminated_pod_is_waited_for_as_long_as_its_own_grace_lets_it_take(
    grace: float, confirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached_workload, "_GONE_WITHIN_S", 0.0)
    cluster = FakeCluster()
    cluster.lingers = 5
    cluster.pods["uid-0"]["spec"]["terminationGracePeriodSeconds"] = grace
    async with await attached(cluster) as workload:
        assert (await place(workload, 0).terminate()).confirmed is confirmed


async def test_a_pod_that_nothing_replaces_is_no_evidence_of_a_restart() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        cluster.stuck = True
        await place(workload, 1).kill()
        assert not (await place(workload, 1).restart()).confirmed


async def test_a_rolling_restart_replaces_all_pods_and_leaves_only_its_annotation() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        begun = await workload.restart()
        assert begun.confirmed and begun.facts["replaces"] == 2
        assert (await workload.settle()).facts["ready"] == 2
        assert set(boots(workload).values()) == {"uid-2", "uid-3"}


async def test_a_restart_that_does_not_end_is_no_evidence() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        cluster.stuck = True
        assert (await workload.restart()).confirmed
        assert not (await workload.settle()).confirmed


async def test_the_size_goes_back_to_what_it_was() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        assert (await workload.resize(4)).facts["ready"] == 4
        assert list(boots(workload)) == ["r0", "r1", "r2", "r3"]
        assert (await workload.resize(None)).confirmed
        assert list(boots(workload)) == ["r0", "r1"]
        assert cluster.log == ["patch deployments/shop/scale"] * 2


async def test_the_pods_that_a_change_of_size_ends_are_in_its_evidence() -> None:
    cluster = FakeCluster(3)
    async with await attached(cluster) as workload:
        await place(workload, 0).kill()  # its end is not that of the resize
        smaller = await workload.resize(1)
        assert smaller.confirmed and smaller.facts["boots"] == "uid-2,uid-3"
        larger = await workload.resize(4)
        assert larger.confirmed and larger.facts.keys() == {"ready", "settled_s"}
        added = boots(workload)["r3"]
        assert (await workload.resize(None)).facts["boots"] == added


async def test_pods_that_a_command_ends_are_in_its_evidence_and_are_replaced_by_its_undo() -> None:
    cluster = FakeCluster()

    async def delete_all() -> Evidence:
        for uid in list(cluster.pods):
            await cluster.delete(POD, "", uid=uid)
        return Evidence(True, {"exit": 0})

    async with await attached(cluster) as workload:
        done = await workload.break_by(delete_all)
        assert done.confirmed and done.facts == {"exit": 0, "boots": "uid-0,uid-1"}
        assert set(boots(workload).values()) == {"uid-2", "uid-3"}, "the health of the topology is that of these"
        undone = await workload.undo_by(delete_all)
        assert undone.confirmed and undone.facts == {"exit": 0, "ready": 2, "boots": "uid-2,uid-3"}
        assert set(boots(workload).values()) == {"uid-4", "uid-5"}
        cluster.stuck = True
        assert (await workload.break_by(delete_all)).facts["boots"] == "uid-4,uid-5"
        late = await workload.undo_by(nothing)
        assert not late.confirmed and late.facts["waits_for"] == "0 of 2 pods are ready"


async def nothing() -> Evidence:
    return Evidence(True)


async def test_a_command_is_not_to_blame_for_what_other_faults_end_meanwhile() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        await workload.break_by(nothing)
        await place(workload, 0).kill()
        await place(workload, 0).restart()
        await workload.drain("r1")
        await workload.uncordon("r1")
        await workload.resize(1)
        await workload.resize(None)
        await workload.restart()
        await workload.settle()
        cluster.stuck = True
        await place(workload, 1).kill()
        undone = await workload.undo_by(nothing)
        assert undone.confirmed and undone.facts == {}, "nor does its undo wait for what is still broken"


async def test_a_container_that_crashed_is_announced_by_its_new_boot_and_ends_by_it() -> None:
    cluster = FakeCluster()
    announced: list[tuple[str, str]] = []
    async with await attached(cluster, announced) as workload:
        cluster.pods["uid-1"]["status"]["containerStatuses"] = [{"restartCount": 1}]
        assert (await workload.resize(1)).facts["boots"] == "uid-1.1"
        assert announced[-1] == ("shop-1", "uid-1.1")
        await workload.resize(None)


async def test_a_drained_node_gets_no_pods_until_it_is_uncordoned() -> None:
    cluster = FakeCluster()
    cluster.evictions_refused = 2  # a disruption budget: tried again
    async with await attached(cluster) as workload:
        drained = await workload.drain("r1")
        assert drained.confirmed and (drained.facts["node"], drained.facts["boots"]) == ("node2", "uid-1")
        assert {pod["spec"]["nodeName"] for pod in cluster.pods.values()} == {"node1"}
        assert (await workload.uncordon("r1")).confirmed
        assert not cluster.nodes["node2"]["spec"]["unschedulable"]


async def test_an_eviction_that_is_never_allowed_is_explained() -> None:
    cluster = FakeCluster()
    cluster.evictions_refused = 10_000
    async with await attached(cluster) as workload:
        drained = await workload.drain("r1")
        assert not drained.confirmed and drained.facts["evicted"] == 0
        assert drained.facts["refused"] == "it would violate the pod's disruption budget"
        assert (await workload.uncordon("r1")).confirmed


async def test_a_pod_that_ended_meanwhile_needs_no_eviction() -> None:
    cluster: Any = FakeCluster()
    ended = PodState("shop-9", "uid-9", {})
    assert await evict_pods(cluster, [ended], "prod", 0.1) == []


async def test_a_node_is_uncordoned_although_the_workload_is_gone() -> None:
    cluster = FakeCluster()
    with pytest.raises(UntrustedError, match="was deleted"):
        async with await attached(cluster) as workload:
            await workload.drain("r1")
            cluster.workload = None
            await workload.uncordon("r1")
    assert not cluster.nodes["node2"]["spec"]["unschedulable"]


async def test_a_node_of_a_pod_that_others_took_away_cannot_be_drained() -> None:
    cluster: Any = FakeCluster()
    with pytest.raises(UntrustedError, match="no pod of r1 any more"):
        async with await attached(cluster) as workload:
            cluster.workload["spec"]["replicas"] = 1
            cluster._reconcile()
            await workload.settle()
            try:
                await workload.drain("r1")
            finally:
                cluster.workload["spec"]["replicas"] = 2


async def test_a_lost_node_is_missed_with_the_readiness_of_its_pods_and_comes_back() -> None:
    cluster = FakeCluster(3)  # on node1, node2, node1

    async def cut(node: str) -> Evidence:
        cluster.report(node, False)
        return Evidence(True, {"exit": 0})

    async def restore(node: str) -> Evidence:
        cluster.report(node, True)
        return Evidence(True)

    async with await attached(cluster) as workload:
        lost = await workload.lose_node(cut)
        assert lost.confirmed and (lost.facts["node"], lost.facts["boots"]) == ("node1", "uid-0,uid-2")
        assert (await workload.regain_node(restore)).confirmed
        assert set(boots(workload).values()) == {"uid-0", "uid-1", "uid-2"}
        assert cluster.log == []


async def test_a_node_that_the_cluster_does_not_miss_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload_nodes, "LOST_WITHIN_S", 0.01)

    async def nothing(node: str) -> Evidence:
        return Evidence(True)

    async with await attached(FakeCluster()) as workload:
        assert not (await workload.lose_node(nothing)).confirmed
        assert (await workload.regain_node(nothing)).confirmed


async def test_a_node_that_was_cordoned_before_stays_cordoned() -> None:
    cluster = FakeCluster()
    async with await attached(cluster) as workload:
        cluster.nodes["node2"]["spec"]["unschedulable"] = True
        await workload.drain("r1")
        await workload.uncordon("r1")
        assert cluster.nodes["node2"]["spec"]["unschedulable"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replicas": 3}, "its replicas should be 2, not 3"),
        ({"labels": {"team": "b"}}, "its labels should be"),
        ({"generation": 7}, "its generation should be 1, not 7"),
        ({"template": {"metadata": {}}}, "its template changed"),
    ],
)
async def test_what_is_not_as_it_was_found_is_said(change: dict[str, Any], said: str) -> None:
    cluster = FakeCluster()
    with pytest.raises(UntrustedError, match=said):
        async with await attached(cluster):
            assert cluster.workload is not None
            for key, value in change.items():
                cluster.workload["metadata" if key in ("labels", "generation") else "spec"][key] = value


async def test_pods_that_are_not_ready_are_said_before_anything_is_done() -> None:
    cluster = FakeCluster()
    cluster.stuck = True
    cluster.pods.clear()
    cluster._reconcile()
    with pytest.raises(EnvironmentLacksError, match="0 of 2 pods"):
        async with await attached(cluster):
            pass


async def test_the_only_service_in_front_of_the_pods_is_found_with_its_address() -> None:
    other = service("other", selector={"app": "other"})
    headless = service("headless")
    headless["spec"]["clusterIP"] = "None"
    found = await find_attachment(FakeCluster(2, other, headless, service()), SHOP)  # type: ignore[arg-type] # a fake
    assert (found.url, found.namespace, found.replicas) == ("http://10.96.0.9:80", "prod", 2)


async def test_the_address_of_a_load_balancer_comes_first() -> None:
    outside = service()
    outside["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    found = await find_attachment(FakeCluster(2, outside), SHOP)  # type: ignore[arg-type] # a fake
    assert found.url == "http://192.0.2.7:80"


async def test_a_service_with_an_address_of_version_6_has_a_url() -> None:
    found = service()
    found["spec"]["clusterIP"] = "fd00::9"
    attachment = await find_attachment(FakeCluster(2, found), SHOP)  # type: ignore[arg-type] # a fake
    assert address_of(attachment.url) == ("fd00::9", 80)


async def test_only_tcp_ports_of_services_that_lead_to_pods_are_chosen_from() -> None:
    name = service("name")
    name["spec"] |= {"type": "ExternalName", "clusterIP": ""}
    both = service("shop", 80, 80)
    both["spec"]["ports"][1]["protocol"] = "UDP"
    attachment = await find_attachment(FakeCluster(2, name, both), SHOP)  # type: ignore[arg-type] # a fake
    assert attachment.port == {"port": 80, "targetPort": "http"}


async def test_every_way_to_select_pods_is_understood() -> None:
    cluster: Any = FakeCluster()
    cluster.workload["spec"]["selector"] = {
        "matchLabels": {"app": "shop"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "track", "operator": "NotIn", "values": ["canary"]},
            {"key": "team", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    found = await find_attachment(cluster, SHOP)
    assert found.selector == "app=shop,tier in (a,b),track notin (canary),team,!old"


PORTLESS = service("a")
del PORTLESS["spec"]["ports"]


@pytest.mark.parametrize(
    ("services", "target", "said"),
    [
        ([PORTLESS], SHOP, "the Service a has no TCP port"),
        ([service("a"), service("b")], SHOP, "found: a, b"),
        ([service("a", selector={})], SHOP, "found: none"),
        ([service("a", 80, 81)], SHOP, "has the ports 80, 81"),
        ([service("a")], Kubernetes("deployment/shop", service="b"), "does not lead to the pods"),
        ([service("a")], Kubernetes("deployment/shop", port=81), "has the ports 80"),
    ],
)
async def test_a_choice_that_is_not_clear_is_asked_for(services: list[Any], target: Kubernetes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        await find_attachment(FakeCluster(2, *services), target)  # type: ignore[arg-type] # a fake


async def test_a_workload_that_is_not_there_is_said() -> None:
    cluster: Any = FakeCluster()
    cluster.workload = None
    with pytest.raises(EnvironmentLacksError, match="there is no deployment/shop in the namespace prod"):
        await find_attachment(cluster, SHOP)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"paused": True}, "it is paused"),
        ({"updateStrategy": {"type": "OnDelete"}}, "its strategy is OnDelete"),
        ({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, "has the partition 1"),
    ],
)
async def test_a_workload_that_would_not_replace_all_its_pods_is_not_restarted(spec: dict[str, Any], said: str) -> None:
    cluster: Any = FakeCluster()
    cluster.workload["spec"] |= spec
    found = await find_attachment(cluster, SHOP)
    with pytest.raises(UsageError, match=f"would not replace all pods of deployment/shop: .*{said}"):
        await require_usable(cluster, SHOP, found, ["rolling_restart"])
    cluster.workload["status"]["updatedReplicas"] = 0  # as after a change of its template
    async with await attached(cluster) as workload:
        assert (await place(workload, 0).kill()).confirmed


async def test_a_workload_without_pods_is_said_before_it_is_asked() -> None:
    cluster: Any = FakeCluster(0)
    with pytest.raises(EnvironmentLacksError, match="deployment/shop has no pods: its number of replicas is 0"):
        await require_usable(cluster, SHOP, await find_attachment(cluster, SHOP), [])


async def test_why_a_pod_is_not_ready_is_said() -> None:
    cluster: Any = FakeCluster()
    pod = cluster.pods["uid-1"]
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]
    said = "is not ready: 1 of 2 pods are ready, and shop-1 is not: 0/2 nodes are available"
    with pytest.raises(EnvironmentLacksError, match=said):
        async with await attached(cluster):
            pass


async def test_an_image_that_is_missing_beside_a_sidecar_that_runs_is_said() -> None:
    cluster: Any = FakeCluster()
    status = cluster.pods["uid-1"]["status"]
    status["conditions"] = [{"type": "Ready", "status": "False"}]
    waiting = {"reason": "ImagePullBackOff", "message": "no shop:2"}
    status["containerStatuses"] = [
        {"name": "agent", "state": {"running": {}}},
        {"name": "web", "state": {"waiting": waiting}},
    ]
    with pytest.raises(EnvironmentLacksError, match="and shop-1 is not: ImagePullBackOff: no shop:2"):
        async with await attached(cluster):
            pass


async def test_why_there_is_no_pod_is_said() -> None:
    cluster: Any = FakeCluster()
    cluster.pods.popitem()
    cluster.workload["status"]["conditions"] = [{"type": "ReplicaFailure", "message": "exceeded quota: small"}]
    with pytest.raises(EnvironmentLacksError, match="1 of 2 pods are ready, and exceeded quota: small"):
        async with await attached(cluster):
            pass


async def test_a_rollout_that_is_not_over_is_said() -> None:
    cluster: Any = FakeCluster()
    cluster.workload["status"]["updatedReplicas"] = 1
    with pytest.raises(EnvironmentLacksError, match="is not ready: 1 of 2 pods have its current template"):
        async with await attached(cluster):
            pass


async def test_a_missing_right_is_named_before_anything_is_done() -> None:
    cluster: Any = FakeCluster()
    cluster.forbidden = {("delete", "pods"), ("patch", "statefulsets")}
    found = await find_attachment(cluster, SHOP)
    with pytest.raises(EnvironmentLacksError, match=r"no permission in prod: delete pods$"):
        await require_usable(cluster, SHOP, found, ["kill", "rolling_restart"])


async def test_rights_to_one_workload_are_enough() -> None:
    cluster: Any = FakeCluster()
    cluster.allowed_names = {
        **{(verb, "deployments"): "shop" for verb in ("get", "patch")},
        ("patch", "deployments/scale"): "shop",
        ("get", "services/proxy"): "shop:80",
    }
    cluster.answers["prod/shop:80/"] = 200
    found, faults = await find_attachment(cluster, SHOP), ["rolling_restart", "resize"]
    await require_usable(cluster, SHOP, found, faults, forwarded=True)
    cluster.allowed_names["patch", "deployments/scale"] = "another"
    with pytest.raises(EnvironmentLacksError, match=r"no permission in prod: patch deployments/scale$"):
        await require_usable(cluster, SHOP, found, faults, forwarded=True)


def test_the_roles_hold_the_rights_of_every_fault_and_no_more() -> None:
    inside, everywhere = roles("prod")
    assert inside["metadata"]["namespace"] == "prod" and everywhere["kind"] == "ClusterRole"
    granted = {
        (verb, resource)
        for role in (inside, everywhere)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (right.verb, right.resource)
        for kind in ("deployment", "statefulset")
        for right in needed_rights(kind, list(ATTACHED_FAULTS))
    }
    assert granted == needed


def test_a_run_without_faults_only_looks() -> None:
    assert {right.verb for right in needed_rights("deployment", [])} == {"get", "list"}
