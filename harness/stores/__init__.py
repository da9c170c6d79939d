"""The stores by name, and which of them a place for the state needs."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from harness.parts import Store
from harness.stores.redis import redis_store
from harness.supervisor import Supervisor

StoreFactory = Callable[[Supervisor, Path], AbstractAsyncContextManager[Store]]

#: name -> ``async with STORES[name](supervisor, logs) as store``
STORES: Mapping[str, StoreFactory] = {"redis": redis_store}


def needs(state: str) -> str | None:
    """The store that a design with this state needs, or None."""
    return state if state in STORES else None
