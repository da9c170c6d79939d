"""The stores that a scenario can name are those that can be started; what each needs is checked before a run."""

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from harness.cluster import stores
from harness.cluster.stores import STORES
from harness.common.bundled import target_clients
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario import parts
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn, Command

PROJECT = tomllib.loads((Path(__file__).resolve().parents[4] / "pyproject.toml").read_text())["project"]


def test_each_store_that_a_scenario_can_name_has_a_class() -> None:
    assert tuple(STORES) == parts.STORES


@pytest.mark.parametrize("name", ["server", "http", "__init__", "oracle"])
def test_an_unknown_store_is_refused_with_the_names_of_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=f"no store '{name}'") as refusal:
        Design("one", target=Command("serve {port}", store=name))
    assert "etcd, hazelcast, memcached, nats, postgres, redis, redis_sentinel" in refusal.value.hint


@pytest.fixture
def without_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without the packages that come with extras, on a machine that has every server."""
    for client in target_clients().values():
        monkeypatch.setitem(sys.modules, client, None)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")


@pytest.mark.parametrize("state", target_clients())
@pytest.mark.usefixtures("without_clients")
def test_a_built_in_service_needs_the_client_of_its_store(state: str) -> None:
    with pytest.raises(EnvironmentLacksError, match=f"{state} needs the Python package") as lack:
        stores.require(Design("one", BuiltIn(state=state)))
    assert lack.value.hint.endswith(f"install 'session-harness[{state}]'")


@pytest.mark.usefixtures("without_clients")
def test_a_service_of_your_own_needs_only_the_server() -> None:
    stores.require(Design("one", Command("serve {port}", store="memcached")))


@pytest.mark.usefixtures("without_clients")
def test_a_design_without_a_store_needs_nothing() -> None:
    stores.require(Design("one", BuiltIn(state="token")))


@pytest.mark.parametrize("state", target_clients())
def test_an_extra_has_what_a_state_needs_and_the_others_do_without(state: str) -> None:
    extras = PROJECT["optional-dependencies"]
    names = {requirement.partition(">")[0] for requirement in extras[state]}
    assert names and not names & {requirement.partition(">")[0] for requirement in PROJECT["dependencies"]}
    assert state in extras["all"][0]
