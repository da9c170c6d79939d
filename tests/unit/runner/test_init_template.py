from dataclasses import replace
from pathlib import Path

import pytest

from harness import recipes
from harness.common.errors import UsageError
from harness.runner.examine import InitFindings
from harness.runner.init_template import KINDS, InitOptions, write_scenario
from harness.scenario import loading
from harness.scenario.balancing import Balancing
from harness.scenario.services import Command


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_session_gives_a_scenario_that_loads(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"{kind}_shop.py"
    write_scenario(InitOptions("node server.js", "/health", kind, "/cart"), file)
    loaded = loading.load(file)
    (user,) = loading.user_classes(loaded.users)
    assert issubclass(user, getattr(recipes, KINDS[kind].recipe))
    assert [design.name for design in loaded.scenario.designs] == ["affinity", "spread"]


def test_an_mcp_session_has_affinity_by_its_header_and_needs_no_page_that_answers(tmp_path: Path) -> None:
    file = tmp_path / "agent.py"
    write_scenario(InitOptions("python server.py", KINDS["mcp"].ready, "mcp", "/mcp"), file)
    design = loading.load(file).scenario.designs[0]
    assert (design.balancing.policy, design.balancing.key) == ("learn_header", "Mcp-Session-Id")
    assert isinstance(design.target, Command) and design.target.ready is None


def test_what_was_found_stands_in_the_file_as_expectations(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    options = InitOptions("node server.js", "/health", "counter", "/count")
    found = InitFindings(
        "3", to_declare='Header("X-Token")', policy="learn_header", key="X-Token", replicas_agree=False,
    )  # fmt: skip
    write_scenario(options, file, found)
    scenario = loading.load(file).scenario
    assert scenario.designs[0].balancing == Balancing("learn_header", key="X-Token")
    assert [getattr(expectation, "name", "") for expectation in scenario.expect] == ["loses_only_the_at_risk", "finds"]
    assert 'carries = Header("X-Token")' in file.read_text()
    write_scenario(options, file, replace(found, survives_restart=True, replicas_agree=True, policy="round_robin"))
    scenario = loading.load(file).scenario
    assert [getattr(expectation, "name", "") for expectation in scenario.expect] == ["keeps", "keeps"]
    assert scenario.designs[0].at_risk == "none"


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError) as refused:
        InitOptions("node server.js", session="forum")
    assert "mcp" in str(refused.value.hint)
