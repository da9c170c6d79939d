"""A workload that the harness did not make: attached to, restarted under load, judged rightly, left as it was found."""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.scenario.cluster_access import ClusterAccess
from tests.support.cluster import kubectl, write_kubeconfig_of
from tests.support.harness_command import ROOT, assert_run_passes, harness
from tools.kubernetes.images import PAUSE

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("cluster")]

#: A Python of this machine and what it needs, since there is no registry to get an image from.
MOUNTED = ("/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(ROOT / "examples"))

SCENARIO = """
from harness import At, Design, Kubernetes, RollingRestart, Scenario, Sessions, keeps, loses_the_at_risk
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


def counter(kept_in):
    return Design(kept_in, Kubernetes(f"deployment/{kept_in}", namespace="NAMESPACE", ready_within="60s"))


SCENARIO = Scenario(
    designs=[counter("memory"), counter("cookie")],
    load=Sessions(concurrent=20, duration="16s", warmup="500ms"),
    faults=[At("2s", RollingRestart())],
    errors_at_most=0.05,
    expect=[loses_the_at_risk("memory", judged=15), keeps("cookie")],
)
"""


def volumes() -> list[dict[str, Any]]:
    paths = dict.fromkeys(os.path.realpath(path) if path in (sys.prefix, sys.base_prefix) else path for path in MOUNTED)
    return [{"name": f"v{number}", "hostPath": {"path": path}} for number, path in enumerate(paths)]


def counter(kept_in: str) -> list[dict[str, Any]]:
    """The Flask example as a Deployment, and the Service that keeps a client address with one of its pods."""
    mounts = [{"name": each["name"], "mountPath": each["hostPath"]["path"], "readOnly": True} for each in volumes()]
    container = {
        "name": "web",
        "image": PAUSE,
        "imagePullPolicy": "Never",
        "command": [os.path.realpath(sys.prefix) + "/bin/python", "-B", "-m", "gunicorn", "app:app"],
        "args": ["-b", "0.0.0.0:8000", "--threads", "8", "--graceful-timeout", "1"],
        "workingDir": str(ROOT / "examples" / "flask_counter"),
        "env": [{"name": "SESSIONS", "value": kept_in}, {"name": "TMPDIR", "value": "/scratch"}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [*mounts, {"name": "scratch", "mountPath": "/scratch"}],
    }
    labels = {"app": kept_in}
    pod = {"containers": [container], "volumes": [*volumes(), {"name": "scratch", "emptyDir": {}}]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": kept_in, "labels": {"team": "shop"}},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {**pod, "terminationGracePeriodSeconds": 5}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": kept_in},
            "spec": {
                "selector": labels,
                "sessionAffinity": "ClientIP",
                "ports": [{"port": 80, "targetPort": "http"}],
            },
        },
    ]


@dataclass(frozen=True)
class Shop:
    """A namespace with both Deployments, and a user with the printed roles and no other right."""

    kubeconfig: Path
    namespace: str
    user: Path  # the kubeconfig of that user

    def kubectl(self, *words: str, given: object = None) -> str:
        return kubectl(f"--kubeconfig={self.kubeconfig}", "-n", self.namespace, *words, given=given)

    def deployment(self, name: str) -> Any:
        found = json.loads(self.kubectl("get", "deployment", name, "-o", "json"))
        found["spec"]["template"]["metadata"].pop("annotations", None)
        return found

    def create_user(self) -> None:
        printed = harness("doctor", "--kubernetes", "--namespace", self.namespace)
        assert printed.code == 0, printed.err
        roles = json.loads(printed.out)["items"]
        self.kubectl("create", "serviceaccount", "runner")
        for role in roles:
            role["metadata"]["name"] = self.namespace
            self.kubectl("apply", "-f", "-", given=role)
        account = f"--serviceaccount={self.namespace}:runner"
        self.kubectl("create", "rolebinding", "runner", f"--role={self.namespace}", account)
        self.kubectl("create", "clusterrolebinding", self.namespace, f"--clusterrole={self.namespace}", account)
        write_kubeconfig_of(self.kubectl("create", "token", "runner").strip(), self.kubeconfig, self.user)


@pytest.fixture
def shop(cluster: Path, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(cluster, f"shop-{secrets.token_hex(3)}", tmp_path / "runner.kubeconfig")
    made.kubectl("create", "namespace", made.namespace)
    try:
        made.create_user()
        for kept_in in ("memory", "cookie"):
            for item in counter(kept_in):
                made.kubectl("apply", "-f", "-", given=item)
        for kept_in in ("memory", "cookie"):
            made.kubectl("rollout", "status", f"deployment/{kept_in}", "--timeout=120s")
        yield made
    finally:
        for kind in ("clusterrolebinding", "clusterrole", "namespace"):
            made.kubectl("delete", kind, made.namespace, "--ignore-not-found", "--wait=false")


def run(shop: Shop, folder: Path, kubeconfig: Path, *words: str) -> Path:
    """The directory of a run that restarts the Deployments."""
    file = folder / "restarted.py"
    file.write_text(SCENARIO.replace("NAMESPACE", shop.namespace))
    command = ("run", str(file), "--yes", "--out", str(folder / "runs"), *words)
    done = harness(*command, env={"KUBECONFIG": str(kubeconfig)}, timeout=300)
    made = folder / "runs" / "restarted" / "latest"
    assert_run_passes(done, made)
    assert "replace all pods" in done.err
    return made


def assert_restarted(shop: Shop, name: str, was: Any) -> None:
    """Check that a restart is all that happened to a Deployment."""
    now = shop.deployment(name)
    assert now["metadata"]["labels"] == was["metadata"]["labels"]
    assert now["metadata"]["generation"] == was["metadata"]["generation"] + 1
    assert now["spec"] == was["spec"]


def assert_judged_rightly(made: Path, **lost: int) -> None:
    """Check how many sessions each design lost, and that a restart alone explains them."""
    designs = json.loads((made / "summary.json").read_text())["designs"]
    found = {name: design["arms"]["fault"]["sessions"] for name, design in designs.items()}
    assert {name: sessions["lost"] for name, sessions in found.items()} == lost
    assert set(found["memory"]["lost_by_cause"]) == {"stopped"}


def test_a_rolling_restart_of_somebody_elses_deployment_is_judged_and_leaves_it_as_it_was(
    shop: Shop, tmp_path: Path
) -> None:
    before = {name: shop.deployment(name) for name in ("memory", "cookie")}
    assert_judged_rightly(run(shop, tmp_path, shop.user), memory=20, cookie=0)
    for name, was in before.items():
        assert_restarted(shop, name, was)


def test_the_same_is_found_from_pods_where_this_machine_reaches_nothing_but_the_api_server(
    shop: Shop, loading_cluster: ClusterAccess, unroutable: None, tmp_path: Path
) -> None:
    before = shop.deployment("memory")
    inside = ("--backend", "kubernetes", "--load-inside", "1", "--load-image", loading_cluster.load_image)
    assert_judged_rightly(run(shop, tmp_path, shop.kubeconfig, "--design", "memory", *inside), memory=20)
    assert_restarted(shop, "memory", before)
    assert "harness-" not in shop.kubectl("get", "namespaces", "-o", "name")
