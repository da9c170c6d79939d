"""The topology of a workload that already runs on Kubernetes: nothing is created, and it is left as it was found."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.cluster.backends.deployment import Deployment
from harness.cluster.kubernetes.api import connect_api
from harness.cluster.kubernetes.api_silence import report_silence
from harness.cluster.replicas.attached_workload import AttachedWorkload, attach
from harness.cluster.replicas.attachment import find_attachment, readiness
from harness.cluster.replicas.external import ExternalBalancer
from harness.cluster.replicas.probes import HealthProbe
from harness.cluster.supervisor import Death
from harness.cluster.topology import Topology
from harness.cluster.watch.sampler import Sampler
from harness.common.background import background
from harness.common.durations import parse_seconds
from harness.scenario.kubernetes import Kubernetes


@dataclass(frozen=True)
class AttachedProbe:
    """Asks the Service itself, and the API server about the pods, whose addresses this machine may not reach."""

    workload: AttachedWorkload
    service: str  # its host
    ready: HealthProbe

    async def problem(self, host: str, port: int) -> str:
        """The Service has to answer, and the pod at another address to be ready."""
        if host == self.service:
            return await self.ready.problem(host, port)
        ready = {pod.address for pod in await self.workload.pods() if pod.ready}
        return "" if host in ready else "is not ready"


async def attached_topology(
    deployment: Deployment, target: Kubernetes, sampler: Sampler, deaths: asyncio.Queue[Death], *, forwarded: bool
) -> Topology:
    """Find the workload, and check at the end of the scope that it is as it was found.

    If ``forwarded``, the load comes from inside the cluster, and the Service is asked through the API server.

    Raises:
        HarnessError: it is not there, not unique, not ready, or not permitted.
    """
    api = await connect_api(target.context)
    api.patience_s = parse_seconds(target.ready_within)  # what was changed has to be changed back
    attachment = await find_attachment(api, target, forwarded=forwarded)
    scope = attach(api, target, attachment, deployment.on_start)
    workload = await deployment.scope.enter_async_context(scope)
    await deployment.scope.enter_async_context(background(report_silence(api, deaths)))
    ready = readiness(api, target, attachment, forwarded=forwarded)
    probe = AttachedProbe(workload, urlsplit(attachment.url).hostname or "", ready)
    return Topology(
        deployment.design,
        probe,
        workload.places,
        ExternalBalancer(attachment.url, "the Service"),
        None,
        deployment.journal,
        sampler,
        workload=workload,
    )
