"""What the image of all parts supports, as containers and as pods."""

from collections.abc import Iterator

from harness.cluster import balancers, stores
from harness.common.errors import UsageError
from harness.faults import ReloadBalancer
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import Fault

BALANCERS = ("haproxy", "nginx", "envoy")
STORES = ("memcached", "nats", "postgres", "redis", "redis_sentinel")


def balancer_problems(balancing: Balancing) -> Iterator[UsageError]:
    """The balancer that the image does not have."""
    name = balancers.select(balancing).name
    if name not in BALANCERS:
        yield UsageError(f"the image of all parts has no {name}", f"it has {', '.join(BALANCERS)}")


def store_problems(design: Design) -> Iterator[UsageError]:
    """The store that the image does not have."""
    store = stores.store_of(design)
    if store not in (None, *map(stores.STORES.__getitem__, STORES)):
        names = ", ".join(STORES)
        yield UsageError(
            "the image of all parts does not have that store", f"it has {names}; --backend process has all"
        )


def fault_problems(design: Design, fault: Fault) -> Iterator[UsageError]:
    """What a fault needs that a balancer in a container of its own does not have."""
    if isinstance(fault, ReloadBalancer) and balancers.select(design.balancing).name == "haproxy":
        yield UsageError(
            "haproxy is reloaded by another process, which cannot follow the first one in its container",
            "--balancer nginx or envoy, or --backend process",
        )
