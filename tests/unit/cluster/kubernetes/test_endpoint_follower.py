"""The members of a balancer follow the endpoints of a Service, or wait for their pods."""

from collections.abc import Mapping
from typing import Any

import pytest

from harness.cluster.capabilities import Member
from harness.cluster.kubernetes.endpoint_follower import EndpointFollower
from harness.cluster.kubernetes.pod_watch import PodWatch
from harness.common.waiting import wait_until
from tests.support.clocks_and_topology import FakeBalancer


class AddressBook(FakeBalancer):
    """A balancer that shows where its members are."""

    def __init__(self, members: Mapping[str, str]) -> None:
        super().__init__()
        self.addresses = dict(members)

    async def add(self, member: Member) -> None:
        self.addresses[member.name] = member.host

    async def remove(self, name: str) -> None:
        del self.addresses[name]


def report(watch: PodWatch, endpoints: Mapping[str, str]) -> None:
    """A report of these ready pods and their addresses."""
    listed = [{"targetRef": {"name": pod}, "addresses": [address]} for pod, address in endpoints.items()]
    labels = {"kubernetes.io/service-name": "shop"}
    item: dict[str, Any] = {"metadata": {"name": "shop-1", "labels": labels}, "endpoints": listed}
    watch.take_slice("MODIFIED", item)


@pytest.mark.parametrize(
    ("wait", "while_away"),
    [(False, {"shop-0": "10.0.0.1"}), (True, {"shop-0": "10.0.0.1", "shop-1": "10.0.0.2"})],
    ids=["leaves", "waits"],
)
async def test_a_pod_that_comes_back_at_another_address_is_the_same_member(
    *, wait: bool, while_away: dict[str, str]
) -> None:
    watch, before = PodWatch(), {"shop-0": "10.0.0.1", "shop-1": "10.0.0.2"}
    report(watch, before)
    balancer = AddressBook(before)
    async with EndpointFollower(balancer, watch, "shop", 80, wait=wait).following(set(before)):
        report(watch, {"shop-0": "10.0.0.1"})
        report(watch, {"shop-0": "10.0.0.1", "shop-2": "10.0.0.4"})  # once this one is a member, both were followed
        assert await wait_until(lambda: balancer.addresses == {**while_away, "shop-2": "10.0.0.4"}, 10.0, 0.001)
        report(watch, {"shop-0": "10.0.0.1", "shop-1": "10.0.0.3", "shop-2": "10.0.0.4"})
        assert await wait_until(lambda: balancer.addresses.get("shop-1") == "10.0.0.3", 10.0, 0.001)
