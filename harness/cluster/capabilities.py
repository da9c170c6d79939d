"""What a Topology is made of, as small protocols; optional abilities stand apart, so that a fault asks for just one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Evidence:
    """What shows that a deed took effect: ``landed`` and the facts, such as the pid that is gone or the new boot id."""

    confirmed: bool
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A replica as a balancer knows it. ``door`` is where the harness reaches it, if that is another address."""

    name: str
    host: str
    port: int
    host_address: tuple[str, int] | None = None

    @property
    def address_from_host(self) -> tuple[str, int]:
        """Host and port as the harness reaches it."""
        return self.host_address or (self.host, self.port)


@runtime_checkable
class Replica(Protocol):
    """One running copy of the target."""

    @property
    def name(self) -> str:
        """``r0``, ``r1``, ..."""

    @property
    def member(self) -> Member:
        """Where it listens; the same before and after a restart in place."""

    @property
    def boot(self) -> str:
        """The boot id of its last start that became ready."""

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""


@runtime_checkable
class Killable(Protocol):
    """Can be ended without warning and brought back in place."""

    async def kill(self) -> Evidence:
        """SIGKILL; returns when the process is gone."""

    async def restart(self) -> Evidence:
        """Start again on the same address; returns when it is ready. A no-op with ``landed`` where it runs."""


@runtime_checkable
class Pausable(Protocol):
    """Can be frozen and thawed."""

    async def pause(self) -> Evidence:
        """SIGSTOP or its like."""

    async def resume(self) -> Evidence:
        """SIGCONT or its like."""


@runtime_checkable
class Terminable(Protocol):
    """Can be asked to end, and does so in its own time."""

    async def terminate(self) -> Evidence:
        """SIGTERM; returns when the process is gone."""


@runtime_checkable
class HasVolume(Protocol):
    """Has a volume, which outlives its process; what befalls that is done while it is down."""

    async def lose_volume(self) -> Evidence:
        """Empty it: landed when nothing is there any more, and the replica was down."""

    async def tear_volume(self, cut: int) -> Evidence:
        """Cut ``cut`` bytes off the end of its newest file: landed when it is shorter, and the replica was down."""


@runtime_checkable
class Throttleable(Protocol):
    """Can be kept short of CPU."""

    async def throttle(self, by: float) -> Evidence:
        """Stand still for ``by`` seconds, run for a moment, and so on until ``quicken``."""

    async def unthrottle(self) -> Evidence:
        """Run freely again."""


@runtime_checkable
class Evictable(Protocol):
    """A store that drops data where its memory ends."""

    async def evict(self, share: float) -> Evidence:
        """Limit its memory so that about this share of its data has to go: landed once some has gone."""

    async def unlimit(self) -> Evidence:
        """Lift the limit."""


@runtime_checkable
class HasLeader(Protocol):
    """A store of several servers of which one leads, or each holds a part."""

    async def kill_primary(self) -> Evidence:
        """SIGKILL to the server that leads; returns when it is gone. The facts say which, and its pid."""

    async def restart_primary(self) -> Evidence:
        """Start that server again: it follows, where another leads by now."""


@runtime_checkable
class Replicating(Protocol):
    """A store whose leader tells the others of its writes after it has acknowledged them, and can be kept from it."""

    async def cut_replication(self) -> Evidence:
        """From now on the others hear of no write; returns when they are cut off."""

    async def restore_replication(self) -> Evidence:
        """Let them catch up."""


@runtime_checkable
class Reloadable(Protocol):
    """Can take up its configuration anew without ending."""

    async def reload(self) -> Evidence:
        """Returns when the new configuration serves."""


@dataclass(frozen=True)
class Refusal:
    """A reply that the balancer made without having contacted any upstream: the write ``op`` was not applied."""

    op: int
    reason: str


@dataclass(frozen=True)
class Keys:
    """What a replica tells of its keys: by number, which signs and which are accepted, and the signing one's ``id``."""

    signing: int
    accepted: tuple[int, ...]
    id: str


@runtime_checkable
class Rotatable(Protocol):
    """Signs what its clients hold, with keys that can be replaced while it runs."""

    async def keys(self) -> Keys | None:
        """Its keys; None where it tells none."""

    async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
        """Sign with this key and accept these; None where it does not say that it does."""


@dataclass(frozen=True)
class SlotUsage:
    """How long a replica's slots were held since its start, all together, at ``t``: both in seconds."""

    held_s: float
    slots: int
    t: float

    def since(self, before: "SlotUsage") -> float:
        """The share of its capacity in use since then."""
        return (self.held_s - before.held_s) / max(1e-9, (self.t - before.t) * self.slots)


@runtime_checkable
class ReportsLoad(Protocol):
    """Tells how busy it is."""

    async def load(self) -> SlotUsage | None:
        """None where its capacity is not emulated."""


@runtime_checkable
class Scalable(Protocol):
    """A topology whose number of replicas can change."""

    async def grow(self) -> Replica:
        """Start one replica more; returns when it is ready. The balancer does not know it yet."""

    def forget(self, name: str) -> None:
        """A replica has ended for good: it is no longer waited for."""


@dataclass(frozen=True)
class DirectionState:
    """One direction of a link: ``pass`` what comes, ``hold`` it until later, or ``drop`` it.

    What passes is late by ``latency`` seconds, and at most ``rate`` bytes a second.
    """

    mode: str = "pass"
    latency: float = 0.0
    rate: float | None = None


@dataclass(frozen=True)
class LinkState:
    """What a link does in both directions; one that is ``cut`` resets its connections and refuses new ones."""

    requests: DirectionState = field(default_factory=DirectionState)
    replies: DirectionState = field(default_factory=DirectionState)
    cut: bool = False


class Link(Protocol):
    """The connections between two parts, where a fault can reach them."""

    @property
    def name(self) -> str:
        """``balancer-r1``, ``r1-store``, ..."""

    async def set_state(self, condition: LinkState) -> Evidence:
        """From now on be so; the facts are the ``connections`` concerned, and the bytes ``held`` and ``dropped``."""


class Balancer(Protocol):
    """A real load balancer, up and in front of the replicas."""

    @property
    def name(self) -> str:
        """``haproxy``, ``nginx``, ..."""

    @property
    def url(self) -> str:
        """Where clients go, without a trailing slash."""

    @property
    def pid(self) -> int | None:
        """Its (master) process, or None while it is down."""

    async def add(self, member: Member) -> None:
        """Let a member take traffic, without dropping connections."""

    async def remove(self, name: str) -> None:
        """Take a member out, without dropping connections to the others."""

    async def drain(self, name: str) -> None:
        """Send a member no new sessions."""

    async def states(self) -> Mapping[str, str]:
        """``up`` or ``down`` or ``drain`` a member, as the balancer believes it. Empty where it does not tell."""

    def refusals(self) -> tuple[Refusal, ...]:
        """From its log: writes that it answered itself, having contacted no upstream."""


class Store(Protocol):
    """A real server that holds state for the replicas."""

    @property
    def name(self) -> str:
        """``redis``, ``memcached``, ..."""

    @property
    def url(self) -> str:
        """What the target gets as ``--store``."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of its servers that are up."""
