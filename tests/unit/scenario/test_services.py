"""Your own service as a value: checked when made, filled when started, and silent about its secrets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.common.errors import UsageError
from harness.faults import Heal, Kill, Restart, Shell
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.loading import load
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Compose, Image, PlaceholderValues, Url
from harness.scenario.workload import Sessions

LOAD = Sessions(concurrent=5, duration="10s", warmup="1s")
PLACE = PlaceholderValues(8123, "r2", "redis://127.0.0.1:9/0")


def test_a_copy_gets_its_port_its_name_and_its_store() -> None:
    command = Command("serve --bind 127.0.0.1:{port} --name '{replica} of {n}'", env={"REDIS": "{store}", "X": "{"})
    assert command.argv(PLACE) == ("serve", "--bind", "127.0.0.1:8123", "--name", "r2 of {n}")
    assert command.environment(PLACE) == {"PORT": "8123", "REDIS": "redis://127.0.0.1:9/0", "X": "{"}


def test_words_may_be_given_one_by_one() -> None:
    assert Command(["a b", "{port}"]).argv(PLACE) == ("a b", "8123")


def test_a_relative_directory_is_resolved_against_the_scenarios(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from harness import *\n"
        "SCENARIO = Scenario([Design('a', Command('x')), Design('b', Command('x', cwd='sub'))],"
        " Sessions(1, duration='3s'), quick=Scenario([Design('a', Command('x'))], Sessions(1, duration='3s')))"
    )
    scenario = load(path).scenario
    assert [design.target.cwd for design in scenario.designs if isinstance(design.target, Command)] == [
        tmp_path,
        tmp_path / "sub",
    ]
    assert isinstance(scenario.quick, Scenario) and isinstance(scenario.quick.designs[0].target, Command)
    assert scenario.quick.designs[0].target.cwd == tmp_path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Command(""), "needs a program"),
        (lambda: Command("serve 'x"), "cannot be read"),
        (lambda: Command("cd app && serve"), "not run by a shell: &&"),
        (lambda: Command("serve", env={"N": 1}), "values of env"),  # type: ignore[dict-item] # what is tested
        (lambda: Command("serve", ready="health"), "begins with /"),
        (lambda: Command("serve", ready="/a b"), "begins with /"),
        (lambda: Command("serve", ready="/x#y"), "begins with /"),
        (lambda: Command("serve", ready_within="0s"), "above 0"),
        (lambda: Url("https://127.0.0.1"), "cannot load"),
        (lambda: Url("127.0.0.1:80"), "cannot load"),
        (lambda: Url("http://127.0.0.1:99999"), "cannot load"),
        (lambda: Url("http://127.0.0.1/shop"), "more than an address"),
        (lambda: Url("http://me:pw@127.0.0.1"), "more than an address"),
        (lambda: Url("http://127.0.0.1", replicas=["ftp://127.0.0.1"]), "cannot load"),
        (lambda: Design("a", Command("x", store="oracle")), "no store 'oracle'"),
        (lambda: Shell("x", undo=" "), "a command and an undo"),
    ],
)
def test_an_impossible_service_is_refused_when_it_is_created(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def test_an_app_and_its_state_cannot_be_named_beside_your_own_service() -> None:
    with pytest.raises(TypeError, match="'state'"):
        Design("a", Command("x"), state="memory")  # type: ignore[call-arg]


def test_a_service_that_runs_already_cannot_be_killed() -> None:
    design = Design("a", Url("http://127.0.0.1:8000"))
    with pytest.raises(UsageError, match="runs already"):
        Scenario([design], LOAD, faults=[At("3s", Kill(1)), At("5s", Restart(1))])
    shell = Shell("false", undo="true")
    assert Scenario([design], LOAD, faults=[At("3s", shell), At("5s", Heal(shell))]).faults[0].fault is shell


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.3.2.1", "http://[::1]:80"])
def test_this_machine_needs_no_permission(url: str) -> None:
    assert Url(url).foreign_hosts == ()


def test_another_host_is_loaded_only_where_it_is_named() -> None:
    design = Design("a", Url("http://shop.example:80", replicas=["http://10.0.0.2:80", "http://127.0.0.1:1"]))
    scenario = Scenario([design], LOAD)
    with pytest.raises(UsageError, match=r"shop\.example, which is not this machine") as problem:
        Overrides(allow_hosts=("10.0.0.2",)).apply(scenario)
    assert "--allow-host shop.example" in problem.value.hint
    assert Overrides(allow_hosts=("10.0.0.2", "shop.example")).apply(scenario).designs == scenario.designs


def test_of_a_command_only_the_program_is_described() -> None:
    command = Command("/opt/bin/serve --password=pw -H 'X-Token: t0ken'", env={"SHORT": "pw", "LONG": "aaaaaaaaaaaa"})
    described = str(command.describe()) + repr(replace(command, command="x"))
    assert not [secret for secret in ("pw", "t0ken", "aaaa") if secret in described]
    assert command.describe()["env"] == "SHORT, LONG"
    assert command.describe()["command"] == "serve (3 arguments)"


def test_an_image_gets_its_values_and_keeps_its_own_command() -> None:
    place = PlaceholderValues(8080, "r1", "redis://10.0.0.2:6379/0")
    plain = Image("myapp:1.2", port=8080, env={"STORE": "{store}", "NAME": "{replica}"})
    assert plain.argv(place) is None
    assert plain.environment(place) == {"PORT": "8080", "STORE": "redis://10.0.0.2:6379/0", "NAME": "r1"}
    assert Image("myapp", 80, command="serve --port '{port}'").argv(PlaceholderValues(80, "r0")) == (
        "serve",
        "--port",
        "80",
    )
    assert "STORE" in str(plain.describe()) and "10.0.0.2" not in str(plain.describe())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image("", port=80),
        lambda: Image("myapp", port=0),
        lambda: Image("myapp", port=80, ready="healthz"),
        lambda: Compose("compose.yaml", service="", port=80),
        lambda: Compose("compose.yaml", service="web", port=80, ready_within="0s"),
    ],
)
def test_what_cannot_be_in_a_container_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as refused:
        make()
    assert refused.value.hint


def test_a_compose_file_counts_from_the_scenarios_directory_and_its_values_stay_secret(tmp_path: Path) -> None:
    target = Compose("web/compose.yaml", service="web", port=80, env={"PASSWORD": "much-too-long"})
    assert target.located(tmp_path).file == tmp_path / "web" / "compose.yaml"
    assert "much-too-long" not in f"{target!r} {target.describe()}"
