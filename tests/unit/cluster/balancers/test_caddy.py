import json
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.balancers.caddy import config, refusals_in
from harness.cluster.balancers.launch import Setup
from harness.cluster.balancers.membership import Upstream
from harness.cluster.capabilities import Member
from harness.scenario.balancing import Balancing, Health
from tests.support.balancers import RefusingStarter

R0, R1 = Member("r0", "127.0.0.1", 9000), Member("r1", "127.0.0.1", 9001)


def proxy(balancing: Balancing, *upstreams: Upstream) -> dict[str, Any]:
    setup = Setup(balancing, (), RefusingStarter(), Path("/s"), Path("/l"), 8080)
    content = config(setup, upstreams or (Upstream(R0), Upstream(R1)), 7)
    return dict(content["apps"]["http"]["servers"]["clients"]["routes"][-1]["handle"][-1])


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("round_robin", "round_robin"),
        ("least_connections", "least_conn"),
        ("cookie", "cookie"),
        ("hash_header", "header"),
        ("source", "ip_hash"),
    ],
)
def test_each_policy_has_its_equivalent(policy: str, chosen: str) -> None:
    assert proxy(Balancing(policy))["load_balancing"]["selection_policy"]["policy"] == chosen


def test_a_draining_member_is_left_out() -> None:
    assert proxy(Balancing(), Upstream(R0), Upstream(R1, draining=True))["upstreams"] == [{"dial": "127.0.0.1:9000"}]


def test_health_becomes_active_and_passive_checks() -> None:
    active = proxy(Balancing(health=Health("250ms", fall=3, rise=2)))["health_checks"]["active"]
    assert (active["interval"], active["fails"], active["passes"]) == (250_000_000, 3, 2)
    assert "active" not in proxy(Balancing(health=Health(path=None)))["health_checks"]


@pytest.mark.parametrize("balancing", [Balancing(retries=0), Balancing(redispatch=False)])
def test_without_retries_or_redispatch_nothing_is_retried_and_one_failure_marks_no_member_down(
    balancing: Balancing,
) -> None:
    content = proxy(balancing)
    assert content["load_balancing"]["retries"] == 0
    assert "passive" not in content["health_checks"]


def line(msg: str, length: str = "1", op: str = "00000000000000ff") -> str:
    headers = {"Idempotency-Key": [op], "Content-Length": [length]}
    return json.dumps({"msg": msg, "status": 502, "request": {"headers": headers}})


@pytest.mark.parametrize("msg", ["dial tcp 127.0.0.1:9000: connect: connection refused", "no upstreams available"])
def test_a_reply_without_a_connection_is_a_refusal_if_the_request_has_a_body(msg: str) -> None:
    assert [refusal.op for refusal in refusals_in([line(msg)])] == [255]
    assert list(refusals_in([line(msg, length="0")])) == []


def test_a_later_end_is_no_refusal() -> None:
    others = [line("EOF"), line("read tcp 127.0.0.1:1->127.0.0.1:2: connection reset by peer"), line("", op="-"), "{"]
    assert list(refusals_in(others)) == []
