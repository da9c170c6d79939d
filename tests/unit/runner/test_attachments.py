"""What a run will do to a workload of others is said beforehand, and refused where it cannot or may not be done."""

import pytest

from harness.common.errors import EnvironmentLacksError, UsageError
from harness.faults import Kill, Restart, RollingRestart, Terminate
from harness.runner import attachments
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
    lines = await attachments.survey(plan, ())
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


async def test_a_pod_that_is_not_there_cannot_be_killed(cluster: FakeCluster) -> None:
    with pytest.raises(UsageError, match="there are 2 replicas"):
        await attachments.survey(scenario(At("2s", Kill(2))), ())


async def test_a_service_does_not_drain(cluster: FakeCluster) -> None:
    with pytest.raises(UsageError, match="does not drain"):
        await attachments.survey(scenario(At("2s", Terminate(0))), ())


async def test_a_cluster_elsewhere_has_to_be_allowed_by_name(cluster: FakeCluster) -> None:
    cluster.is_local = False
    with pytest.raises(UsageError, match="not this machine"):
        await attachments.survey(scenario(), ())
    assert await attachments.survey(scenario(), ("test",))


async def test_an_address_that_does_not_answer_is_said(cluster: FakeCluster) -> None:
    cluster.services[0]["spec"]["clusterIP"] = "10.96.0.10"
    with pytest.raises(EnvironmentLacksError, match=r"http://10\.96\.0\.10:80 does not answer"):
        await attachments.survey(scenario(), ())
