"""Checks before anything starts: the backend is available and supports what every arm needs."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.cluster import balancers, stores
from harness.cluster.kubernetes import require_client
from harness.cluster.replicas.probes import ReadinessProbe, address_of
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.common.waiting import wait_until
from harness.faults import Partition
from harness.faults.link import OnLink
from harness.faults.workload import OnWorkload
from harness.runner import image_support, kubernetes_support
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
from harness.scenario.design import Design
from harness.scenario.faults import Fault
from harness.scenario.kubernetes import Kubernetes, Running
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn, Command, Compose, Image, Url
from harness.scenario.termination import DEFAULT_TERMINATION


def require(scenario: Scenario, backend: str, access: ClusterAccess = DEFAULT_ACCESS) -> None:
    """Check that the backend is available and supports what every arm needs.

    Raises:
        UsageError: the backend does not support it.
        EnvironmentLacksError: the backend, a balancer or a store is missing on this machine.
    """
    for arm in scenario.arms():
        _require_support(arm.design, [at.fault for at in arm.faults], backend)
    metrics = any(
        kubernetes_support.platform_autoscale(arm.design, at.fault) for arm in scenario.arms() for at in arm.faults
    )
    _require_backend(scenario.designs, backend, access, metrics=metrics)
    survey_attached(scenario, access)


def require_topology(design: Design, backend: str, access: ClusterAccess = DEFAULT_ACCESS) -> None:
    """Check that the backend is available, and can bring a design up.

    Raises:
        As ``require``; and UsageError if the design is a workload that already runs.
    """
    require_none_attached([design])
    _require_support(design, [], backend)
    _require_backend([design], backend, access)


def _require_support(design: Design, faults: list[Fault], backend: str) -> None:
    """Check that the backend supports a design and these faults, and that its balancer and its store are there."""
    if design.balancing.name != kubernetes_support.SERVICE:
        balancers.require(design)
    elif backend != "kubernetes":
        raise UsageError(f"{design.name}: only on Kubernetes a Service is the balancer", "--backend kubernetes")
    for problem in _problems(design, faults, backend):
        raise UsageError(f"{design.name}: {problem.message}", problem.hint)
    if backend == "process":
        stores.require(design)


def _require_backend(designs: Iterable[Design], backend: str, access: ClusterAccess, *, metrics: bool = False) -> None:
    """Check that the engine or the cluster answers, may be used, and has the designs' images, and ``metrics``."""
    if backend == "docker":
        from harness.cluster.containers import connect_engine  # noqa: PLC0415 - its SDK is loaded where it is used

        engine = connect_engine()
        for design in designs:
            if isinstance(design.target, Image):
                engine.require_image(design.target.image)
    if backend == "kubernetes":
        kubernetes_support.require_cluster(access, metrics=metrics)


def survey_attached(scenario: Scenario, access: ClusterAccess) -> Sequence[str]:
    """What a run will do to workloads that already run on a cluster, one line each; they are checked, not changed.

    Raises:
        UsageError: a context is not allowed, or a fault does not fit a workload.
        EnvironmentLacksError: a workload, its Service or a right is missing, or the cluster does not answer.
    """
    if not any(isinstance(design.target, Kubernetes) for design in scenario.designs):
        return ()
    require_client()
    from harness.runner import attachments  # noqa: PLC0415 - loads the client library

    with ThreadPoolExecutor(1) as pool:  # the caller may have an event loop
        return pool.submit(asyncio.run, attachments.survey(scenario, access)).result()


async def require_running(designs: Iterable[Design], within_s: float = 10.0) -> None:
    """Check that the services which run already answer: nothing is measured for one that does not.

    Raises:
        EnvironmentLacksError: one does not answer at one of its addresses within so many seconds.
    """
    for design in designs:
        if isinstance(design.target, Url):
            for address in design.target.addresses:
                await _require_answer(design.name, address, ReadinessProbe(design.target.ready), within_s)


async def _require_answer(design: str, address: str, probe: ReadinessProbe, within_s: float) -> None:
    problem = ""

    async def answers() -> bool:
        nonlocal problem
        problem = await probe.problem(*address_of(address))
        return not problem

    if not await wait_until(answers, within_s, 0.1):
        raise EnvironmentLacksError(
            f"{design}: {address} {problem}, for {within_s:g} s", "start it first, or correct the address or ready="
        )


def require_none_attached(designs: Iterable[Design]) -> None:
    """Check that no design is a workload of others, which only ``harness run`` may touch: it asks beforehand.

    Raises:
        UsageError: one is.
    """
    for design in designs:
        if isinstance(design.target, Kubernetes):
            raise UsageError(f"{design.name} is a workload that already runs", "harness run asks before it touches it")


def _problems(design: Design, faults: list[Fault], backend: str) -> Iterator[UsageError]:
    """What a backend does not support of this design and these faults."""
    in_pods = backend == "kubernetes" and isinstance(design.target, BuiltIn)
    if not in_pods and design.termination != DEFAULT_TERMINATION:
        yield UsageError("only pods that the harness starts have a termination to set", "--backend kubernetes")
    if not in_pods and not isinstance(design.target, Kubernetes):
        yield from (
            UsageError(
                f"{fault.kind} needs a workload of Kubernetes",
                '--backend kubernetes starts one, Kubernetes("deployment/shop") attaches to one',
            )
            for fault in faults
            if isinstance(fault, OnWorkload)
        )
    if backend == "docker" and not isinstance(design.target, Running):
        if isinstance(design.target, Command):
            yield UsageError("a Command is a program of this machine, not an image", "Image(...), or --backend process")
        yield from image_support.balancer_problems(design.balancing)
        yield from image_support.store_problems(design)
        for fault in faults:
            yield from _network_problems(fault)
            yield from image_support.fault_problems(design, fault)
    elif backend == "kubernetes" and not isinstance(design.target, Running):
        yield from kubernetes_support.problems(design, faults)
    elif backend == "process" and isinstance(design.target, Image | Compose):
        yield UsageError("its service is in an image", "--backend docker")
    elif backend == "process" and design.limits.any:
        yield UsageError("the process backend cannot limit CPU or memory", "--backend docker")


def _network_problems(fault: Fault) -> Iterator[UsageError]:
    if isinstance(fault, OnLink) and not isinstance(fault, Partition):
        yield UsageError(
            f"no {fault.kind} of {fault.target}: a network between containers can only be cut as a whole",
            "use Partition; --backend process puts a proxy between the parts, which can do more",
        )
