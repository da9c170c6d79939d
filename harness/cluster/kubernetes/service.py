"""A Service of Kubernetes as the balancer: kube-proxy chooses a pod for each connection, at random."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cluster.capabilities import Member, Refusal
from harness.common.errors import UsageError
from harness.scenario.balancing import CONNECTION

if TYPE_CHECKING:  # `harness list` names this balancer also where the client of Kubernetes is not installed
    from harness.cluster.kubernetes.pod_watch import PodWatch

NAME = "service"
#: ``source`` is the Service's ``sessionAffinity: ClientIP``.
SUPPORTS = frozenset({CONNECTION, "source"})
#: What the members of a Service wait for, in seconds: its endpoints follow the readiness of the pods.
_SETTLED_WITHIN_S = 10.0


@dataclass(frozen=True)
class ServiceBalancer:
    """A Service that exists. Its members are the pods that are ready: nobody adds or removes one by hand."""

    url: str
    service: str
    watch: "PodWatch"
    name: str = NAME
    pid: None = None  # it is a rule of the kernel on every node, not a process

    async def add(self, member: Member) -> None:
        """Wait until it sends the member new connections."""
        await self.watch.until(lambda: self._is_ready(member.name), _SETTLED_WITHIN_S)

    async def remove(self, name: str) -> None:
        """Wait until it sends a member no new connections, which the end of its pod brings about."""
        await self.watch.until(lambda: not self._is_ready(name), _SETTLED_WITHIN_S)

    async def drain(self, name: str) -> None:
        """Refuse: a Service sends a pod connections until the pod is not ready, or its deletion is requested.

        Raises:
            UsageError: always.
        """
        raise UsageError("a Service cannot drain a pod", "Terminate(drain=False), with pre_stop in the design")

    async def states(self) -> Mapping[str, str]:
        """``up`` for each pod that it sends new connections, ``down`` for the others of its endpoints."""
        endpoints = self.watch.endpoints(self.service)
        return {name: "up" if endpoint.ready else "down" for name, endpoint in endpoints.items()}

    def refusals(self) -> tuple[Refusal, ...]:
        """None: it answers nothing itself. A connection that it refuses was certainly not applied."""
        return ()

    def _is_ready(self, name: str) -> bool:
        endpoint = self.watch.endpoints(self.service).get(name)
        return endpoint is not None and endpoint.ready
