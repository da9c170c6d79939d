"""What a run will do to a workload of others is said beforehand, and refused where it cannot or may not be done."""

import pytest

from harness.cluster.replicas.probes import ReadinessProbe
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.faults import Heal, Kill, Resize, Restart, RollingRestart, Terminate
from harness.runner import attachments
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command
from harness.scenario.workload import Sessions
from tests.support.attached import FakeCluster

LOAD = Sessions(concurrent=1, duration="9s", warmup="1s")


def scenario(*faults: At) -> Scenario:
    designs = [Design("shop", Kubernetes("deployment/shop")), Design("own", Command("serve {port}"))]
    return Scenario(designs, LOAD, faults=[At(at.when, at.fault, only=("shop",)) for at in faults])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    found = FakeCluster()

    async def connect(context: str | None) -> FakeCluster:
        return found

    class Answers:
        def __init__(self, path: str | None) -> None: ...

        async def problem(self, host: str, port: int) -> str:
            return "" if (host, port) == ("10.96.0.9", 80) else "does not answer"

    monkeypatch.setattr("harness.runner.attachments.connect_api", connect)
    monkeypatch.setattr("harness.cluster.replicas.attachment.ReadinessProbe", Answers)
    return found


async def test_the_workload_the_address_and_every_step_are_named(cluster: FakeCluster) -> None:
    plan = scenario(At("2s", Kill(0)), At("2s", Restart(0)), At("4s", RollingRestart()))
    lines = await attachments.survey(plan, ClusterAccess())
    assert [line for line in lines if not line.startswith(" ")] == [
        f"shop, {arm} arm: 9 s of load on http://10.96.0.9:80, deployment/shop in prod of test "
        "(https://127.0.0.1:6443), 2 pods"
        for arm in ("control", "fault")
    ]
    assert [line for line in lines if line.startswith(" ")] == [
        "  at 2s: delete a pod without grace: Kill(replica=0)",
        "  at 2s: wait until the pod is replaced: Restart(replica=0)",
        "  at 4s: replace all pods, as kubectl rollout restart does: RollingRestart()",
    ]
    assert cluster.log == [], "nothing is changed"


async def test_pods_of_others_behind_the_service_are_named(cluster: FakeCluster) -> None:
    cluster.add_foreign("canary-1")
    lines = await attachments.survey(scenario(), ClusterAccess())
    assert lines[1] == "  the Service leads to pods of others, too, which no fault reaches: canary-1"


async def test_a_pod_that_is_not_there_cannot_be_killed(cluster: FakeCluster) -> None:
    with pytest.raises(UsageError, match="there are 2 replicas"):
        await attachments.survey(scenario(At("2s", Kill(2))), ClusterAccess())


async def test_a_pod_that_a_resize_adds_can_be_killed_and_one_that_it_removes_cannot(cluster: FakeCluster) -> None:
    assert await attachments.survey(scenario(At("2s", Resize(4)), At("4s", Kill(3))), ClusterAccess())
    for before in ([At("2s", Resize(1))], [At("2s", Resize(4)), At("3s", Heal(Resize(4))), At("3s", Resize(1))]):
        with pytest.raises(UsageError, match=r"Kill\(replica=1\): there are 1 replicas"):
            await attachments.survey(scenario(*before, At("4s", Kill(1))), ClusterAccess())


async def test_a_path_that_answers_with_an_error_is_no_reason_for_another_address(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(probe: object, host: str, port: int) -> str:
        return "answers GET / with 404"

    monkeypatch.setattr(ReadinessProbe, "problem", answer)
    monkeypatch.setattr("harness.cluster.replicas.attachment.ReadinessProbe", ReadinessProbe)
    with pytest.raises(EnvironmentLacksError, match="answers GET / with 404") as refused:
        await attachments.survey(scenario(), ClusterAccess())
    assert refused.value.hint == 'ready="/healthz" names another path, as --ready does'


async def test_a_workload_without_a_ready_pod_is_no_reason_for_another_address(cluster: FakeCluster) -> None:
    cluster.services[0]["spec"]["clusterIP"] = "10.96.0.10"
    assert cluster.workload is not None
    cluster.workload["status"]["readyReplicas"] = 0
    with pytest.raises(EnvironmentLacksError, match="does not answer") as refused:
        await attachments.survey(scenario(), ClusterAccess())
    assert refused.value.hint == "no pod is ready: kubectl -n prod rollout status deployment/shop"


async def test_a_service_does_not_drain(cluster: FakeCluster) -> None:
    with pytest.raises(UsageError, match="does not drain"):
        await attachments.survey(scenario(At("2s", Terminate(0))), ClusterAccess())


async def test_a_cluster_elsewhere_has_to_be_allowed_by_name(cluster: FakeCluster) -> None:
    cluster.is_local = False
    with pytest.raises(UsageError, match="not this machine"):
        await attachments.survey(scenario(), ClusterAccess())
    assert await attachments.survey(scenario(), ClusterAccess(allowed=("test",)))


async def test_an_address_that_does_not_answer_is_said(cluster: FakeCluster) -> None:
    cluster.services[0]["spec"]["clusterIP"] = "10.96.0.10"
    with pytest.raises(EnvironmentLacksError, match=r"http://10\.96\.0\.10:80 does not answer"):
        await attachments.survey(scenario(), ClusterAccess())


INSIDE = ClusterAccess(forwarded=True)


async def test_a_load_from_pods_goes_to_the_service_whose_address_this_machine_may_not_reach(
    cluster: FakeCluster,
) -> None:
    cluster.services[0]["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    cluster.answers["prod/shop:80/"] = 200
    line = (await attachments.survey(scenario(), INSIDE))[0]
    assert "9 s of load from pods in a namespace of its own on http://10.96.0.9:80, deployment/shop" in line


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({}, "http://10.96.0.9:80 does not answer"),
        ({"prod/shop:80/": 503}, "http://10.96.0.9:80 does not answer, or with 503"),
        ({"prod/shop:80/": 404}, "answers GET / with 404"),
    ],
)
async def test_a_service_that_is_not_ready_inside_is_said(
    answers: dict[str, int], says: str, cluster: FakeCluster
) -> None:
    cluster.answers = answers
    with pytest.raises(EnvironmentLacksError, match=says):
        await attachments.survey(scenario(), INSIDE)


async def test_a_right_that_only_a_load_from_pods_needs_is_named(cluster: FakeCluster) -> None:
    cluster.forbidden = {("get", "services/proxy")}
    assert await attachments.survey(scenario(), ClusterAccess())
    with pytest.raises(EnvironmentLacksError, match="no permission in prod: get services/proxy") as refused:
        await attachments.survey(scenario(), INSIDE)
    grant = "--verb=get --resource=services/proxy --resource-name=shop:80"
    assert refused.value.hint == f"kubectl -n prod create role session-harness-ask {grant}"
    cluster.forbidden.add(("list", "pods"))
    with pytest.raises(EnvironmentLacksError) as refused:
        await attachments.survey(scenario(), INSIDE)
    assert refused.value.hint.startswith("harness doctor --kubernetes; ") and grant in refused.value.hint


@pytest.mark.parametrize("access", [ClusterAccess(), INSIDE])
async def test_a_service_without_an_address_is_refused(access: ClusterAccess, cluster: FakeCluster) -> None:
    cluster.services[0]["spec"]["clusterIP"] = "None"
    named = Design("shop", Kubernetes("deployment/shop", service="shop"))
    with pytest.raises(UsageError, match="the Service shop is headless"):
        await attachments.survey(Scenario([named], LOAD), access)
