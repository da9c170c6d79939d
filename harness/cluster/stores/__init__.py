"""The stores by name, and which of them a design needs."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Protocol

from harness.cluster.capabilities import Store
from harness.cluster.stores.etcd import EtcdStore
from harness.cluster.stores.hazelcast import HazelcastStore
from harness.cluster.stores.memcached import MemcachedStore
from harness.cluster.stores.nats import NatsStore
from harness.cluster.stores.postgres import PostgresStore
from harness.cluster.stores.redis import RedisStore
from harness.cluster.stores.redis_sentinel import RedisSentinelStore
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Supervisor
from harness.common.bundled import target_clients
from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import extra_line
from harness.scenario.design import Design
from harness.scenario.kubernetes import Running
from harness.scenario.services import BuiltIn


class StoreType(Store, Protocol):
    """A store that can be chosen; it is up within ``async with STORES[name](supervisor, logs) as store``."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None: ...

    @staticmethod
    def program() -> str:
        """The program that it runs.

        Raises:
            EnvironmentLacksError: it is not on this machine; with the line that installs it.
        """

    @property
    def servers(self) -> tuple[Server, ...]:
        """Its servers, one or several."""

    async def __aenter__(self) -> Store: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...


#: Each store, by the name of the built-in ``state`` that needs it. ``scenario/parts.py`` lists the same names.
STORES: Mapping[str, type[StoreType]] = {
    "etcd": EtcdStore,
    "hazelcast": HazelcastStore,
    "memcached": MemcachedStore,
    "nats": NatsStore,
    "postgres": PostgresStore,
    "redis": RedisStore,
    "redis_sentinel": RedisSentinelStore,
}


def locate(name: str) -> str:
    """The program of the store that a built-in state of this name needs; the state's client library is there, too.

    Raises:
        EnvironmentLacksError: one of them is not on this machine; with the line that installs it.
    """
    client = target_clients().get(name)
    if client is not None and find_spec(client) is None:
        raise EnvironmentLacksError(f"the state {name} needs the Python package {client}", extra_line(name))
    return STORES[name].program()


def require(design: Design) -> None:
    """Check that this machine has the store that a design needs, and a built-in service's client of it.

    Raises:
        EnvironmentLacksError: it does not; with the line that installs it.
    """
    store = store_of(design)
    if store is not None and isinstance(design.target, BuiltIn):
        locate(design.target.state)
    elif store is not None:
        store.program()


def needs(state: str) -> str | None:
    """The store that this built-in state needs, or None."""
    return state if state in STORES else None


def store_of(design: Design) -> type[StoreType] | None:
    """The type of store that a design has; None where it has none."""
    target = design.target
    if isinstance(target, Running):
        return None
    name = needs(target.state) if isinstance(target, BuiltIn) else target.store
    return STORES[name] if name else None
