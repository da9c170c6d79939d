"""What a fault does to a running topology. Its undo is not optional: the timeline undoes what is left at its end."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from harness.cluster.capabilities import Balancer, Evidence, Link, Orchestrated, PlatformAutoscaler, Replica, Store
from harness.common.errors import HarnessError, UntrustedError, UsageError
from harness.common.waiting import wait_until
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault

BALANCER, STORE, WORKLOAD = "balancer", "store", "workload"
_UP_TIMEOUT_S = 5.0  # in which a balancer has to consider a replica up that answers
_POLL_INTERVAL_S = 0.02


class FaultTopology(Protocol):
    """As much of a topology as a fault may touch."""

    @property
    def replicas(self) -> Sequence[Replica]:
        """The replicas, by number."""

    @property
    def balancer(self) -> Balancer:
        """The balancer in front of them."""

    @property
    def store(self) -> Store | None:
        """Where they keep their state, if not in themselves."""

    @property
    def links(self) -> Mapping[str, Link]:
        """The connections that a fault can reach, by name."""

    @property
    def workload(self) -> Orchestrated | None:
        """The workload of Kubernetes that keeps the replicas, if one does."""

    @property
    def autoscaler(self) -> PlatformAutoscaler | None:
        """What can scale the replicas by their CPU without the harness, if anything can."""


A = TypeVar("A")


class Reversible(Fault):
    """A fault that breaks something until it is undone; one that ``passes`` is undone at once."""

    @property
    def begun(self) -> float | None:
        """When others began it, in seconds of CLOCK_MONOTONIC; None if it begins with ``inject``."""
        return None

    @abstractmethod
    async def inject(self, topology: FaultTopology) -> Evidence:
        """Break it; returns the evidence that it is broken."""

    @abstractmethod
    async def undo(self, topology: FaultTopology) -> Evidence:
        """Repair it; returns the evidence that it is repaired. Also called where ``inject`` was interrupted."""


class Observation(Fault):
    """A step that breaks nothing: it looks at the topology, so that the steps after it can depend on the result."""

    @abstractmethod
    async def look(self, topology: FaultTopology) -> None:
        """Look, and remember the result."""


class Compound(Fault):
    """A fault made of others, which follow one another."""

    @abstractmethod
    def steps(self, topology: FaultTopology) -> Iterable[At]:
        """Its steps, at times counted from its beginning; each waits for the one before it."""


@dataclass(frozen=True)
class OnReplica(Fault):
    """What all faults of one replica have in common."""

    replica: int

    @property
    def target(self) -> str:
        """The replica's name."""
        return f"r{self.replica}"

    def check(self, replicas: int) -> None:
        """Check that the replica exists.

        Raises:
            UsageError: it does not.
        """
        check_replica(type(self).__name__, self.replica, replicas)


def check_replica(kind: str, replica: int, replicas: int) -> None:
    """Check that a topology of this size has this replica.

    Raises:
        UsageError: it does not.
    """
    if not 0 <= replica < replicas:
        raise UsageError(
            f"{kind}(replica={replica}): there are {replicas} replicas, r0 to r{replicas - 1}",
            "choose one of them, or raise --replicas",
        )


@dataclass(frozen=True)
class Heal(Fault):
    """The end of any fault before the end of the run: its undo, at a time of its own."""

    fault: Fault
    kind: ClassVar[str] = "heal"

    @property
    def target(self) -> str:
        """The target of the fault."""
        return self.fault.target

    @property
    def ends(self) -> str:
        """The kind of the fault."""
        return self.fault.kind

    @property
    def external(self) -> bool:
        """As the fault."""
        return self.fault.external

    def applies(self, design: Design) -> bool:
        """Where the fault does."""
        return self.fault.applies(design)


def require_capability(topology: FaultTopology, name: str, ability: type[A]) -> A:
    """The part of that name (``balancer`` and ``store`` are names too), which must have the ability.

    Raises:
        UsageError: there is no such part, or it cannot do that.
        UntrustedError: there is no such replica any more: others can make a workload smaller.
    """
    shared = {BALANCER: topology.balancer, STORE: topology.store}
    part = shared[name] if name in shared else replica_of(topology, name)
    if part is None and name not in shared:
        left = ", ".join(replica.name for replica in topology.replicas) or "none"
        raise UntrustedError(f"there is no {name}; the replicas are {left}")
    if part is None:
        raise UsageError(f"there is no part {name!r} in this topology")
    if not isinstance(part, ability):
        raise UsageError(f"{name} is not {ability.__name__} on this backend")
    return part


def require_workload(topology: FaultTopology) -> Orchestrated:
    """The workload that keeps the replicas.

    Raises:
        UsageError: there is none.
    """
    if topology.workload is None:
        raise UsageError("no workload of Kubernetes keeps these replicas", 'Kubernetes("deployment/shop")')
    return topology.workload


def replica_of(topology: FaultTopology, name: str) -> Replica | None:
    """The replica of that name; None where it is not, or no longer, part of the topology."""
    return next((replica for replica in topology.replicas if replica.name == name), None)


async def wait_until_member_up(topology: FaultTopology, name: str) -> bool:
    """Wait until the balancer considers a replica up; whether it did in time. True where it does not report that."""

    async def is_up() -> bool:
        try:
            states = await topology.balancer.states()
        except HarnessError:  # a balancer that reloads its configuration may not answer for a moment
            return False
        replica = replica_of(topology, name)
        return not states or (replica is not None and states.get(replica.member.name) == "up")

    return await wait_until(is_up, _UP_TIMEOUT_S, _POLL_INTERVAL_S)
