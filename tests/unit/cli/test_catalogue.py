"""The catalogue lists the parts with their own descriptions, and starts nothing."""

import sys
from pathlib import Path

import pytest

from harness import faults
from harness.cli.catalogue import KINDS, catalogue
from harness.cluster import balancers
from harness.common import bundled
from harness.common.bundled import scenarios_home, targets_home


def names(kind: str) -> list[str]:
    return [entry.name for entry in catalogue(kind)[kind]]


def stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def test_one_kind_is_listed_or_all_but_the_designs() -> None:
    assert set(catalogue()) == set(KINDS) - {"designs"}
    assert set(catalogue("faults")) == {"faults"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_says_what_it_is(kind: str) -> None:
    entries = catalogue(kind)[kind]
    assert entries
    assert all(entry.name and entry.what and "\n" not in entry.what for entry in entries)


def test_apps_states_and_scenarios_are_listed_from_their_files() -> None:
    assert names("apps") == stems(targets_home() / "targets" / "apps")
    assert names("states") == stems(targets_home() / "targets" / "state")
    assert names("scenarios") == stems(scenarios_home())


def test_faults_are_those_that_a_scenario_can_import() -> None:
    assert names("faults") == list(faults.__all__)


def test_a_state_is_described_without_importing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its client library may not be installed."""
    home = tmp_path / "targets" / "state"
    home.mkdir(parents=True)
    (home / "elsewhere.py").write_text('"""On the moon.\n\nMore of it."""\n\nimport no_such_library\n')
    (home / "unlisted.py").write_text('"""Not for choosing."""\n')
    registry = 'APPS = {}\nSTATES = {"elsewhere": "targets.state.elsewhere"}\n'
    (tmp_path / "targets" / "registry.py").write_text(registry)
    monkeypatch.setattr(bundled, "targets_home", lambda: tmp_path)
    (entry,) = catalogue("states")["states"]
    assert (entry.name, entry.what) == ("elsewhere", "On the moon.")
    assert "no_such_library" not in sys.modules


def test_designs_name_their_scenario() -> None:
    entries = catalogue("designs")["designs"]
    assert {entry.detail for entry in entries} <= set(names("scenarios"))
    assert any(entry.name == "sticky" and "cookie" in entry.what and entry.detail == "node_kill" for entry in entries)


def test_a_balancer_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancers, "available", lambda: {"nginx": "no nginx: apt-get install nginx"})
    entry, service = catalogue("balancers")["balancers"]
    assert service.name == "service", "a Service is always there, on Kubernetes"
    assert entry.detail == "missing: no nginx: apt-get install nginx"
    assert "round_robin" in entry.what
