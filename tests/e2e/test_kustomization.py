"""The manifests of ``compose/kubernetes``: kubectl accepts them, and their parts fit together."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.harness_command import ROOT
from tools.kubernetes import programs

pytestmark = pytest.mark.slow  # kubectl may have to be built first

FOLDER = ROOT / "compose" / "kubernetes"
TOPOLOGIES = ("", "memory")


def kubectl() -> str:
    """The one in the path, or the one of the cluster's programs."""
    if found := shutil.which("kubectl") or shutil.which("kubectl", path=programs.CACHE):
        return found
    pytest.skip("no kubectl: make cluster")


def render(topology: str) -> dict[tuple[str, str], Any]:
    """Every object of a topology, by kind and name (without the digest that kustomize adds)."""
    command = [kubectl(), "kustomize", str(FOLDER / topology)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    objects = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {(item["kind"], item["metadata"]["name"].split("-")[0]): item for item in objects}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_everything_goes_into_one_namespace_and_is_labelled(topology: str) -> None:
    for (kind, _), item in render(topology).items():
        assert kind == "Namespace" or item["metadata"]["namespace"] == "session-harness"
        assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "session-harness"


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_service_leads_to_a_named_port_of_its_pods(topology: str) -> None:
    objects = render(topology)
    services = [item for (kind, _), item in objects.items() if kind == "Service"]
    assert len(services) == 2
    for service in services:
        pods = objects["Deployment", service["metadata"]["name"]]["spec"]["template"]
        assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
        ports = {port["name"] for container in pods["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_variable_of_the_command_is_defined(topology: str) -> None:
    objects = render(topology)
    (container,) = objects["Deployment", "target"]["spec"]["template"]["spec"]["containers"]
    defined = {entry["name"] for entry in container["env"]} | set(objects["ConfigMap", "target"]["data"])
    defined |= set(objects["Secret", "target"]["data"])
    defined |= {f"{name.upper()}_SERVICE_HOST" for kind, name in objects if kind == "Service"}
    used = set(re.findall(r"\$\((\w+)\)", " ".join(container["args"])))
    assert used and used <= defined


def test_state_in_memory_comes_with_affinity() -> None:
    plain, memory = render(""), render("memory")
    assert plain["ConfigMap", "target"]["data"]["STATE"] == "redis"
    assert "sessionAffinity" not in plain["Service", "target"]["spec"]
    assert memory["ConfigMap", "target"]["data"]["STATE"] == "memory"
    assert memory["Service", "target"]["spec"]["sessionAffinity"] == "ClientIP"
