"""Balancing: how requests reach the replicas of a design."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario.checks import require

#: Policies that choose a replica for each request.
SPREADING = ("round_robin", "least_connections")


#: Only TCP connections are balanced: all requests on one connection go to the same replica.
CONNECTION = "connection"
#: Policies that keep a client, or its key, with one replica.
PINNING = ("cookie", "hash_cookie", "hash_header", "modulo_header", "maglev_header", "source", CONNECTION)
POLICIES = SPREADING + PINNING


@dataclass(frozen=True)
class Health:
    """How a balancer notices that a replica died: ``fall`` failed checks in a row, ``interval`` apart.

    After ``rise`` successful checks the replica is up again. A check requests ``path`` and expects a status from 200 to
    399; if ``path`` is None, an open port is enough. For your own service the path is its ``ready``.
    """

    interval: str = "500ms"
    fall: int = 2
    rise: int = 1
    path: str | None = "/healthz"

    def __post_init__(self) -> None:
        require(parse_seconds(self.interval) > 0, "a health check needs an interval above 0")
        require(self.fall >= 1 and self.rise >= 1, "fall and rise must be at least 1")


@dataclass(frozen=True)
class Balancing:
    """A balancer, its policy, and the settings that determine what a client sees when a replica dies.

    ``retries`` counts the attempts after a failed *connect* (safe for writes: nothing was sent). ``redispatch`` lets
    such a retry, or a request pinned to a dead replica, go to another replica. ``key`` is the cookie or header of the
    hash policies. ``names`` makes the balancer add the name of the replica (``X-Replica``) if the service cannot.
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
        require(0 <= self.retries <= 10, "retries must lie between 0 and 10")

    @property
    def affinity(self) -> bool:
        """Whether all requests of a session go to one replica."""
        return self.policy in PINNING
