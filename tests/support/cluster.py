"""A Kubernetes cluster for tests: the one that runs on this machine, or one that ends with the tests."""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.common.errors import EnvironmentLacksError
from harness.scenario.cluster_access import ClusterAccess
from tests.support.harness_command import ROOT
from tools.kubernetes import programs
from tools.kubernetes.layout import PODS, SERVICES, Layout

TOOL = str(ROOT / "tools" / "cluster")


def require_programs() -> None:
    """Skip where this machine cannot bring a cluster up."""
    if os.geteuid() != 0:
        pytest.skip("a cluster needs root: sudo make cluster")
    try:
        programs.require_packages()
    except programs.MissingError as missing:
        pytest.skip(str(missing))
    if missing_ones := programs.missing_programs():
        pytest.skip(f"not built: {', '.join(missing_ones)}; make cluster")


def kubectl(*words: str, given: object = None) -> str:
    """What kubectl prints about the cluster of the environment; it must succeed with this on its standard input."""
    text = json.dumps(given) if given is not None else None
    command = [str(programs.CACHE / "kubectl"), *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_kubeconfig_of(token: str, kubeconfig: Path, file: Path) -> None:
    """Write a kubeconfig like this one, of the user with that token."""
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file.write_text(json.dumps(config))


async def namespaces(prefix: str) -> set[str]:
    """The namespaces of runs whose names begin like this."""
    from harness.cluster.kubernetes.api import connect_api  # noqa: PLC0415 - its library is loaded where it is used
    from harness.cluster.kubernetes.kinds import NAMESPACE  # noqa: PLC0415 - as above
    from harness.cluster.kubernetes.run_namespace import RUN  # noqa: PLC0415 - as above

    found = await (await connect_api()).read_all(NAMESPACE, labels=RUN)
    return {name for item in found if (name := str(item["metadata"]["name"])).startswith(prefix)}


@contextlib.contextmanager
def locked(folders: pytest.TempPathFactory, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock that all workers share for the length of a scope."""
    with (folders.getbasetemp().parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, kind)
        yield


@pytest.fixture
def nodes_taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """This test takes nodes away, so no other worker uses them meanwhile."""
    with locked(tmp_path_factory, "nodes"):
        yield


@pytest.fixture
def unroutable(cluster: Path, nodes_taken: None) -> Iterator[None]:
    """This machine reaches no address of a pod or of a Service, as with a cluster on another network."""
    ranges = (SERVICES, PODS)
    before = [subprocess.check_output(["ip", "route", "show", each], text=True).split() for each in ranges]
    try:
        for each in ranges:
            subprocess.run(["ip", "route", "replace", "unreachable", each], check=True)
        yield
    finally:
        for each, route in zip(ranges, before, strict=True):
            subprocess.run(["ip", "route", "del", "unreachable", each], check=False)
            subprocess.run(["ip", "route", "replace", *route], check=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of a cluster: the one that runs, or else one that ends with all of these tests.

    Its owner is the process that started the workers: a worker that is done must not take it away from another one.
    """
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with locked(tmp_path_factory, "cluster"):
        if subprocess.run([TOOL, "status"], capture_output=True, check=False).returncode != 0:
            require_programs()
            subprocess.run([TOOL, "up", "--nodes", "2", "--owner", str(owner)], check=True)
    return Layout.default().kubeconfig


def load_image(locust: bool, folder: Path) -> str:
    """Build an image, put it onto every node of the cluster, and return its name."""
    from harness.cluster.containers import connect_engine  # noqa: PLC0415 - its SDK is loaded where it is used
    from harness.cluster.containers.image import LOCUST, PARTS, image  # noqa: PLC0415 - as above

    try:
        name = image(connect_engine(), LOCUST if locust else PARTS)
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    archive = str(folder / "image.tar")
    subprocess.run(["docker", "save", name, f"{name.partition(':')[0]}:latest", "-o", archive], check=True)
    subprocess.run([TOOL, "load", archive], check=True)
    return name


@pytest.fixture(scope="session")
def equipped_cluster(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of a cluster that has the image of all parts on every node."""
    with locked(tmp_path_factory, "image"):
        load_image(False, tmp_path_factory.mktemp("image"))
    return cluster


@pytest.fixture
def kept_cluster(
    equipped_cluster: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The environment names that cluster, from which no other worker takes a node away meanwhile."""
    monkeypatch.setenv("KUBECONFIG", str(equipped_cluster))
    with locked(tmp_path_factory, "nodes", fcntl.LOCK_SH):
        yield


@pytest.fixture(scope="session")
def locust_image(equipped_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of the load, which that cluster has on every node, too."""
    return load_image(True, tmp_path_factory.mktemp("locust"))


@pytest.fixture
def loading_cluster(equipped_cluster: Path, locust_image: str, monkeypatch: pytest.MonkeyPatch) -> ClusterAccess:
    """How that cluster is used, with these images."""
    monkeypatch.setenv("KUBECONFIG", str(equipped_cluster))
    return ClusterAccess(load_image=locust_image, forwarded=True)
