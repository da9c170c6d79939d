"""What befalls the connections between parts. A design has a proxy on such a link only where a fault needs it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import DirectionState, Evidence, HasLeader, Link, LinkState
from harness.cluster.stores import store_of
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology, check_replica, replica_of
from harness.scenario.design import Design

_NAME = re.compile(r"(?:balancer-r(\d+)|r(\d+)-store|store)")
_HOLD, _DROP = DirectionState("hold"), DirectionState("drop")


@dataclass(frozen=True)
class OnLink:
    """What all faults of a link have in common.

    ``link`` is ``balancer-r1``, ``r1-store``, or ``store`` for the store's links to all replicas there were at first.
    """

    link: str
    kind: ClassVar[str]

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
    def condition(self) -> LinkState:
        """What the link does while this lasts."""
        raise NotImplementedError

    @property
    def links(self) -> str:
        """The group of links that a design needs for this: ``balancer`` or ``store``."""
        return "balancer" if self.link.startswith("balancer") else "store"

    @property
    def _number(self) -> int | None:
        """The replica's, where the link is that of one."""
        digits = re.sub(r"\D", "", self.link)
        return int(digits) if digits else None

    def check(self, replicas: int) -> None:
        """The link's replica exists.

        Raises:
            UsageError: it does not.
        """
        if self._number is not None:
            check_replica(type(self).__name__, self._number, replicas)

    def applies(self, design: Design) -> bool:
        """Whether the design has such a link; the servers of a store that is led are found by names of their own."""
        store = store_of(design)
        return self.links == "balancer" or (store is not None and not issubclass(store, HasLeader))

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Make it so; the evidence is the proxy's word, with the connections concerned."""
        evidence = await self._told(topology, self.condition)
        replica = replica_of(topology, f"r{self._number}")
        named = {"replica": replica.name} if replica is not None else {}
        state = {"boot": replica.boot} if replica is not None and self.links == "balancer" else {}
        return Evidence(evidence.confirmed, {**evidence.facts, **named, **state})

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let everything pass again; the facts tell what was held and dropped."""
        return await self._told(topology, LinkState())

    async def _told(self, topology: FaultTopology, condition: LinkState) -> Evidence:
        told = [await link.set_state(condition) for link in self._links(topology)]
        counts = [key for key in ("connections", "held", "dropped") if all(key in one.facts for one in told)]
        summed = {key: sum(int(one.facts[key] or 0) for one in told) for key in counts}
        others = {key: told[0].facts[key] for key in told[0].facts if key == "network"}
        return Evidence(all(one.confirmed for one in told), {**summed, **others})

    def _links(self, topology: FaultTopology) -> Sequence[Link]:
        found = [link for name, link in topology.links.items() if name == self.link or name.endswith(f"-{self.link}")]
        if not found:
            raise UsageError(f"there is no link {self.link!r} in this topology", "the design has no proxy there")
        return found


@dataclass(frozen=True)
class Partition(OnLink):
    """Nothing gets through in either direction; what was sent meanwhile arrives when it is healed, as TCP has it."""

    kind: ClassVar[str] = "partition"

    @property
    def condition(self) -> LinkState:
        """Both directions hold what comes."""
        return LinkState(_HOLD, _HOLD)


@dataclass(frozen=True)
class HoldReplies(OnLink):
    """Requests arrive and are done; the replies come only when it is healed."""

    kind: ClassVar[str] = "stall"

    @property
    def condition(self) -> LinkState:
        """Replies are held."""
        return LinkState(replies=_HOLD)


@dataclass(frozen=True)
class DropReplies(OnLink):
    """Requests arrive and are done; their replies never come: applied, but not acknowledged."""

    kind: ClassVar[str] = "unacknowledged"

    @property
    def condition(self) -> LinkState:
        """Replies are dropped, and their connections reset when it is healed."""
        return LinkState(replies=_DROP)


@dataclass(frozen=True)
class ResetConnections(OnLink):
    """Every connection is reset, and none can be made."""

    kind: ClassVar[str] = "cut"

    @property
    def condition(self) -> LinkState:
        """Cut."""
        return LinkState(cut=True)


@dataclass(frozen=True)
class Latency(OnLink):
    """Every reply is late by ``by``."""

    by: str = "100ms"
    kind: ClassVar[str] = "latency"

    def __post_init__(self) -> None:
        super().__post_init__()
        if parse_seconds(self.by) <= 0:
            raise UsageError(f"Latency(by={self.by!r}) must be above 0")

    @property
    def condition(self) -> LinkState:
        """Replies are late."""
        return LinkState(replies=DirectionState(latency=parse_seconds(self.by)))


@dataclass(frozen=True)
class Bandwidth(OnLink):
    """At most so many bytes a second in each direction of each connection."""

    rate: int = 10_000
    kind: ClassVar[str] = "bandwidth"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate <= 0:
            raise UsageError(f"Bandwidth(rate={self.rate}) must be above 0", "bytes a second")

    @property
    def condition(self) -> LinkState:
        """Both directions are narrow."""
        return LinkState(DirectionState(rate=self.rate), DirectionState(rate=self.rate))
