"""What a fault is made of. Its undo is not optional: the timeline holds it in a scope."""

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

from harness.errors import UsageError
from harness.parts import Evidence, Replica


class Topology(Protocol):
    """As much of a topology as a fault may touch."""

    @property
    def replicas(self) -> Sequence[Replica]:
        """The replicas, by number."""


A = TypeVar("A")


@runtime_checkable
class Breaking(Protocol):
    """A fault that breaks something until it is undone."""

    @property
    def kind(self) -> str:
        """Its name in files and reports."""

    @property
    def target(self) -> str:
        """The part it concerns."""

    async def inject(self, topology: Topology) -> Evidence:
        """Break it, and show that it is broken."""

    async def undo(self, topology: Topology) -> Evidence:
        """Mend it, and show that it is mended."""


@runtime_checkable
class Ending(Protocol):
    """An entry of the timeline that undoes an earlier fault of the kind ``ends`` on the same target."""

    @property
    def ends(self) -> str:
        """The kind of fault that it ends."""

    @property
    def target(self) -> str:
        """The part it concerns."""


def able(topology: Topology, name: str, ability: type[A]) -> A:
    """The part of that name, which must have the ability.

    Raises:
        UsageError: there is no such part, or it cannot do that.
    """
    for part in topology.replicas:
        if part.name == name:
            if isinstance(part, ability):
                return part
            raise UsageError(f"{name} is not {ability.__name__} on this backend")
    raise UsageError(f"there is no part {name!r} in this topology")
