import json
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.balancers.launch import Setup
from harness.cluster.balancers.membership import Upstream
from harness.cluster.balancers.traefik import dynamic, refusals_in
from harness.cluster.capabilities import Member
from harness.scenario.balancing import Balancing, Health
from tests.support.balancers import RefusingStarter

R0, R1 = Member("r0", "127.0.0.1", 9000), Member("r1", "127.0.0.1", 9001)


def http(balancing: Balancing, *upstreams: Upstream) -> dict[str, Any]:
    setup = Setup(balancing, (), RefusingStarter(), Path("/s"), Path("/l"), 8080)
    return dict(dynamic(setup, upstreams or (Upstream(R0), Upstream(R1)))["http"])


def service(balancing: Balancing, *upstreams: Upstream) -> dict[str, Any]:
    return dict(http(balancing, *upstreams)["services"]["replicas"]["loadBalancer"])


@pytest.mark.parametrize(
    ("policy", "strategy"),
    [("round_robin", "wrr"), ("cookie", "wrr"), ("least_connections", "p2c"), ("source", "hrw")],
)
def test_each_policy_has_its_strategy_and_the_cookie_alone_is_sticky(policy: str, strategy: str) -> None:
    content = service(Balancing(policy))
    assert content["strategy"] == strategy
    assert ("sticky" in content) == (policy == "cookie")


def test_a_draining_member_is_left_out() -> None:
    content = service(Balancing(), Upstream(R0), Upstream(R1, draining=True))
    assert content["servers"] == [{"url": "http://127.0.0.1:9000"}]


def test_health_and_retries_become_the_nearest_equivalent() -> None:
    content = service(Balancing(health=Health("250ms", path="/up")))
    assert (content["healthCheck"]["path"], content["healthCheck"]["interval"]) == ("/up", "250ms")
    assert "healthCheck" not in service(Balancing(health=Health(path=None)))
    assert http(Balancing(retries=2))["middlewares"]["again"]["retry"]["attempts"] == 3


def line(status: int, address: str = "", op: str = "00000000000000ff") -> str:
    return json.dumps({"DownstreamStatus": status, "ServiceAddr": address, "request_Idempotency-Key": op})


def test_a_reply_because_no_member_was_up_is_a_refusal() -> None:
    assert [refusal.op for refusal in refusals_in([line(503)])] == [255]


def test_a_reply_with_a_member_is_no_refusal() -> None:
    had = [line(502, "127.0.0.1:9000"), line(503, "127.0.0.1:9000"), line(502), line(503, op="-"), "{"]
    assert list(refusals_in(had)) == []
