import json
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.balancers.envoy import EnvoyAdmin, Files, bootstrap, endpoints, listener, refusals_in
from harness.cluster.balancers.launch import Setup
from harness.cluster.balancers.membership import Upstream
from harness.cluster.capabilities import Member
from harness.scenario.balancing import Balancing, Health
from tests.support.balancers import RefusingStarter

R0 = Member("r0", "127.0.0.1", 9000)


def setup(balancing: Balancing) -> Setup:
    return Setup(balancing, (R0,), RefusingStarter(), Path("/s"), Path("/l"), 8080)


def cluster(balancing: Balancing) -> dict[str, Any]:
    content = bootstrap(setup(balancing), Files(Path("/s")), EnvoyAdmin(Path("/s/envoy.sock")))
    (only,) = content["static_resources"]["clusters"]
    return dict(only)


def manager(balancing: Balancing) -> dict[str, Any]:
    (only,) = listener(setup(balancing), 7)["resources"]
    return dict(only["filter_chains"][0]["filters"][0]["typed_config"])


def route(balancing: Balancing) -> dict[str, Any]:
    return dict(manager(balancing)["route_config"]["virtual_hosts"][0]["routes"][-1]["route"])


def test_health_becomes_the_check_of_every_member_and_the_bound_of_its_failures() -> None:
    content = cluster(Balancing(health=Health("250ms", fall=3, rise=2)))
    (check,) = content["health_checks"]
    assert (check["interval"], check["no_traffic_interval"]) == ("0.25s", "0.25s")
    assert (check["unhealthy_threshold"], check["healthy_threshold"]) == (3, 2)
    assert content["outlier_detection"]["consecutive_local_origin_failure"] == 3
    assert content["outlier_detection"]["base_ejection_time"] == "0.75s"


def test_an_open_port_is_enough_without_a_path() -> None:
    (check,) = cluster(Balancing(health=Health(path=None)))["health_checks"]
    assert "tcp_health_check" in check and "http_health_check" not in check


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("round_robin", "ROUND_ROBIN"),
        ("cookie", "ROUND_ROBIN"),
        ("hash_cookie", "RING_HASH"),
        ("hash_header", "RING_HASH"),
        ("source", "RING_HASH"),
        ("maglev_header", "MAGLEV"),
    ],
)
def test_each_policy_has_its_equivalent(policy: str, chosen: str) -> None:
    assert cluster(Balancing(policy))["lb_policy"] == chosen


def test_the_hashed_key_is_part_of_the_route() -> None:
    assert route(Balancing("hash_cookie", key="k"))["hash_policy"] == [{"cookie": {"name": "k"}}]
    assert route(Balancing("maglev_header", key="K"))["hash_policy"] == [{"header": {"header_name": "K"}}]
    assert route(Balancing())["hash_policy"] == []


def test_only_the_cookie_policy_pins_by_cookie() -> None:
    assert len(manager(Balancing("cookie"))["http_filters"]) == 2
    assert len(manager(Balancing())["http_filters"]) == 1


def test_nothing_that_was_sent_is_retried_and_nothing_at_all_without_redispatch() -> None:
    content = route(Balancing(retries=2))["retry_policy"]
    assert content["retry_on"] == "connect-failure,reset-before-request" and content["num_retries"] == 2
    assert route(Balancing(retries=2, redispatch=False))["retry_policy"]["num_retries"] == 0


def test_a_draining_member_is_marked_and_is_on_the_ring_by_its_name() -> None:
    content = endpoints([Upstream(R0, draining=True)], 3)
    (member,) = content["resources"][0]["endpoints"][0]["lb_endpoints"]
    assert member["health_status"] == "DRAINING"
    assert member["metadata"]["filter_metadata"]["envoy.lb"] == {"hash_key": "r0"}
    assert content["version_info"] == "3"


def line(flags: str, sent: int | None, op: str | None = "00000000000000ff") -> str:
    return json.dumps({"op": op, "status": 503, "flags": flags, "sent": sent, "upstream": "127.0.0.1:9000"})


@pytest.mark.parametrize("flags", ["UF", "UH", "UF,URX"])
def test_a_reply_before_any_connection_is_a_refusal(flags: str) -> None:
    assert [refusal.op for refusal in refusals_in([line(flags, 0), line(flags, None)])] == [255, 255]


@pytest.mark.parametrize(("flags", "sent"), [("UC", 0), ("UF", 214), ("UF,UC", 0), ("UT", 0), ("-", 0)])
def test_a_request_that_may_have_been_sent_is_no_refusal(flags: str, sent: int) -> None:
    assert list(refusals_in([line(flags, sent)])) == []


def test_reads_and_half_written_lines_are_skipped() -> None:
    assert list(refusals_in([line("UF", 0, op=None), line("UF", 0, op="not-hex"), line("UF", 0)[:20], "\n"])) == []
