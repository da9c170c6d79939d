from pathlib import Path

import pytest

from harness.common.errors import UsageError
from harness.runner.flag_scenario import FlagScenario
from harness.scenario.balancing import Balancing
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.loading import DEFAULT_USERS, load
from harness.scenario.services import Command, Url


def test_one_design_with_a_kill_and_its_end() -> None:
    scenario = FlagScenario("serve {port}", ready="/up", kill="10s", restart="14s").scenario(4, 30, "18s")
    (design,) = scenario.designs
    assert (design.target, design.balancing, design.replicas) == (
        Command("serve {port}", ready="/up"),
        Balancing("cookie"),
        4,
    )
    assert [(at.when, at.fault.kind, at.fault.target) for at in scenario.faults] == [
        ("10s", "kill", "r1"),
        ("14s", "restart", "r1"),
    ]
    assert (scenario.load.duration, scenario.load.kind) == ("18s", "closed")


def test_the_only_replica_there_is_may_be_killed() -> None:
    assert FlagScenario("serve", kill="3s").scenario(1, None, None).faults[0].fault.target == "r0"


def test_a_service_that_runs_is_loaded_as_it_is() -> None:
    assert FlagScenario(url="http://127.0.0.1:8000").scenario(None, None, None).designs[0].target == Url(
        "http://127.0.0.1:8000"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"command": "x", "url": "http://127.0.0.1"}, "not both"),
        ({"command": "x", "restart": "5s"}, "--kill"),
        ({"kill": "5s"}, "--command"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        FlagScenario(**flags)  # type: ignore[arg-type] # none of them is for the workload of Kubernetes


PLAIN = """
from neighbour import HOST
class User:
    wait_time, abstract = 1, True
class Mine(User):
    abstract = False
"""


def test_a_plain_locustfile_runs_by_what_the_flags_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "neighbour.py").write_text("HOST = 1")
    (tmp_path / "plain.py").write_text(PLAIN)
    monkeypatch.chdir(tmp_path.parent)
    loaded = load(tmp_path / "plain.py", FlagScenario("serve").scenario(None, None, None))
    assert loaded.users == (tmp_path / "plain.py").resolve()
    assert isinstance(loaded.scenario.designs[0].target, Command)
    assert loaded.scenario.designs[0].target.cwd == tmp_path.parent, "the command is typed where the user stands"
    with pytest.raises(UsageError, match="no SCENARIO"):
        load(tmp_path / "plain.py")


def test_a_scenario_without_users_gets_the_probe(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from harness import *\nSCENARIO = Scenario([Design('a', Command('x'))], Sessions(1, duration='3s'))"
    )
    assert load(path).users == DEFAULT_USERS
    with pytest.raises(UsageError, match="of its own"):
        load(path, FlagScenario("serve").scenario(None, None, None))


def test_a_workload_of_kubernetes_replaces_its_killed_pod_on_its_own() -> None:
    flags = FlagScenario(kubernetes=Kubernetes("deployment/shop"), kill="5s", rolling_restart="9s")
    scenario = flags.scenario(None, None, None)
    assert isinstance(scenario.designs[0].target, Kubernetes)
    assert [(at.when, at.fault.kind, at.fault.target) for at in scenario.faults] == [
        ("5s", "kill", "r0"),
        ("5s", "restart", "r0"),
        ("9s", "rolling_restart", "workload"),
    ]


def test_flags_of_a_workload_and_of_another_service_do_not_go_together() -> None:
    with pytest.raises(UsageError, match="runs already"):
        FlagScenario("serve", kubernetes=Kubernetes("deployment/shop"))
    with pytest.raises(UsageError, match="--rolling-restart goes with --kubernetes"):
        FlagScenario("serve", rolling_restart="9s")
    with pytest.raises(UsageError, match="--ready-within goes with --kubernetes"):
        FlagScenario("serve", ready_within="300s")
