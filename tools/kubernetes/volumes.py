"""Volumes for claims: folders of this machine, made when a claim appears and removed with it."""

import json
import shutil
from pathlib import Path
from typing import Any, Protocol

CLASS = "local"


class Kubectl(Protocol):
    """Runs kubectl; returns what it printed, and nothing if it failed."""

    def __call__(self, *arguments: str, manifest: object = None) -> str:
        """Run it with these arguments, and with the manifest as its input."""


def declare_class(kubectl: Kubectl) -> None:
    """Make the class of these volumes the default."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    kubectl(
        *["apply", "-f", "-"],
        manifest={
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS, "annotations": annotations},
            "provisioner": "kubernetes.io/no-provisioner",
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
            ours = claim["spec"].get("storageClassName") == CLASS and claim["status"].get("phase") == "Pending"
            if ours and name not in volumes:
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
