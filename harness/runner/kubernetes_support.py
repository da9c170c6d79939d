"""What the Kubernetes backend supports, and whether the cluster that it would use is there."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness import faults
from harness.cluster import balancers
from harness.cluster.kubernetes import require_client
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.faults.link import OnLink
from harness.runner import image_support
from harness.scenario.balancing import CONNECTION, Balancing
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.design import Design
from harness.scenario.faults import Fault
from harness.scenario.services import BuiltIn

METRICS_API = ("metrics.k8s.io", "v1beta1")
SERVICE = "service"  # the balancer that is the Service itself
_SERVICE_POLICIES = (CONNECTION, "source")
#: What a fault needs that Kubernetes, or this backend, does not have.
_LACKS: tuple[tuple[type[Fault] | tuple[type[Fault], ...], str, str], ...] = (
    ((faults.Pause, faults.Slow, faults.PauseStore), "no signal that stops a pod", "Kill, or --backend process"),
    (OnLink, "no way to cut one connection", "--backend process, or docker for a Partition"),
    (faults.TruncateTail, "no access to the files of a claim", "LoseVolume, or --backend process"),
    (faults.RotateKeys, "no way to give a running pod other keys", "--backend process"),
)


def require_cluster(access: ClusterAccess, *, metrics: bool = False) -> None:
    """Check that the cluster answers, may be used and, if that is needed, has figures of the CPU of its pods.

    Raises:
        UsageError: the context does not exist, or leads to another machine and is not allowed.
        EnvironmentLacksError: there is no client library, no kubeconfig, no answer, or no metrics API.
    """
    require_client()
    from harness.cluster.kubernetes.api import connect_api, require_allowed  # noqa: PLC0415 - loads the client library

    async def check() -> None:
        api = await connect_api(access.context)
        require_allowed(api, access.allowed)
        if metrics and not await api.offers(*METRICS_API):
            raise EnvironmentLacksError(
                f"the cluster has no {METRICS_API[0]}, by which a HorizontalPodAutoscaler scales",
                "install metrics-server, which has it: https://github.com/kubernetes-sigs/metrics-server",
            )

    with ThreadPoolExecutor(1) as pool:  # the caller may have an event loop
        pool.submit(asyncio.run, check()).result()


def platform_autoscale(design: Design, fault: Fault) -> faults.Autoscale | None:
    """The fault, if it starts a HorizontalPodAutoscaler: that scales by the CPU, not by emulated slots."""
    by_cpu = isinstance(design.target, BuiltIn) and design.target.capacity is None
    return fault if by_cpu and isinstance(fault, faults.Autoscale) else None


def problems(design: Design, played: Sequence[Fault]) -> Iterator[UsageError]:
    """What the backend does not support of this design and these faults."""
    yield from _target_problems(design)
    yield from _balancing_problems(design.balancing)
    yield from image_support.store_problems(design)
    for fault in played:
        broken = fault.fault if isinstance(fault, faults.Heal) else fault
        for kinds, lack, hint in _LACKS:
            if isinstance(broken, kinds):
                yield UsageError(f"no {broken.kind} of {broken.target} on Kubernetes: there is {lack}", hint)
        if isinstance(broken, faults.LoseVolume) and isinstance(design.target, BuiltIn) and not design.target.on_disk:
            yield UsageError(f"the pods of {design.name} keep nothing on disk: they have no claim", 'state="eventlog"')
        if (scaling := platform_autoscale(design, broken)) and scaling.drain:
            yield UsageError("a HorizontalPodAutoscaler does not drain a pod before its end", "drain=False")
        elif design.balancing.name == SERVICE:
            yield from _fault_problems_of_service(broken)
        else:
            yield from image_support.fault_problems(design, broken)


def _target_problems(design: Design) -> Iterator[UsageError]:
    target = design.target
    if not isinstance(target, BuiltIn):
        yield UsageError("the Kubernetes backend starts built-in services only", "--backend docker, or process")
    elif target.state == "replicated" or target.options.get("scheme") == "opaque":
        yield UsageError(
            "its replicas need the addresses of one another, and pods have none that stay", "--backend docker"
        )


def _balancing_problems(balancing: Balancing) -> Iterator[UsageError]:
    if balancing.name == SERVICE:
        if balancing.policy not in _SERVICE_POLICIES:
            yield UsageError(
                f"a Service cannot do {balancing.policy}: it chooses a pod for each connection, or for each address",
                f"{' or '.join(_SERVICE_POLICIES)}, or --balancer haproxy",
            )
    elif balancing.config is not None:
        yield UsageError("the Kubernetes backend takes no configuration of your own", "--backend process, or docker")
    elif balancing.policy == CONNECTION and balancers.select(balancing).name == "nginx":
        yield UsageError(
            "nginx that balances connections does not report when new members are in effect",
            f"--balancer haproxy, or {SERVICE} for the Service itself",
        )
    else:
        yield from image_support.balancer_problems(balancing)


def _fault_problems_of_service(fault: Fault) -> Iterator[UsageError]:
    if isinstance(fault, faults.KillBalancer | faults.ReloadBalancer):
        yield UsageError("a Service has no process: it is a rule on every node", "--balancer haproxy, nginx or envoy")
    if isinstance(fault, faults.Terminate | faults.RollingDeploy | faults.ScaleIn | faults.Autoscale) and fault.drain:
        yield UsageError(
            f"a Service does not drain a pod before its end: {fault.kind} needs drain=False",
            "drain=False, or --balancer haproxy",
        )
