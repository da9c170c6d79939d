"""What a fault is made of. Its undo is not optional: the timeline holds it in a scope."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from harness.cluster.capabilities import Balancer, Evidence, Link, Replica, Store
from harness.common.errors import HarnessError, UsageError
from harness.scenario.design import Design
from harness.scenario.faults import At

BALANCER, STORE = "balancer", "store"
_UP_TIMEOUT_S = 5.0  # seconds in which a balancer has to hold a replica for up that answers
_POLL_INTERVAL_S = 0.02


class FaultTopology(Protocol):
    """As much of a topology as a fault may touch."""

    @property
    def replicas(self) -> Sequence[Replica]:
        """The replicas, by number."""

    @property
    def balancer(self) -> Balancer:
        """What stands in front of them."""

    @property
    def store(self) -> Store | None:
        """Where they keep their state, if not in themselves."""

    @property
    def links(self) -> Mapping[str, Link]:
        """The connections that a fault can reach, by name."""


A = TypeVar("A")


@runtime_checkable
class Reversible(Protocol):
    """A fault that breaks something until it is undone."""

    @property
    def kind(self) -> str:
        """Its name in files and reports."""

    @property
    def target(self) -> str:
        """The part it concerns."""

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Break it, and show that it is broken."""

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Mend it, and show that it is mended; also where ``inject`` did not come to its end."""


@runtime_checkable
class Instantaneous(Protocol):
    """A fault that is over when it is done, such as a reload: its undo follows at once."""

    @property
    def passes(self) -> bool:
        """True."""


@runtime_checkable
class Conditional(Protocol):
    """A fault that concerns only designs that have what it breaks."""

    def applies(self, design: Design) -> bool:
        """Whether this one has; without it, the design's arm goes without the fault."""


@runtime_checkable
class Revert(Protocol):
    """An entry of the timeline that undoes an earlier fault of the kind ``ends`` on the same target."""

    @property
    def ends(self) -> str:
        """The kind of fault that it ends."""

    @property
    def target(self) -> str:
        """The part it concerns."""


@runtime_checkable
class Observation(Protocol):
    """A step that breaks nothing: it looks at the topology, so that the steps after it can depend on what is seen."""

    async def look(self, topology: FaultTopology) -> None:
        """Look, and remember."""


@runtime_checkable
class Compound(Protocol):
    """A fault made of others, which follow one another."""

    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """Its steps, at times counted from its beginning; each waits for the one before it."""


@dataclass(frozen=True)
class OnReplica:
    """What all faults of one replica have in common."""

    replica: int
    kind: ClassVar[str]

    @property
    def target(self) -> str:
        """The replica's name."""
        return f"r{self.replica}"

    def check(self, replicas: int) -> None:
        """The replica exists.

        Raises:
            UsageError: it does not.
        """
        check_replica(type(self).__name__, self.replica, replicas)


def check_replica(kind: str, replica: int, replicas: int) -> None:
    """A topology of this size has this replica.

    Raises:
        UsageError: it has not.
    """
    if not 0 <= replica < replicas:
        raise UsageError(
            f"{kind}(replica={replica}): there are {replicas} replicas, r0 to r{replicas - 1}",
            "choose one of them, or raise --replicas",
        )


@dataclass(frozen=True)
class Heal:
    """The end of any fault before the run's end: its undo, at a time of its own."""

    fault: Reversible
    kind: ClassVar[str] = "heal"

    @property
    def target(self) -> str:
        """That of the fault."""
        return self.fault.target

    @property
    def ends(self) -> str:
        """The kind of the fault."""
        return self.fault.kind

    def check(self, replicas: int) -> None:
        """Nothing of its own: the fault before it is checked."""

    def applies(self, design: Design) -> bool:
        """Where the fault does."""
        return not isinstance(self.fault, Conditional) or self.fault.applies(design)


def require_capability(topology: FaultTopology, name: str, ability: type[A]) -> A:
    """The part of that name (``balancer`` and ``store`` are names too), which must have the ability.

    Raises:
        UsageError: there is no such part, or it cannot do that.
    """
    part = _part(topology, name)
    if part is None:
        raise UsageError(f"there is no part {name!r} in this topology")
    if not isinstance(part, ability):
        raise UsageError(f"{name} is not {ability.__name__} on this backend")
    return part


def _part(topology: FaultTopology, name: str) -> object | None:
    if name == BALANCER:
        return topology.balancer
    if name == STORE:
        return topology.store
    return next((replica for replica in topology.replicas if replica.name == name), None)


def replica_of(topology: FaultTopology, name: str) -> Replica | None:
    """The replica of that name; None where it is not, or no longer, part of the topology."""
    return next((replica for replica in topology.replicas if replica.name == name), None)


async def wait_until_member_up(topology: FaultTopology, name: str) -> bool:
    """Wait until the balancer holds a member for up; whether it did in time. True where it does not tell."""
    give_up = time.monotonic() + _UP_TIMEOUT_S
    while not await _holds_up(topology, name):
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(_POLL_INTERVAL_S)
    return True


async def _holds_up(topology: FaultTopology, name: str) -> bool:
    try:
        states = await topology.balancer.states()
    except HarnessError:  # one that takes its configuration up anew may not answer for a moment
        return False
    return not states or states.get(name) == "up"
