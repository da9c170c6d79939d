"""The objects that a run creates, as manifests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.cluster.capabilities import ScalingRule
from harness.cluster.kubernetes.kinds import AUTOSCALER, Kind, Manifest
from harness.common.limits import UNLIMITED, Limits

PART = "session-harness.part"  # the label that a part's pods carry, with its name
SECRET_NAME = "harness"  # noqa: S105 - the name of the Secret, not its content
#: The directory at which a replica's claim is mounted.
VOLUME = "/var/lib/harness"
#: The directory of the files that a balancer or a store starts with.
FILES = "/etc/harness"
#: The annotation of a pod template by which ``kubectl rollout restart`` replaces all pods.
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_FOLDER = "folder"  # the name of a pod's volume, and the first part of the name of its claim
_UNITS = {"k": "Ki", "m": "Mi", "g": "Gi"}


@dataclass(frozen=True)
class PodTemplate:
    """A pod with one container. Every pod of the same ``part`` is behind the part's Service.

    ``grace_s`` is the time from the request to end until SIGKILL, and the first ``pre_stop_s`` of it pass before
    SIGTERM. ``folder`` is its working directory: empty, or a volume that outlives the pod, of which the workload gives
    each pod one with ``claim``, or which is the claim called ``volume``. The ``files`` of a ConfigMap are in the
    directory ``FILES``. Without a ``user``, that of the image runs it.
    ``secrets`` gives the Secret for each variable that has one. A pod without a ``port`` has no probe. With ``spread``,
    the part's pods are on different nodes if possible.
    """

    part: str
    image: str
    command: Sequence[str]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = None  # the path that answers 200 once it is ready; None: its port is open
    grace_s: int = 30
    pre_stop_s: int = 0
    limits: Limits = UNLIMITED
    folder: str = ""
    files: str = ""  # the ConfigMap that holds them; empty without any
    claim: bool = False
    volume: str = ""
    user: int | None = None
    restarts: bool = True
    secrets: Mapping[str, str] = field(default_factory=lambda: {"HARNESS_SECRET": SECRET_NAME})
    spread: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which Services and workloads select it."""
        return {PART: self.part}

    def spec(self) -> Manifest:
        """The specification of the pod."""
        probe: Manifest = {"httpGet": {"path": self.ready, "port": self.port}} if self.ready else {}
        probe = probe or {"tcpSocket": {"port": self.port}}
        container: Manifest = {
            "name": "part",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
            "env": [*self._downward(), *({"name": name, "value": value} for name, value in self.env.items())],
            "resources": self._resources(),
        }
        if self.port:
            container["ports"] = [{"containerPort": self.port}]
            container["readinessProbe"] = {**probe, "periodSeconds": 1}
        mounts, volumes = self._mounts()
        container["volumeMounts"] = mounts
        if self.folder:
            container["workingDir"] = self.folder
        if self.pre_stop_s:
            container["lifecycle"] = {"preStop": {"sleep": {"seconds": self.pre_stop_s}}}
        return {
            "containers": [container],
            "restartPolicy": "Always" if self.restarts else "Never",
            "terminationGracePeriodSeconds": self.grace_s,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "volumes": volumes,
            "securityContext": {"runAsUser": self.user, "fsGroup": self.user} if self.user else {},
            **({"topologySpreadConstraints": [self._spreading()]} if self.spread else {}),
        }

    def _spreading(self) -> Manifest:
        labels = {"matchLabels": self.labels}
        return {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": labels,
        }

    def _downward(self) -> list[Manifest]:
        """The variables that a pod gets from the cluster: its own name and node, and its secrets."""
        fields = {"POD_NAME": "metadata.name", "HARNESS_NODE": "spec.nodeName"}
        return [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "secret"}}}
                for name, secret in self.secrets.items()
            ),
        ]

    def _mounts(self) -> tuple[list[Manifest], list[Manifest]]:
        """Where what is mounted, and the volumes of the pod itself: a claim is one of the workload."""
        mounts: list[Manifest] = []
        volumes: list[Manifest] = []
        if self.folder:
            mounts.append({"name": _FOLDER, "mountPath": self.folder})
            kept = {"persistentVolumeClaim": {"claimName": self.volume}} if self.volume else {"emptyDir": {}}
            volumes += [] if self.claim else [{"name": _FOLDER, **kept}]
        if self.files:
            mounts.append({"name": "files", "mountPath": FILES})
            volumes.append({"name": "files", "configMap": {"name": self.files}})
        return mounts, volumes

    def _resources(self) -> Manifest:
        limits = {"cpu": f"{round(self.limits.cpus * 1000)}m"} if self.limits.cpus else {}
        if self.limits.memory:
            limits["memory"] = self.limits.memory[:-1] + _UNITS[self.limits.memory[-1]]
        return {"limits": limits, "requests": dict(limits)} if limits else {}


def deployment(name: str, template: PodTemplate, replicas: int) -> Manifest:
    """A Deployment, for replicas that keep nothing on disk."""
    return _workload("Deployment", name, template, replicas, {})


def stateful_set(name: str, template: PodTemplate, replicas: int, size: str = "1Gi") -> Manifest:
    """A StatefulSet whose pods have a claim each, which outlives them."""
    template_of_claims = {"metadata": {"name": _FOLDER, "labels": template.labels}, "spec": _storage(size)}
    extra = {
        "serviceName": name,
        "podManagementPolicy": "Parallel",
        "volumeClaimTemplates": [template_of_claims],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
    }
    return _workload("StatefulSet", name, template, replicas, extra)


def _storage(size: str) -> Manifest:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}


def claim(name: str, size: str = "1Gi") -> Manifest:
    """A claim of a volume that one pod after the other uses."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": _storage(size)}


def claim_of(pod: str) -> str:
    """The name of the claim of a pod of a StatefulSet."""
    return f"{_FOLDER}-{pod}"


def _workload(kind: str, name: str, template: PodTemplate, replicas: int, extra: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": template.labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": template.labels},
            "template": {"metadata": {"labels": template.labels}, "spec": template.spec()},
            **extra,
        },
    }


def pod(name: str, template: PodTemplate) -> Manifest:
    """A pod of its own, which nothing replaces when it ends."""
    metadata = {"name": name, "labels": template.labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.spec()}


def service(part: str, ports: Sequence[int], *, affinity: bool = False) -> Manifest:
    """The Service in front of a part's pods; with ``affinity``, all connections from one address go to one pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": part, "labels": {PART: part}},
        "spec": {
            "selector": {PART: part},
            "ports": [{"name": f"port-{port}", "port": port, "targetPort": port} for port in ports],
            "sessionAffinity": "ClientIP" if affinity else "None",
        },
    }


def autoscaler(name: str, kind: Kind, rule: ScalingRule) -> Manifest:
    """The HorizontalPodAutoscaler of a workload of the same name.

    It adds as many pods as the figures ask for, and removes one at a time.
    """
    calm_s = math.ceil(rule.cooldown_s)
    target = {"type": "AverageValue", "averageValue": f"{round(1000 * rule.cores)}m"}
    return {
        "apiVersion": AUTOSCALER.version,
        "kind": AUTOSCALER.name,
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": kind.version, "kind": kind.name, "name": name},
            "minReplicas": rule.least,
            "maxReplicas": rule.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {
                "scaleUp": {"policies": [{"type": "Pods", "value": rule.most, "periodSeconds": 1}]},
                "scaleDown": {
                    "stabilizationWindowSeconds": calm_s,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": max(1, calm_s)}],
                },
            },
        },
    }


def config(name: str, files: Mapping[str, str]) -> Manifest:
    """A ConfigMap with files by name."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(files)}


def secret(value: str, name: str = SECRET_NAME) -> Manifest:
    """A Secret; that of the usual name is the one from which replicas sign their tokens."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"secret": value}}


def namespace(name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Manifest:
    """A namespace."""
    metadata = {"name": name, "labels": dict(labels), "annotations": dict(annotations)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def restart() -> Manifest:
    """The change of a workload by which its controller replaces every pod."""
    annotations = {RESTARTED_AT: datetime.now(UTC).isoformat()}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}
