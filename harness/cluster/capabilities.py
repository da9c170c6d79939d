"""The parts of a Topology, as small protocols; optional abilities are separate, so that a fault asks for just one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.common.errors import HarnessError


@dataclass(frozen=True)
class Evidence:
    """Whether an action is ``confirmed`` to have taken effect, and the facts, such as a pid or the new boot id."""

    confirmed: bool
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A replica as a balancer knows it: under its own name, or that of its pod.

    ``host_address`` is where the harness reaches it, if that address differs.
    """

    name: str
    host: str
    port: int
    host_address: tuple[str, int] | None = None

    @property
    def address_from_host(self) -> tuple[str, int]:
        """The host and port by which the harness reaches it."""
        return self.host_address or (self.host, self.port)


class NoSuchMemberError(HarnessError):
    """A balancer has no member of that name."""


@runtime_checkable
class Replica(Protocol):
    """One running copy of the target."""

    @property
    def name(self) -> str:
        """``r0``, ``r1``, ..."""

    @property
    def member(self) -> Member:
        """The address where it listens; a restart in place does not change it, another pod in its place does."""

    @property
    def boot(self) -> str:
        """The boot id of its last start that became ready."""

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""


@runtime_checkable
class Killable(Protocol):
    """Can be killed without warning and restarted in place."""

    async def kill(self) -> Evidence:
        """SIGKILL; return when the process is gone."""

    async def restart(self) -> Evidence:
        """Start again at the same address; return when it is ready. Confirmed without effect while it runs."""


@runtime_checkable
class Pausable(Protocol):
    """Can be stopped and continued."""

    async def pause(self) -> Evidence:
        """SIGSTOP or its equivalent."""

    async def resume(self) -> Evidence:
        """SIGCONT or its equivalent."""


@runtime_checkable
class Terminable(Protocol):
    """Can be asked to end gracefully."""

    async def terminate(self) -> Evidence:
        """SIGTERM; return when the process is gone."""


@runtime_checkable
class Retirable(Protocol):
    """Would be replaced if it was terminated, and can also end for good."""

    async def retire(self) -> Evidence:
        """SIGTERM, and nothing takes its place; return when it is gone."""


@runtime_checkable
class HasVolume(Protocol):
    """Has a volume that outlives its process."""

    async def lose_volume(self) -> Evidence:
        """Remove all that is on it, which no process may use: confirmed if nothing is left of it."""


@runtime_checkable
class Truncatable(Protocol):
    """Has a volume whose files can be damaged while its process is down."""

    async def tear_volume(self, cut: int) -> Evidence:
        """Cut ``cut`` bytes off the end of its newest file: confirmed if it is shorter, and the replica was down."""


@runtime_checkable
class Throttleable(Protocol):
    """Can be kept short of CPU time."""

    async def throttle(self, by: float) -> Evidence:
        """Stop it for ``by`` seconds, run it for a moment, and so on until ``unthrottle``."""

    async def unthrottle(self) -> Evidence:
        """Let it run freely again."""


@runtime_checkable
class Evictable(Protocol):
    """A store that drops data when its memory is full."""

    async def evict(self, share: float) -> Evidence:
        """Limit its memory so that it evicts about this share of its data: confirmed once it has evicted some."""

    async def unlimit(self) -> Evidence:
        """Lift the limit."""


@runtime_checkable
class HasLeader(Protocol):
    """A store of several servers, of which one leads or each holds a part."""

    async def kill_primary(self) -> Evidence:
        """SIGKILL the server that leads; return when it is gone. The facts give its name and its pid."""

    async def restart_primary(self) -> Evidence:
        """Start that server again. It follows if another one leads by now."""


@runtime_checkable
class Replicating(Protocol):
    """A store that replicates asynchronously, and whose replication can be interrupted."""

    async def cut_replication(self) -> Evidence:
        """Cut the followers off from all further writes; return when they are cut off."""

    async def restore_replication(self) -> Evidence:
        """Let the followers catch up."""


@runtime_checkable
class Reloadable(Protocol):
    """Can reload its configuration without ending."""

    async def reload(self) -> Evidence:
        """Reload; return when the new configuration is in use."""


@dataclass(frozen=True)
class Refusal:
    """A reply that the balancer made without contacting any upstream: the write ``op`` was not applied."""

    op: int
    reason: str


@dataclass(frozen=True)
class Keys:
    """The keys of a replica: the numbers of the signing key and of the accepted keys, and the ``id`` of the former."""

    signing: int
    accepted: tuple[int, ...]
    id: str


@runtime_checkable
class Rotatable(Protocol):
    """Signs its clients' tokens, with keys that can be replaced while it runs."""

    async def keys(self) -> Keys | None:
        """Return its keys; None if it reports none."""

    async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
        """Sign with this key and accept these; None if it does not confirm both."""


@dataclass(frozen=True)
class SlotUsage:
    """The total time for which a replica's slots were held since its start, at ``t``; both in seconds."""

    held_s: float
    slots: int
    t: float

    def since(self, before: "SlotUsage") -> float:
        """Return the share of its capacity that was in use since then."""
        return (self.held_s - before.held_s) / max(1e-9, (self.t - before.t) * self.slots)


@runtime_checkable
class ReportsLoad(Protocol):
    """Reports how busy it is."""

    async def load(self) -> SlotUsage | None:
        """Return its slot usage; None if its capacity is not emulated."""


@runtime_checkable
class Scalable(Protocol):
    """A topology whose number of replicas can change."""

    async def grow(self) -> Replica:
        """Start one more replica; return when it is ready. The balancer does not know it yet."""

    def forget(self, name: str) -> None:
        """Remove a replica that has ended for good."""


#: Does something to a node, given its name.
RunOnNode = Callable[[str], Awaitable[Evidence]]


class Orchestrated(Protocol):
    """Replicas that a controller keeps: it starts another one for each that ends."""

    async def restart(self) -> Evidence:
        """Begin to replace every replica; confirmed once the first one starts or ends, and over when all settle."""

    async def resize(self, replicas: int | None) -> Evidence:
        """Change their number; None: back to what it was. Confirmed once as many are ready.

        The facts are the seconds from the change until all had ``settled_s``, and the ``boots`` that ended, if any did.
        """

    async def drain(self, name: str) -> Evidence:
        """Evict the replicas on the node of this one: confirmed once all have to end."""

    async def uncordon(self, name: str) -> Evidence:
        """Wait until they run elsewhere, and let replicas onto that node again."""

    async def lose_node(self, cut: RunOnNode) -> Evidence:
        """Cut off a node with replicas and no other part: confirmed once none of them gets new connections.

        The facts are the ``node``, the ``boots`` there, and the seconds until it was held lost and each replica left.
        """

    async def regain_node(self, restore: RunOnNode) -> Evidence:
        """Bring back the node that is lost, if one is, and wait until all replicas are ready."""

    async def settle(self) -> Evidence:
        """Wait until as many replicas as there should be are ready, and no other is left."""


@runtime_checkable
class ReportsEnds(Protocol):
    """Replicas that commands of the user may end, and a controller then replaces."""

    async def break_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        """Run it. The facts are also the ``boots`` that have ended since, or have to, if any."""

    async def undo_by(self, command: Callable[[], Awaitable[Evidence]]) -> Evidence:
        """Run it and, if replicas have ended, wait until others have replaced them.

        The facts are also the ``boots`` that have ended since what it undoes, and by no other fault.
        """


@dataclass(frozen=True)
class ScalingRule:
    """What an autoscaler keeps: the replicas' mean CPU at ``cores``, with ``least`` to ``most`` of them.

    Only ``cooldown_s`` seconds after the figures begin to ask for fewer, it removes the first one.
    """

    cores: float
    least: int
    most: int
    cooldown_s: float


class ScaledReplica(Replica, Protocol):
    """A replica that an autoscaler adds and removes."""

    async def wait_until_gone(self, begin: float) -> Evidence:
        """Wait until it has ended; the facts are its boot id, and the seconds from ``begin`` to what followed."""


@dataclass(frozen=True)
class SizeChange:
    """What an autoscaler did at ``t`` (CLOCK_MONOTONIC, in seconds): it added a replica, or had one end for good."""

    replica: ScaledReplica
    added: bool
    t: float


@runtime_checkable
class PlatformAutoscaler(Protocol):
    """An autoscaler that is no part of the harness: it changes the number of replicas by itself."""

    async def begin(self, rule: ScalingRule) -> Evidence:
        """Give it a rule; confirmed once it has figures of the replicas' CPU."""

    async def end(self) -> Evidence:
        """Let the number of replicas be; confirmed once all of them are ready. Also called where it never began."""

    async def next_change(self, timeout_s: float) -> SizeChange | None:
        """What it did next, in the order of its actions; None if it does nothing in that time."""


@dataclass(frozen=True)
class DirectionState:
    """One direction of a link: ``pass`` data on, ``hold`` it until later, or ``drop`` it.

    Data that passes is delayed by ``latency`` seconds, and limited to ``rate`` bytes per second.
    """

    mode: str = "pass"
    latency: float = 0.0
    rate: float | None = None


@dataclass(frozen=True)
class LinkState:
    """What a link does in both directions. A link that is ``cut`` resets its connections and refuses new ones."""

    requests: DirectionState = field(default_factory=DirectionState)
    replies: DirectionState = field(default_factory=DirectionState)
    cut: bool = False


class Link(Protocol):
    """The connections between two parts, made so that a fault can reach them."""

    @property
    def name(self) -> str:
        """``balancer-r1``, ``r1-store``, ..."""

    async def set_state(self, state: LinkState) -> Evidence:
        """Change what it does. The facts are the ``connections`` concerned, and the bytes ``held`` and ``dropped``."""


class Balancer(Protocol):
    """A real load balancer that runs in front of the replicas."""

    @property
    def name(self) -> str:
        """``haproxy``, ``nginx``, ..."""

    @property
    def url(self) -> str:
        """The address for clients, without a trailing slash."""

    @property
    def pid(self) -> int | None:
        """Its (master) process, or None while it is down."""

    async def add(self, member: Member) -> None:
        """Give traffic to a member, without dropping connections."""

    async def remove(self, name: str) -> None:
        """Take a member out, without dropping connections to the others."""

    async def drain(self, name: str) -> None:
        """Send a member no new sessions."""

    async def states(self) -> Mapping[str, str]:
        """Return ``up``, ``down`` or ``drain`` for each member, as the balancer sees it; empty if it reports none."""

    def refusals(self) -> tuple[Refusal, ...]:
        """Read from its log the writes that it answered without contacting any upstream."""


class Store(Protocol):
    """A real server that holds state for the replicas."""

    @property
    def name(self) -> str:
        """``redis``, ``memcached``, ..."""

    @property
    def url(self) -> str:
        """The value of the target's option ``--store``."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of its running servers."""
