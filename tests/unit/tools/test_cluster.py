"""The cluster of ``tools/cluster`` on paper: its files, addresses, volumes and the module that builds it."""

import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tools.kubernetes import programs, volumes
from tools.kubernetes.images import PAUSE, write_image
from tools.kubernetes.layout import PODS, Layout
from tools.kubernetes.node import write_configuration


def claim(
    name: str, phase: str = "Pending", storage_class: str = volumes.CLASS, node: str | None = "node1"
) -> dict[str, Any]:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": f"uid-of-{name}",
            **({"annotations": {volumes.CHOSEN_NODE: node}} if node else {}),
        },
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": phase},
    }


class FakeKubectl:
    """A cluster that keeps the volumes applied to it."""

    def __init__(self, *claims: dict[str, Any]) -> None:
        self.claims = list(claims)
        self.volumes: dict[str, Any] = {}

    def __call__(self, *arguments: str, manifest: Any = None) -> str:
        if arguments[0] == "get":
            return json.dumps({"items": [*self.claims, *self.volumes.values()]})
        if arguments[0] == "apply":
            self.volumes[manifest["metadata"]["name"]] = {
                **manifest,
                "kind": "PersistentVolume",
                "status": {"phase": "Bound"},
            }
        if arguments[0] == "delete":
            del self.volumes[arguments[2]]
        return ""


def test_modules_that_kubernetes_keeps_in_its_repository_are_replaced_by_published_ones() -> None:
    kubernetes = {
        "Go": "1.24.0",
        "Replace": [
            {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
            {"Old": {"Path": "example.org/fork"}, "New": {"Path": "example.org/fork", "Version": "v1.0.0"}},
        ],
    }
    lines = programs.write_module(kubernetes).splitlines()
    assert f"require k8s.io/kubernetes v{programs.VERSION}" in lines
    assert f"require sigs.k8s.io/metrics-server v{programs.METRICS_SERVER_VERSION}" in lines
    assert [line.strip() for line in lines if "=>" in line] == [f"k8s.io/api => k8s.io/api v0.{programs.VERSION[2:]}"]
    assert "go 1.24.0" in lines


def test_what_the_machine_lacks_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(programs.MissingError) as missing:
        programs.require_packages()
    problem, remedy = str(missing.value).splitlines()
    assert "containerd" in problem and "sudo apt-get install" in remedy and "etcd-server" in remedy


@pytest.mark.parametrize(("says", "enough"), [("go1.19.8", False), ("go1.21.0", True), ("go1.26.8", True)])
def test_a_go_that_is_too_old_is_said(says: str, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho go version {says} linux/amd64\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    if enough:
        programs.require_go()
    else:
        with pytest.raises(programs.MissingError, match=r"no Go 1\.21 or newer .*go1\.19\.8"):
            programs.require_go()


def test_programs_are_missing_until_they_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "CACHE", tmp_path)
    for name in programs.NAMES[1:]:
        (tmp_path / name).touch()
    (tmp_path / f"{programs.NAMES[0]}.partial").touch()
    assert programs.missing_programs() == [programs.NAMES[0]]


def test_nodes_and_clusters_share_nothing(tmp_path: Path) -> None:
    nodes = [node for home in ("a", "b") for node in Layout(tmp_path / home).nodes(2)]
    assert len({node.cgroup for node in nodes}) == len({node.socket for node in nodes}) == 4
    first, second = nodes[:2]
    assert first.address != second.address and first.pods != second.pods


def test_only_the_user_reads_the_kubeconfig(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.write_kubeconfig(layout.kubeconfig, "https://127.0.0.1:6443", "a token")
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600
    config = json.loads(layout.kubeconfig.read_text())
    assert config["users"][0]["user"]["token"] == "a token"
    assert config["contexts"][0]["name"] == config["current-context"]


def test_a_node_keeps_its_files_pods_and_control_groups_to_itself(tmp_path: Path) -> None:
    second = Layout(tmp_path).nodes(2)[1]
    write_configuration(second)
    kubelet = json.loads((second.home / "kubelet.json").read_text())
    assert kubelet["cgroupRoot"] == second.cgroup
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{second.socket}"
    bridge = json.loads((second.home / "cni" / "10-pods.conflist").read_text())["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": second.pods}]] and second.pods.startswith(PODS[:7])
    assert PAUSE in (second.home / "containerd.toml").read_text()


def test_an_image_holds_its_program_and_says_how_to_start_it(tmp_path: Path) -> None:
    program, archive = tmp_path / "pause", tmp_path / "pause.tar"
    program.write_bytes(b"a program")
    write_image("example/pause:1", program, archive)
    with tarfile.open(archive) as image:
        content = {member.name: image.extractfile(member) for member in image.getmembers()}
        read = {name: file.read() for name, file in content.items() if file is not None}
    (manifest,) = json.loads(read["manifest.json"])
    assert manifest["RepoTags"] == ["example/pause:1"]
    assert json.loads(read[manifest["Config"]])["config"]["Entrypoint"] == ["/pause"]
    assert b"a program" in read[manifest["Layers"][0]]


def test_a_claim_gets_one_volume_of_its_own(tmp_path: Path) -> None:
    kubectl = FakeKubectl(
        claim("events"),
        claim("of-another-class", storage_class="fast"),
        claim("has-one", "Bound"),
        claim("no-pod-yet", node=None),
    )
    provisioner = volumes.Provisioner(kubectl, tmp_path)
    provisioner.provide()
    provisioner.provide()
    (volume,) = kubectl.volumes.values()
    assert volume["spec"]["claimRef"]["name"] == "events"
    assert Path(volume["spec"]["hostPath"]["path"]).is_dir()


def test_a_volume_goes_with_its_claim(tmp_path: Path) -> None:
    kubectl = FakeKubectl(claim("events"))
    provisioner = volumes.Provisioner(kubectl, tmp_path)
    provisioner.provide()
    (volume,) = kubectl.volumes.values()
    kubectl.claims.clear()
    volume["status"]["phase"] = "Released"
    provisioner.provide()
    assert kubectl.volumes == {} and list(tmp_path.iterdir()) == []
