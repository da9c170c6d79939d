"""A workload that already runs on a Kubernetes cluster, as the service of a design."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.common.durations import parse_seconds
from harness.scenario.checks import check_types, require
from harness.scenario.services import Url, check_path

#: What each fault does to such a workload, by the kind of the fault.
ATTACHED_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "kill": "delete a pod without grace",
        "terminate": "delete a pod with its grace period",
        "rolling_restart": "replace all pods, as kubectl rollout restart does",
        "resize": "change the number of replicas, and change it back",
        "drain_node": "cordon the node of a pod and evict the workload's pods there, then uncordon it",
        "lose_node": "run your commands that cut a node off, and bring it back",
        "restart": "wait until the pod is replaced",
        "start": "wait until the pod is replaced",
        "heal": "undo an earlier fault",
    }
)
_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"


@dataclass(frozen=True)
class Kubernetes:
    """A Deployment or StatefulSet that runs already: loaded through its Service, broken, and left as it was found.

    ``workload`` is ``deployment/NAME`` or ``statefulset/NAME``. ``namespace`` and ``context`` are those of the
    kubeconfig unless given. ``service`` and ``port`` are needed where several Services lead to the pods, or one has
    several ports. The load goes to ``url`` if there is one, such as that of an ingress. The service answers on the path
    ``ready`` with 200 to 399. ``ready_within`` limits the time until all pods are ready again after a fault.
    """

    workload: str
    namespace: str | None = None
    service: str | None = None
    port: int | None = None
    url: str | None = None
    context: str | None = None
    ready: str | None = "/"
    ready_within: str = "120s"

    def __post_init__(self) -> None:
        check_types(self)
        require(
            re.fullmatch(rf"(deployment|statefulset)/{_NAME}", self.workload) is not None,
            f"{self.workload!r} is no workload to attach to",
            'Kubernetes("deployment/shop"), or "statefulset/shop"',
        )
        require(self.port is None or 0 < self.port < 65536, f"{self.port} is no port", "port=80")
        require(parse_seconds(self.ready_within) > 0, "ready_within must be above 0", 'ready_within="120s"')
        check_path(self.ready)
        if self.url is not None:
            Url(self.url)  # checks it

    @property
    def kind(self) -> str:
        """``deployment`` or ``statefulset``."""
        return self.workload.partition("/")[0]

    @property
    def name(self) -> str:
        """The name of the workload."""
        return self.workload.partition("/")[2]

    @property
    def foreign_hosts(self) -> tuple[str, ...]:
        """The host of ``url``, if it is not this machine's loopback."""
        return Url(self.url).foreign_hosts if self.url is not None else ()

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values."""
        given = {"namespace": self.namespace, "service": self.service, "service_port": self.port, "url": self.url}
        facts: dict[str, str | int | float] = {"target": "kubernetes", "workload": self.workload}
        facts["ready"] = self.ready or "its port is open"
        return facts | {name: value for name, value in given.items() if value is not None}


#: A service that already runs.
Running = Url | Kubernetes
