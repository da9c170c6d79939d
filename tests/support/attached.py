"""A cluster with one workload in it, which a controller in memory keeps as large as it should be."""

import copy
import itertools
from typing import Any

from harness.cluster.kubernetes.api import MissingError
from harness.cluster.kubernetes.kinds import Kind
from harness.common.errors import EnvironmentLacksError

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def deployment(replicas: int = 2) -> dict[str, Any]:
    container = {"name": "web", "image": "shop:1", "ports": [{"name": "http", "containerPort": 8000}]}
    return {
        "metadata": {"name": "shop", "namespace": "prod", "generation": 1, "labels": {"team": "a"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container]}},
        },
    }


def service(name: str = "shop", *ports: int, selector: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {
            "clusterIP": "10.96.0.9",
            "selector": {"app": "shop"} if selector is None else selector,
            "ports": [{"port": port, "targetPort": "http"} for port in ports or (80,)],
        },
    }


class FakeCluster:
    """As much of an API server, and of the controllers behind it, as an attached run needs."""

    context, server, namespace, is_local = "test", "https://127.0.0.1:6443", "prod", True

    def __init__(self, replicas: int = 2, *services: dict[str, Any]) -> None:
        self.workload: dict[str, Any] | None = deployment(replicas)
        self.services = list(services or [service()])
        self.pods: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, dict[str, Any]] = {
            name: {"spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            for name in ("node1", "node2")
        }
        self.forbidden: set[tuple[str, str]] = set()
        self.allowed_names: dict[tuple[str, str], str] = {}  # what is allowed for one name only
        self.stuck = False  # new pods never become ready
        self.lingers = 0  # how often a pod that was deleted with its grace is still listed
        self.evictions_refused = 0
        self.answers: dict[str, int] = {}  # the status of a Service that the API server asks
        self.log: list[str] = []
        self._ending: list[list[dict[str, Any]]] = []  # what the next lists of pods have besides
        self._numbers = itertools.count()
        self._reconcile()

    def _reconcile(self) -> None:
        """Have as many pods as there should be, of the current template, on nodes that accept them."""
        assert self.workload is not None
        wanted, version = self.workload["spec"]["replicas"], str(self.workload["spec"]["template"])
        self.pods = {uid: pod for uid, pod in self.pods.items() if pod["version"] == version}
        while len(self.pods) > wanted:
            self.pods.popitem()
        free = [name for name, node in self.nodes.items() if not node["spec"].get("unschedulable")]
        while len(self.pods) < wanted:
            self._add_pod(free, version)
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), wanted)
        ready = sum(pod["status"]["conditions"][0]["status"] == "True" for pod in self.pods.values())
        generation = self.workload["metadata"]["generation"]
        self.workload["status"] = {**counts, "readyReplicas": ready, "observedGeneration": generation}

    def _add_pod(self, nodes: list[str], version: str) -> None:
        number = next(self._numbers)
        self.pods[f"uid-{number}"] = {
            "version": version,
            "metadata": {
                "name": f"shop-{number}",
                "uid": f"uid-{number}",
                "labels": {"app": "shop", "pod-template-hash": "6f"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-6f", "controller": True}],
            },
            "spec": {"nodeName": nodes[number % len(nodes)]},
            "status": {
                "podIP": f"10.244.0.{number}",
                "conditions": [{"type": "Ready", "status": "False" if self.stuck else "True"}],
            },
        }

    def add_foreign(self, uid: str, *, phase: str = "Running", **metadata: Any) -> None:
        """Add a pod that has the labels of the workload, but is none of those that it runs."""
        labels = {"app": "shop", "pod-template-hash": "6f"}
        self.pods[uid] = {
            "version": str(self.workload and self.workload["spec"]["template"]),
            "metadata": {"name": uid, "uid": uid, "labels": labels, **metadata},
            "spec": {"nodeName": "node2"},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
        }

    def report(self, node: str, ready: bool) -> None:
        """Report a node and its pods as ready, or not."""
        conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
        self.nodes[node]["status"]["conditions"] = conditions
        for pod in self.pods.values():
            if pod["spec"]["nodeName"] == node:
                pod["status"]["conditions"] = conditions
        self._reconcile()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Any:
        return copy.deepcopy(self.nodes[name] if kind.name == "Node" else self.workload)

    async def ask_service(self, service: str, port: int, namespace: str, path: str) -> int | None:
        return self.answers.get(f"{namespace}/{service}:{port}{path}")

    async def read_all(self, kind: Kind, namespace: str | None = None, labels: str = "", fields: str = "") -> list[Any]:
        if kind.name == "Service":
            return copy.deepcopy(self.services)
        return copy.deepcopy([*self.pods.values(), *(self._ending.pop() if self._ending else ())])

    async def patch(self, kind: Kind, name: str, change: dict[str, Any], namespace: str | None = None) -> Any:
        self.log.append(f"patch {kind.plural}/{name}")
        if kind.name == "Node":
            self.nodes[name]["spec"]["unschedulable"] = change["spec"]["unschedulable"]
            return self.nodes[name]
        assert self.workload is not None
        spec = self.workload["spec"]
        spec["replicas"] = change["spec"].get("replicas", spec["replicas"])
        if template := change["spec"].get("template"):
            spec["template"]["metadata"].setdefault("annotations", {}).update(template["metadata"]["annotations"])
        self.workload["metadata"]["generation"] += 1
        self._reconcile()
        return self.workload

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, grace_s: int | None = None, uid: str = ""
    ) -> bool:
        self.log.append(f"delete {name} grace {grace_s}")
        found = self.pods.pop(uid, None)
        if found and grace_s is None:
            found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._ending = [[found]] * self.lingers
        self._reconcile()
        return found is not None

    async def create(self, kind: Kind, manifest: dict[str, Any], namespace: str | None = None) -> Any:
        if kind.name == "SelfSubjectAccessReview":
            asked = manifest["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
            action, name = (asked["verb"], resource), asked.get("name", "")
            allowed = action not in self.forbidden and self.allowed_names.get(action, name) == name
            return {"status": {"allowed": allowed}}
        if self.evictions_refused:
            self.evictions_refused -= 1
            raise EnvironmentLacksError("it would violate the pod's disruption budget")
        name = manifest["metadata"]["name"]
        if all(pod["metadata"]["name"] != name for pod in self.pods.values()):
            raise MissingError(f"there is no Eviction {name}")
        self.log.append(f"evict {name}")
        self.pods = {uid: pod for uid, pod in self.pods.items() if pod["metadata"]["name"] != name}
        self._reconcile()
        return manifest
