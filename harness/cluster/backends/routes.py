"""The links that a design asks for."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from harness.cluster.capabilities import Store
from harness.cluster.links import Route
from harness.common.errors import UsageError
from harness.common.ports import Reservation
from harness.scenario.design import Design


def routes(design: Design, ports: Sequence[Reservation], store: Store | None) -> Iterator[Route]:
    """Yield the links of the design: from the balancer to each replica, and from each replica to the store.

    Raises:
        UsageError: a link would lead to a store of several servers.
    """
    for index, port in enumerate(ports):
        if "balancer" in design.links:
            yield Route(f"balancer-r{index}", port.port)
        if "store" in design.links and store is not None:
            yield Route(f"r{index}-store", _only_port(store))


def _only_port(store: Store) -> int:
    addresses = urlsplit(store.url).netloc.split(",")
    if len(addresses) > 1:
        problem = f"a link leads to one server, and {store.name} has {len(addresses)}"
        raise UsageError(problem, "take 'store' out of the design's links")
    return int(addresses[0].rpartition(":")[2] or 0)
