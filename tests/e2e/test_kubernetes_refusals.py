"""What a real cluster refuses or lacks ends a run in one clear line, and leaves nothing there."""

import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cluster.kubernetes.api import connect_api
from harness.cluster.kubernetes.kinds import NAMESPACE
from harness.cluster.kubernetes.manifests import namespace
from harness.cluster.kubernetes.run_namespace import OWNER, RUN
from harness.cluster.kubernetes.sweep import sweep
from harness.cluster.supervisor.main import has_ended, owner_identity
from tests.support.cluster import kubectl, namespaces, write_kubeconfig_of
from tests.support.harness_command import NODE_KILL, CommandResult, assert_one_clear_line, harness
from tools.kubernetes import programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.xdist_group("pods"),
    pytest.mark.usefixtures("kept_cluster"),
]

RUN_TIMEOUT_S = 300.0


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """That of a namespace of which nothing may be left."""
    chosen = f"refused-{uuid.uuid4().hex[:6]}"
    yield chosen
    assert await namespaces(chosen) == set()


def run(prefix: str, out: Path, *flags: str) -> CommandResult:
    where = ("--backend", "kubernetes", "--namespace-prefix", prefix, "--out", out)
    return harness("run", NODE_KILL, "--quick", "--design", "sticky", *where, *flags, timeout=RUN_TIMEOUT_S)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--image", "nowhere.invalid/none:1"), "no image nowhere.invalid/none:1"),
        (("--cpus", "64"), "Insufficient cpu"),
    ],
    ids=["image", "cpus"],
)
def test_a_pod_that_never_starts(prefix: str, tmp_path: Path, flags: tuple[str, str], words: str) -> None:
    assert_one_clear_line(run(prefix, tmp_path, *flags), 4, words)


def test_a_quota_that_is_exceeded(prefix: str, tmp_path: Path) -> None:
    watch = [str(programs.CACHE / "kubectl"), "get", "namespaces", "-l", RUN, "--watch-only", "-o", "name"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watching:
        output = watching.stdout
        assert output is not None

        def limit() -> None:
            name = next(line.strip() for line in output if prefix in line).removeprefix("namespace/")
            kubectl("create", "quota", "small", "--hard=pods=1", "-n", name)

        limiting = threading.Thread(target=limit)
        limiting.start()
        refused = run(prefix, tmp_path)
        watching.kill()
        limiting.join()
    assert_one_clear_line(refused, 4, "exceeded quota: small")


def test_a_user_without_a_permission(
    cluster: Path, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("create", "serviceaccount", prefix, "-n", "default")
    try:
        own = tmp_path / "kubeconfig"
        write_kubeconfig_of(kubectl("create", "token", prefix, "-n", "default").strip(), cluster, own)
        with monkeypatch.context() as environment:
            environment.setenv("KUBECONFIG", str(own))
            assert_one_clear_line(run(prefix, tmp_path), 4, "namespaces", prefix)
    finally:
        kubectl("delete", "serviceaccount", prefix, "-n", "default")


async def test_only_the_namespaces_of_the_dead_are_removed() -> None:
    """All have the same labels; the name of a process on another machine says nothing here."""
    program = "from harness.cluster.supervisor.main import owner_identity; print(owner_identity())"
    dead = subprocess.check_output([sys.executable, "-c", program], text=True).strip()  # noqa: ASYNC221
    owners = {"dead": dead, "living": owner_identity(), "elsewhere": f"{dead}-elsewhere", "nobody": ""}
    test, api = f"owners-{uuid.uuid4().hex[:6]}", await connect_api()
    names = {whose: f"{test}-{whose}" for whose in owners}
    try:
        for whose, owner in owners.items():
            await api.create(NAMESPACE, namespace(names[whose], {RUN: test}, {OWNER: owner} if owner else {}))
        assert (await sweep(api, has_ended, test)).removed == [("namespace", names["dead"])]
        assert await namespaces(test) == {names[whose] for whose in ("living", "elsewhere", "nobody")}
    finally:
        for name in names.values():
            await api.delete(NAMESPACE, name)
