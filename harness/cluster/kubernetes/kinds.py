"""The kinds of objects that the harness reads and writes, as the API server addresses them."""

from dataclasses import dataclass
from typing import Any

#: An object of the API as JSON; what it holds is defined by Kubernetes.
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind: its name in manifests, its version, and the word that stands for it in URLs."""

    name: str
    version: str
    plural: str


AUTOSCALER = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
CLAIM = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
CONFIG = Kind("ConfigMap", "v1", "configmaps")
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
EVENT = Kind("Event", "v1", "events")
NAMESPACE = Kind("Namespace", "v1", "namespaces")
NODE = Kind("Node", "v1", "nodes")
POD = Kind("Pod", "v1", "pods")
REPLICA_SET = Kind("ReplicaSet", "apps/v1", "replicasets")
SECRET = Kind("Secret", "v1", "secrets")
SERVICE = Kind("Service", "v1", "services")
SLICE = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices")
STATEFUL_SET = Kind("StatefulSet", "apps/v1", "statefulsets")
_KINDS = {
    kind.name: kind for kind in (AUTOSCALER, CLAIM, CONFIG, DEPLOYMENT, NAMESPACE, POD, SECRET, SERVICE, STATEFUL_SET)
}


def kind_of(manifest: Manifest) -> Kind:
    """The kind of an object that the harness creates."""
    return _KINDS[manifest["kind"]]
