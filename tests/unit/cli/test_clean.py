"""``harness clean`` cleans this machine whatever the cluster does, and says what may be left there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.cli import main
from harness.cluster import leftovers
from harness.cluster.kubernetes import run_namespace
from harness.cluster.kubernetes.run_namespace import OWNER, RUN
from harness.cluster.supervisor.main import OWNER_FILE, place
from tests.support.fake_cluster import FakeCluster, serve_in_thread

GONE = f"{2**22 + 1}:1@{place()}"  # a pid beyond the greatest that Linux gives


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that a crash left, and all that is looked at on this machine: other tests leave some on purpose."""
    monkeypatch.setattr(leftovers, "SCRATCH_PREFIX", str(tmp_path / "harness-"))
    monkeypatch.setattr(leftovers, "orphan_processes", lambda: ())
    monkeypatch.setattr(leftovers, "_remove_orphan_containers", lambda: ())
    left = tmp_path / "harness-left"
    left.mkdir()
    (left / OWNER_FILE).write_text(f"{GONE} run")
    return left


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with two namespaces that a crash left."""
    fake = FakeCluster()
    for name in ("one", "two"):
        metadata = {"name": name, "labels": {RUN: "x"}, "annotations": {OWNER: GONE}}
        fake.put(("namespaces", "", name), {"metadata": metadata})
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with serve_in_thread(fake, tmp_path / "kubeconfig"):
        yield fake


def test_namespaces_are_removed_after_what_is_on_this_machine(
    cluster: FakeCluster, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"removed scratch {scratch}", "removed namespace one", "removed namespace two"]
    assert printed.err == "" and cluster.names("namespaces") == []


def break_off(cluster: FakeCluster) -> None:
    cluster.down = True


def refuse(cluster: FakeCluster) -> None:
    cluster.refuse["version"] = (401, "Unauthorized")


@pytest.mark.parametrize(
    ("spoil", "says"), [(break_off, "does not answer"), (refuse, "does not accept the credentials")]
)
def test_a_cluster_that_does_not_say_what_is_left_is_an_error_only_if_the_user_names_it(
    spoil: Callable[[FakeCluster], None],
    says: str,
    cluster: FakeCluster,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(cluster)
    assert main(["clean"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"removed scratch {scratch}\n" and not scratch.exists()
    assert printed.err.startswith("namespaces of runs may be left: ") and says in printed.err
    scratch.mkdir()
    (scratch / OWNER_FILE).write_text(f"{GONE} run")
    assert main(["clean", "--context", "fake"]) == 4
    printed = capsys.readouterr()
    assert printed.out == f"removed scratch {scratch}\n" and not scratch.exists()
    assert printed.err.startswith("harness: ") and says in printed.err


def test_a_context_that_does_not_exist_is_named_after_the_cleaning(
    cluster: FakeCluster, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", "--context", "none"]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"removed scratch {scratch}\n" and "no context 'none'" in printed.err


@pytest.mark.parametrize("words", [(), ("--context", "fake")])
def test_a_namespace_that_stays_is_an_error_and_those_that_went_are_reported(
    words: tuple[str, ...],
    cluster: FakeCluster,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_namespace, "_REMOVAL_TIMEOUT_S", 1.0)
    monkeypatch.setattr(run_namespace, "_RETRY_S", 0.0)
    cluster.finalized = {"one"}
    assert main(["clean", "--json", *words]) == 4
    printed = capsys.readouterr()
    removed = [(item["kind"], item["what"]) for item in json.loads(printed.out)]
    assert removed == [("scratch", str(scratch)), ("namespace", "two")]
    assert "the namespace one was not removed" in printed.err and "kubectl delete namespace one" in printed.err


def test_without_a_kubeconfig_no_cluster_is_mentioned(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["clean"]) == 0
    assert capsys.readouterr() == (f"removed scratch {scratch}\n", "")


def test_an_engine_that_breaks_off_leaves_no_directory(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off() -> None:
        raise ConnectionError

    monkeypatch.setattr(leftovers, "_remove_orphan_containers", break_off)
    with pytest.raises(ConnectionError):
        leftovers.clean()
    assert not scratch.exists()
