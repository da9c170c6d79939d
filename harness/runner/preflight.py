"""Checks before anything starts: the backend is available and supports what every arm needs."""

from collections.abc import Iterator

from harness.cluster import balancers
from harness.cluster.stores import store_of
from harness.cluster.stores.redis import RedisStore
from harness.common.errors import UsageError
from harness.faults import Partition, ReloadBalancer
from harness.faults.link import OnLink
from harness.scenario.design import Design
from harness.scenario.faults import Fault
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Compose, Image, Url

#: The balancers in the image of the Docker backend.
_IMAGE_BALANCERS = ("haproxy", "nginx")


def require(scenario: Scenario, backend: str) -> None:
    """Check that the backend is available and supports what every arm needs.

    Raises:
        UsageError: the backend does not support it.
        EnvironmentLacksError: the backend, a balancer or a store is missing on this machine.
    """
    for arm in scenario.arms():
        balancers.require(arm.design)
        for problem in _problems(arm.design, [at.fault for at in arm.faults], backend):
            raise UsageError(f"{arm.design.name}: {problem.message}", problem.hint)
        if backend == "process" and (store := store_of(arm.design)) is not None:
            store.program()
    if backend == "docker":
        from harness.cluster.containers import connect_engine  # noqa: PLC0415 - its SDK is loaded where it is used

        engine = connect_engine()
        for design in scenario.designs:
            if isinstance(design.target, Image):
                engine.require_image(design.target.image)


def _problems(design: Design, faults: list[Fault], backend: str) -> Iterator[UsageError]:
    """What a backend does not support of this design and these faults."""
    if backend == "docker" and not isinstance(design.target, Url):
        yield from _image_problems(design)
        yield from (problem for fault in faults for problem in _network_problems(design, fault))
    elif backend == "process" and isinstance(design.target, Image | Compose):
        yield UsageError("its service is in an image", "--backend docker")
    elif backend == "process" and design.limits.any:
        yield UsageError("the process backend cannot limit CPU or memory", "--backend docker")


def _image_problems(design: Design) -> Iterator[UsageError]:
    balancer, store = balancers.select(design.balancing).name, store_of(design)
    if isinstance(design.target, Command):
        yield UsageError("a Command is a program of this machine, not an image", "Image(...), or --backend process")
    if balancer not in _IMAGE_BALANCERS:
        yield UsageError(f"the Docker backend's image has no {balancer}", f"it has {', '.join(_IMAGE_BALANCERS)}")
    if store is not None and store is not RedisStore:
        yield UsageError(
            "the Docker backend's image does not have that store", "it has redis; --backend process has all"
        )


def _network_problems(design: Design, fault: Fault) -> Iterator[UsageError]:
    if isinstance(fault, OnLink) and not isinstance(fault, Partition):
        yield UsageError(
            f"no {fault.kind} of {fault.target}: a network between containers can only be cut as a whole",
            "use Partition; --backend process puts a proxy between the parts, which can do more",
        )
    if isinstance(fault, ReloadBalancer) and balancers.select(design.balancing).name == "haproxy":
        yield UsageError(
            "haproxy is reloaded by another process, which cannot follow the first one in its container",
            "--balancer nginx, or --backend process",
        )
