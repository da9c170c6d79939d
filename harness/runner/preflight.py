"""What is checked before anything starts: that a backend is there, and can do what every arm asks for."""

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

#: What the image of the Docker backend holds.
_BALANCERS = ("haproxy", "nginx")


def require(scenario: Scenario, backend: str) -> None:
    """See to it, before anything starts, that the backend is there and can do what every arm asks for.

    Raises:
        UsageError: it cannot, and why.
        EnvironmentLacksError: it, a balancer or a store is not on this machine.
    """
    for arm in scenario.arms():
        balancers.require(arm.design)
        for problem in _refused(arm.design, [at.fault for at in arm.faults], backend):
            raise UsageError(f"{arm.design.name}: {problem.message}", problem.hint)
        if backend == "process" and (store := store_of(arm.design)) is not None:
            store.program()
    if backend == "docker":
        from harness.cluster.containers import connect_engine  # noqa: PLC0415 - its SDK is loaded where it is used

        engine = connect_engine()
        for design in scenario.designs:
            if isinstance(design.target, Image):
                engine.require_image(design.target.image)


def _refused(design: Design, faults: list[Fault], backend: str) -> Iterator[UsageError]:
    """What a backend cannot do, and why."""
    if backend == "docker" and not isinstance(design.target, Url):
        yield from _not_in_the_image(design)
        yield from (problem for fault in faults for problem in _not_between_containers(design, fault))
    elif backend == "process" and isinstance(design.target, Image | Compose):
        yield UsageError("its service is in an image", "--backend docker")
    elif backend == "process" and design.limits.any:
        yield UsageError("processes are not kept to limits", "--backend docker")


def _not_in_the_image(design: Design) -> Iterator[UsageError]:
    balancer, store = balancers.select(design.balancing).name, store_of(design)
    if isinstance(design.target, Command):
        yield UsageError("a Command is a program of this machine, and in no image", "Image(...), or --backend process")
    if balancer not in _BALANCERS:
        yield UsageError(f"the Docker backend's image has no {balancer}", f"it has {', '.join(_BALANCERS)}")
    if store is not None and store is not RedisStore:
        yield UsageError("the Docker backend's image has that store not", "it has redis; --backend process has all")


def _not_between_containers(design: Design, fault: Fault) -> Iterator[UsageError]:
    if isinstance(fault, OnLink) and not isinstance(fault, Partition):
        yield UsageError(
            f"no {fault.kind} of {fault.target}: between containers is a network, which is there or not",
            "Partition takes it away; --backend process puts a proxy there, which can do more",
        )
    if isinstance(fault, ReloadBalancer) and balancers.select(design.balancing).name == "haproxy":
        yield UsageError(
            "haproxy is reloaded by another process, which cannot follow the first one in its container",
            "--balancer nginx, or --backend process",
        )
