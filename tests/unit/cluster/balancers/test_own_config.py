"""A configuration of the user's own is checked before anything starts, and the message names its own line."""

from pathlib import Path

import pytest

from harness.cluster.balancers import available, require, select
from harness.cluster.balancers.own_config import OwnConfig
from harness.cluster.capabilities import Member
from harness.common.errors import UsageError
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.services import Command

HAPROXY = """\
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend public
    bind {bind}
    default_backend shop
backend shop
    http-response set-header X-Replica %s
    server {name} {address} check cookie {name}
"""
NGINX = """\
events {}
http {
    upstream shop { zone shop 1m; # the members:
        server {address};
    }
    server { listen {bind}; location / { proxy_pass http://shop; } }
}
"""
MINE = Command("serve {port}")


def written(folder: Path, text: str) -> Path:
    file = folder / "own.cfg"
    file.write_text(text)
    return file


def refused(folder: Path, text: str, service: Command | None = None) -> str:
    balancing = Balancing(config=written(folder, text))
    with pytest.raises(UsageError) as problem:
        require(Design("mine", service or MINE, balancing))
    assert problem.value.hint
    return problem.value.message.replace(str(folder), "")


def test_a_line_with_an_address_is_repeated_for_every_member(tmp_path: Path) -> None:
    members = [Member("r0", "127.0.0.1", 8001), Member("r1", "127.0.0.1", 8002)]
    filled = OwnConfig.read(written(tmp_path, HAPROXY)).fill("127.0.0.1:8000", members)
    assert "    bind 127.0.0.1:8000\n" in filled
    assert filled.endswith(
        "    server r0 127.0.0.1:8001 check cookie r0\n    server r1 127.0.0.1:8002 check cookie r1\n"
    )


@pytest.mark.parametrize(("text", "balancer"), [(HAPROXY, "haproxy"), (NGINX, "nginx")])
def test_the_balancer_is_the_one_for_which_the_file_is_written(tmp_path: Path, text: str, balancer: str) -> None:
    if isinstance(available()[balancer], str):
        pytest.skip(str(available()[balancer]))
    assert select(Balancing(config=written(tmp_path, text))).name == balancer
    with pytest.raises(UsageError, match=f"a configuration of {balancer}, not of envoy"):
        select(Balancing("round_robin", "envoy", config=written(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HAPROXY.replace("{bind}", "127.0.0.1:80"), "/own.cfg has no {bind}: the harness cannot fill in its own"),
        (HAPROXY.replace("{address}", "10.0.0.1:80"), "/own.cfg has no {address}: the harness cannot fill in its own"),
        (HAPROXY.replace("X-Replica", "X-Other"), "with /own.cfg no reply says which replica answered"),
        (HAPROXY.replace("server {name}", "server s{name}"), "/own.cfg has 0 lines for the members as servers"),
        (HAPROXY + HAPROXY[HAPROXY.index("backend") :], "/own.cfg has 2 lines for the members as servers"),
        ("{bind} {address}", "/own.cfg has neither a frontend (HAProxy) nor an http block (nginx)"),
    ],
)
def test_what_the_harness_needs_in_it_is_checked(tmp_path: Path, text: str, message: str) -> None:
    assert refused(tmp_path, text) == message


def test_what_haproxy_refuses_is_said_with_the_line_of_the_users_file(tmp_path: Path) -> None:
    if isinstance(available()["haproxy"], str):
        pytest.skip(str(available()["haproxy"]))
    message = refused(tmp_path, HAPROXY + "    no-such-word {address}\n    http-response no-such-action\n")
    assert message.startswith("haproxy refuses its configuration: ")
    assert "/own.cfg:12]" in message and "no-such-word" in message


def test_what_nginx_refuses_is_said_with_the_line_of_the_users_file(tmp_path: Path) -> None:
    if isinstance(available()["nginx"], str):
        pytest.skip(str(available()["nginx"]))
    named = NGINX.replace("location", 'add_header X-Replica "r"; location')
    message = refused(tmp_path, named.replace("proxy_pass", "pass_proxy"))
    assert 'unknown directive "pass_proxy" in /own.cfg:6' in message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the balancer's configuration"):
        require(Design("mine", balancing=Balancing(config=tmp_path / "none.cfg")))


def test_a_policy_beside_it_is_refused() -> None:
    with pytest.raises(UsageError, match="the file decides"):
        Balancing("cookie", config="haproxy.cfg")


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(UsageError, match=r"config must be .*not 5"):
        Balancing(config=5)  # type: ignore[arg-type]


def test_its_path_starts_at_the_scenarios_directory(tmp_path: Path) -> None:
    assert Balancing(config="lb/haproxy.cfg").located(tmp_path).config == tmp_path / "lb" / "haproxy.cfg"
    assert Balancing().located(tmp_path) == Balancing()
