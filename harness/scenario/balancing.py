"""TODO: harness.scenario.balancing."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario.checks import require

#: Those that choose a replica for each request; then those that keep a client, or its key, with one.
SPREADING = ("round_robin", "least_connections")


CONNECTION = "connection"  # TCP alone is balanced: whatever comes on one connection goes to one replica


PINNING = ("cookie", "hash_cookie", "hash_header", "modulo_header", "maglev_header", "source", CONNECTION)


POLICIES = SPREADING + PINNING


@dataclass(frozen=True)
class Health:
    """How a balancer learns of a death: ``fall`` failures in a row, ``interval`` apart; ``rise`` successes undo it.

    ``path`` is what it asks for, well with 200 to 399; None: an open port is enough. A target of the user's own says
    it (``ready``).
    """

    interval: str = "500ms"
    fall: int = 2
    rise: int = 1
    path: str | None = "/healthz"

    def __post_init__(self) -> None:
        require(parse_seconds(self.interval) > 0, "a health check needs an interval above 0")
        require(self.fall >= 1 and self.rise >= 1, "fall and rise are at least 1")


@dataclass(frozen=True)
class Balancing:
    """A balancer and its policy, with all that decides what a client sees when a replica dies.

    ``retries`` are tries after a failed *connect* (safe for writes: nothing was sent); ``redispatch`` lets such a
    retry, and a request pinned to a dead replica, go to another one. ``key`` names the hash policies' cookie or header.
    ``names`` has the balancer tell who answered (``X-Replica``), where a target of the user's own cannot.
    """

    policy: str = "round_robin"
    name: str = "auto"  # auto | haproxy | nginx | envoy | traefik | caddy
    key: str = "session"
    health: Health = Health()
    retries: int = 1
    redispatch: bool = True
    names: bool = False

    def __post_init__(self) -> None:
        require(self.policy in POLICIES, f"unknown balancing policy {self.policy!r}", f"one of {', '.join(POLICIES)}")
        require(0 <= self.retries <= 10, "retries lie between 0 and 10")

    @property
    def affinity(self) -> bool:
        """Whether one session's requests go to one replica."""
        return self.policy in PINNING
