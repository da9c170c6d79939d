"""Faults of the connections between parts. A design has a proxy on such a link only where a fault needs it."""

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import DirectionState, Evidence, HasLeader, Link, LinkState
from harness.cluster.stores import store_of
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology, Reversible, check_replica, replica_of
from harness.scenario.design import Design

_NAME = re.compile(r"(?:balancer-r(\d+)|r(\d+)-store|store)")
_HOLD, _DROP = DirectionState("hold"), DirectionState("drop")


@dataclass(frozen=True)
class OnLink(Reversible):
    """What all faults of a link have in common.

    ``link`` is ``balancer-r1``, ``r1-store``, or ``store`` for the store's links to all replicas of the start.
    """

    link: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.link):
            raise UsageError(
                f"there is no link {self.link!r}", "such as balancer-r1, r1-store, or store for all of them"
            )

    @property
    def target(self) -> str:
        """The link's name."""
        return self.link

    @property
    @abstractmethod
    def state(self) -> LinkState:
        """What the link does while this lasts."""

    @property
    def links(self) -> str:
        """``balancer`` or ``store``: the group that the link belongs to."""
        return "balancer" if self.link.startswith("balancer") else "store"

    @property
    def _replica(self) -> int | None:
        """The replica's number; None where the link is that of all replicas."""
        digits = re.sub(r"\D", "", self.link)
        return int(digits) if digits else None

    def check(self, replicas: int) -> None:
        """Check that the link's replica exists.

        Raises:
            UsageError: it does not.
        """
        if self._replica is not None:
            check_replica(type(self).__name__, self._replica, replicas)

    def applies(self, design: Design) -> bool:
        """Whether the design has such a link; the servers of a store with a leader are reached without one."""
        store = store_of(design)
        return self.links == "balancer" or (store is not None and not issubclass(store, HasLeader))

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Put the link into this state; the evidence is the proxy's reply, with the connections concerned."""
        evidence = await self._set_state(topology, self.state)
        facts = dict(evidence.facts)
        if replica := replica_of(topology, f"r{self._replica}"):
            facts["replica"] = replica.name
            if self.links == "balancer":
                facts["boot"] = replica.boot
        return Evidence(evidence.confirmed, facts)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let everything pass again; the facts are the bytes that were held and dropped."""
        return await self._set_state(topology, LinkState())

    async def _set_state(self, topology: FaultTopology, state: LinkState) -> Evidence:
        replies = [await link.set_state(state) for link in self._links(topology)]
        counts = [key for key in ("connections", "held", "dropped") if all(key in reply.facts for reply in replies)]
        summed = {key: sum(int(reply.facts[key] or 0) for reply in replies) for key in counts}
        network = {key: value for key, value in replies[0].facts.items() if key == "network"}
        return Evidence(all(reply.confirmed for reply in replies), {**summed, **network})

    def _links(self, topology: FaultTopology) -> Sequence[Link]:
        links = [link for name, link in topology.links.items() if name == self.link or name.endswith(f"-{self.link}")]
        if not links:
            raise UsageError(f"there is no link {self.link!r} in this topology", "the design has no proxy there")
        return links


@dataclass(frozen=True)
class Partition(OnLink):
    """Nothing gets through in either direction; as with TCP, what was sent meanwhile arrives when it is healed."""

    kind: ClassVar[str] = "partition"

    @property
    def state(self) -> LinkState:
        """Both directions hold what arrives."""
        return LinkState(_HOLD, _HOLD)


@dataclass(frozen=True)
class HoldReplies(OnLink):
    """Requests arrive and are served; their replies arrive only when it is healed."""

    kind: ClassVar[str] = "stall"

    @property
    def state(self) -> LinkState:
        """Replies are held."""
        return LinkState(replies=_HOLD)


@dataclass(frozen=True)
class DropReplies(OnLink):
    """Requests arrive and are served; their replies never arrive: applied, but not acknowledged."""

    kind: ClassVar[str] = "unacknowledged"

    @property
    def state(self) -> LinkState:
        """Replies are dropped, and their connections reset when it is healed."""
        return LinkState(replies=_DROP)


@dataclass(frozen=True)
class ResetConnections(OnLink):
    """Every connection is reset, and none can be made."""

    kind: ClassVar[str] = "cut"

    @property
    def state(self) -> LinkState:
        """Cut: connections are reset and refused."""
        return LinkState(cut=True)


@dataclass(frozen=True)
class Latency(OnLink):
    """Every reply is delayed by ``by``."""

    by: str = "100ms"
    kind: ClassVar[str] = "latency"

    def __post_init__(self) -> None:
        super().__post_init__()
        if parse_seconds(self.by) <= 0:
            raise UsageError(f"Latency(by={self.by!r}) must be above 0")

    @property
    def state(self) -> LinkState:
        """Replies are delayed."""
        return LinkState(replies=DirectionState(latency=parse_seconds(self.by)))


@dataclass(frozen=True)
class Bandwidth(OnLink):
    """At most ``rate`` bytes per second in each direction of each connection."""

    rate: int = 10_000
    kind: ClassVar[str] = "bandwidth"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate <= 0:
            raise UsageError(f"Bandwidth(rate={self.rate}) must be above 0", "bytes per second")

    @property
    def state(self) -> LinkState:
        """Both directions are limited."""
        return LinkState(DirectionState(rate=self.rate), DirectionState(rate=self.rate))
