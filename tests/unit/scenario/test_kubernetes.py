"""A workload that already runs on Kubernetes, as the service of a design."""

import pytest

from harness.common.errors import UsageError
from harness.faults import DrainNode, Heal, Kill, Partition, Pause, Resize, Restart, RollingRestart, Shell
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Sessions

LOAD = Sessions(concurrent=1, duration="9s", warmup="1s")


def attached(*faults: At, url: str | None = None) -> Scenario:
    return Scenario([Design("shop", Kubernetes("deployment/shop", url=url))], LOAD, faults=faults)


def test_its_kind_and_name_are_read_from_the_workload() -> None:
    shop = Kubernetes("statefulset/web.shop", namespace="prod", port=80)
    assert (shop.kind, shop.name) == ("statefulset", "web.shop")
    assert shop.describe() == {
        "target": "kubernetes",
        "workload": "statefulset/web.shop",
        "ready": "/",
        "namespace": "prod",
        "service_port": 80,
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workload": "shop"}, "no workload"),
        ({"workload": "daemonset/shop"}, "no workload"),
        ({"workload": "deployment/Shop"}, "no workload"),
        ({"workload": "deployment/shop", "port": 0}, "no port"),
        ({"workload": "deployment/shop", "ready": "up"}, "ready must be a path"),
        ({"workload": "deployment/shop", "ready_within": "0s"}, "above 0"),
        ({"workload": "deployment/shop", "url": "https://shop.example.com"}, "cannot load"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Kubernetes(**settings)  # type: ignore[arg-type] # as a user may write it


def test_what_a_platform_does_to_a_workload_is_possible() -> None:
    resized = Resize(to=5)
    faults = [
        *(At("2s", Kill(0)), At("2s", Restart(0)), At("3s", RollingRestart()), At("4s", DrainNode(1))),
        *(At("5s", resized), At("6s", Heal(resized)), At("7s", Shell("true", undo="true"))),
    ]
    assert len(attached(*faults).faults) == 7


def test_how_many_pods_there_are_is_left_to_the_cluster() -> None:
    assert attached(At("2s", Kill(7))).faults


@pytest.mark.parametrize("fault", [Pause(1), Partition("balancer-r1")])
def test_what_only_parts_of_the_harness_can_suffer_is_refused(fault: Fault) -> None:
    with pytest.raises(UsageError, match="cannot be done to a workload of Kubernetes that already runs"):
        attached(At("2s", fault))


def test_a_workload_has_at_least_one_pod() -> None:
    with pytest.raises(UsageError, match="at least one pod"):
        Resize(to=0)


def test_another_host_has_to_be_allowed() -> None:
    outside = attached(url="http://shop.example.com")
    with pytest.raises(UsageError, match=r"shop\.example\.com, which is not this machine"):
        Overrides().apply(outside)
    assert Overrides(allow_hosts=("shop.example.com",)).apply(outside).designs
