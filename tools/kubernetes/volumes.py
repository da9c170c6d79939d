"""Volumes for claims: folders of this machine, made when a claim appears and removed with it."""

import json
import shutil
from pathlib import Path
from typing import Any, Protocol

CLASS = "local"
#: What the scheduler asks for a volume: it notes at the claim the node that it chose.
PROVISIONER, CHOSEN_NODE = "cluster.local/folders", "volume.kubernetes.io/selected-node"


class Kubectl(Protocol):
    """Runs kubectl; returns what it printed, and nothing if it failed."""

    def __call__(self, *arguments: str, manifest: object = None) -> str:
        """Run it with these arguments, and with the manifest as its input."""


def declare_class(kubectl: Kubectl) -> None:
    """Make the class of these volumes the default.

    The scheduler chooses a node first, then asks every second whether the volume is there. With ``Immediate``, it tries
    again after an event, which it sometimes handles before it has seen the volume: kubernetes/kubernetes#93552.
    """
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    kubectl(
        *["apply", "-f", "-"],
        manifest={
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS, "annotations": annotations},
            "provisioner": PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Retain",  # the provisioner below removes the folder itself
        },
    )


class Provisioner:
    """Gives each claim a volume of its own. Call ``provide`` from time to time."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self._kubectl, self._folder = kubectl, folder

    def provide(self) -> None:
        """Make a volume for each claim that waits for one, and remove the volumes of claims that are gone."""
        listed = self._kubectl("get", "pv,pvc", "--all-namespaces", "-o", "json")
        items = json.loads(listed)["items"] if listed else []
        volumes = {item["metadata"]["name"]: item for item in items if item["kind"] == "PersistentVolume"}
        for claim in (item for item in items if item["kind"] == "PersistentVolumeClaim"):
            name = f"local-{claim['metadata']['uid']}"
            if _waits(claim) and name not in volumes:
                self._kubectl("apply", "-f", "-", manifest=self._make(name, claim))
        for name, volume in volumes.items():
            if volume["spec"].get("storageClassName") == CLASS and volume["status"].get("phase") == "Released":
                self._kubectl("delete", "pv", name, "--wait=false")
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _make(self, name: str, claim: dict[str, Any]) -> object:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # pods run as any user
        metadata = claim["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "accessModes": claim["spec"]["accessModes"],
                "storageClassName": CLASS,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(folder)},
                "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]},
            },
        }


def _waits(claim: dict[str, Any]) -> bool:
    """Whether a pod waits for a volume of this class."""
    annotations = claim["metadata"].get("annotations", {})
    ours = claim["spec"].get("storageClassName") == CLASS
    return ours and CHOSEN_NODE in annotations and claim["status"].get("phase") == "Pending"
