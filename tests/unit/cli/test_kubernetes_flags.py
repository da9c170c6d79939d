"""The flags of ``--backend kubernetes`` mean the same to every command that has a backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli import main
from harness.cluster import leftovers
from harness.cluster.inventory import examine
from tests.support.fake_cluster import FakeCluster, serve_in_thread
from tests.support.harness_command import NODE_KILL, ROOT

K8S_AUTOSCALE = ROOT / "scenarios" / "k8s_autoscale.py"
COMMANDS = [
    ("run", NODE_KILL, "--design", "stateless", "--dry-run"),
    ("scale", NODE_KILL, "--design", "stateless"),
    ("up", NODE_KILL, "--design", "stateless"),
]
ON_KUBERNETES = ("--backend", "kubernetes")


@pytest.fixture
def foreign_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """An API server at an address that is not one of loopback."""
    fake = FakeCluster()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with serve_in_thread(fake, tmp_path / "kubeconfig", host="0.0.0.0"):  # noqa: S104 - it leads to loopback
        yield fake


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_context_that_leads_elsewhere_has_to_be_allowed(
    command: tuple[str | Path, ...], foreign_cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, command), *ON_KUBERNETES]) == 2
    assert "--allow-context fake" in capsys.readouterr().err
    assert foreign_cluster.objects == {}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("flag", "says"), [(("--namespace-prefix", "Kube_"), "a namespace cannot begin"), (("--image", ""), "is empty")]
)
def test_a_namespace_and_an_image_are_checked(
    command: tuple[str | Path, ...], flag: tuple[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, command), *ON_KUBERNETES, *flag]) == 2
    assert says in capsys.readouterr().err


def test_a_context_that_does_not_exist_is_named(
    foreign_cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_clean_machine", lambda: ())  # other tests leave some on purpose
    for command in (*COMMANDS, ("clean",)):
        flags = () if command[0] == "clean" else ON_KUBERNETES
        assert main([*map(str, command), *flags, "--context", "none"]) == 2
        assert "no context 'none'" in capsys.readouterr().err


def test_an_autoscaler_of_a_cluster_without_metrics_is_refused_before_anything_starts(
    foreign_cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(K8S_AUTOSCALE), "--dry-run", *ON_KUBERNETES, "--allow-context", "fake"]
    assert main(words) == 0
    foreign_cluster.metrics = False
    assert main(words) == 4
    problem, remedy = capsys.readouterr().err.strip().splitlines()
    assert "has no metrics.k8s.io" in problem and "metrics-server" in remedy
    assert foreign_cluster.objects == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kubernetes", "deployment/shop", "--ready-within", "0s"), "ready_within must be above 0"),
        (("--command", "serve", "--ready-within", "300s"), "--ready-within goes with --kubernetes"),
    ],
)
def test_how_long_a_workload_may_take_is_a_time_of_a_workload(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *words, "--dry-run"]) == 2
    assert says in capsys.readouterr().err


def test_a_port_of_this_machine_is_no_port_of_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", str(NODE_KILL), "--design", "sticky", *ON_KUBERNETES, "--port", "8080"]) == 2
    assert "leave --port out" in capsys.readouterr().err


def test_the_doctor_asks_the_cluster_of_a_context(
    foreign_cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {item.part: item for item in examine(context="fake")}
    assert (found["kubernetes"].present, found["kubernetes"].version) == (True, "v1.34.4")
    missing = {item.part: item for item in examine(context="none")}
    assert not missing["kubernetes"].present and "kubectl config get-contexts" in missing["kubernetes"].install


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--load-inside", "2"), "only on Kubernetes a load comes from inside"),
        ((*ON_KUBERNETES, "--load-inside", "2", "--processes", "2"), "not from both"),
        ((*ON_KUBERNETES, "--load-inside", "1", "--load-image", ""), "is empty"),
    ],
)
def test_a_load_that_cannot_come_from_inside_is_refused(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(NODE_KILL), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_capacity_is_measured_from_inside_on_kubernetes_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale", str(ROOT / "scenarios" / "scale.py"), "--load-inside", "1"]) == 2
    assert "only on Kubernetes a load comes from inside" in capsys.readouterr().err


def test_a_service_elsewhere_has_no_load_from_inside(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    users = tmp_path / "users.py"
    users.write_text("from locust import HttpUser")
    words = ["run", str(users), "--url", "http://127.0.0.1:1", *ON_KUBERNETES, "--load-inside", "1"]
    assert main(words) == 2
    assert "is not in the cluster" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ('url="http://127.0.0.1:1"', "a load from pods goes to the Service itself"),
        ('context="prod"', "in the cluster prod, and the pods of its load may be in another one"),
    ],
)
def test_a_load_from_pods_has_to_find_the_workload_in_its_own_cluster(
    given: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario = tmp_path / "shop.py"
    scenario.write_text(
        "from harness import Design, Kubernetes, Scenario, Sessions\n"
        "from harness.recipes import Cart\n"
        "class Shopper(Cart): pass\n"
        f'SCENARIO = Scenario([Design("shop", Kubernetes("deployment/shop", {given}))], Sessions(concurrent=1))\n'
    )
    assert main(["run", str(scenario), *ON_KUBERNETES, "--load-inside", "1"]) == 2
    assert says in capsys.readouterr().err
