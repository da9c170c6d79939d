import json
from pathlib import Path

import pytest

from harness.cluster.balancers.launch import Setup
from harness.cluster.balancers.membership import Upstream
from harness.cluster.balancers.nginx import config, refusals_in
from harness.cluster.capabilities import Member
from harness.scenario.balancing import Balancing, Health
from tests.support.balancers import RefusingStarter

R0 = Member("r0", "127.0.0.1", 9000)


def lines(balancing: Balancing, *upstreams: Upstream) -> list[str]:
    setup = Setup(balancing, (), RefusingStarter(), Path("/s"), Path("/l"), 8080)
    return [line.strip() for line in config(setup, upstreams or (Upstream(R0),), generation=7).splitlines()]


def test_health_becomes_the_nearest_passive_check_in_whole_seconds() -> None:
    assert "server 127.0.0.1:9000 max_fails=2 fail_timeout=1s;" in lines(Balancing(health=Health("500ms", fall=2)))
    assert "server 127.0.0.1:9000 max_fails=3 fail_timeout=2s;" in lines(Balancing(health=Health("500ms", fall=3)))


def test_a_draining_member_is_marked_and_pinned_by_its_name() -> None:
    content = lines(Balancing("cookie"), Upstream(R0, draining=True))
    assert "server 127.0.0.1:9000 max_fails=2 fail_timeout=1s route=r0 drain;" in content


def test_retries_go_to_other_members_and_never_repeat_a_sent_write() -> None:
    content = lines(Balancing(retries=2))
    assert {"proxy_next_upstream error timeout;", "proxy_next_upstream_tries 3;"} <= set(content)
    assert not any("non_idempotent" in line for line in content)


@pytest.mark.parametrize("balancing", [Balancing(retries=0), Balancing(redispatch=False)])
def test_without_retries_or_redispatch_nothing_is_retried(balancing: Balancing) -> None:
    assert [line for line in lines(balancing) if "next_upstream" in line] == ["proxy_next_upstream off;"]


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ("least_connections", "least_conn;"),
        ("cookie", "sticky cookie HARNESS_LB path=/;"),
        ("hash_cookie", "hash $cookie_Key consistent;"),
        ("hash_header", "hash $http_key consistent;"),
        ("source", "hash $remote_addr consistent;"),
    ],
)
def test_each_policy_has_its_line(policy: str, line: str) -> None:
    assert line in lines(Balancing(policy, key="Key"))


def test_a_header_becomes_the_variable_that_nginx_keeps_it_in() -> None:
    assert "hash $http_x_session consistent;" in lines(Balancing("hash_header", key="X-Session"))


def test_with_no_member_it_answers_503_itself() -> None:
    setup = Setup(Balancing(), (), RefusingStarter(), Path("/s"), Path("/l"), 8080)
    content = config(setup, (), 0)
    assert "return 503;" in content and "upstream replicas" not in content and "proxy_pass" not in content


def line(sent: str, op: str = "00000000000000ff") -> str:
    return json.dumps({"op": op, "status": "502", "upstream": "127.0.0.1:9000", "upstream_status": "502", "sent": sent})


@pytest.mark.parametrize("sent", ["0", "0, 0", "-", ""])
def test_a_reply_with_no_byte_sent_is_a_refusal(sent: str) -> None:
    assert [refusal.op for refusal in refusals_in([line(sent)])] == [255]


@pytest.mark.parametrize("sent", ["214", "0, 214", "214, 0"])
def test_a_byte_sent_in_any_attempt_is_no_refusal(sent: str) -> None:
    assert list(refusals_in([line(sent)])) == []


def test_reads_and_half_written_lines_are_skipped() -> None:
    assert list(refusals_in([line("0", op=""), line("0", op="not-hex"), line("0")[:20], "\n"])) == []
