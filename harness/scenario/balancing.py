"""Balancing: how requests reach the replicas of a design."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.common.durations import parse_seconds
from harness.scenario.checks import check_types, require

#: Policies that choose a replica for each request.
SPREADING = ("round_robin", "least_connections")


#: Only TCP connections are balanced: all requests on one connection go to the same replica.
CONNECTION = "connection"
#: The balancer remembers, or the id itself says, which replica made the id in the cookie or the header ``key``.
FOLLOWING = ("learn_cookie", "learn_header", "header", "cookie_prefix", "cookie_route")
HASHING = ("hash_cookie", "hash_header", "modulo_header", "maglev_header")
#: Policies that keep a client, or its key, with one replica.
PINNING = ("cookie", *FOLLOWING, *HASHING, "source", CONNECTION)
POLICIES = SPREADING + PINNING
#: Policies whose stickiness can end after a time of its own.
LASTING = ("cookie", "learn_cookie", "learn_header")


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
        check_types(self)
        require(parse_seconds(self.interval) > 0, "a health check needs an interval above 0")
        require(self.fall >= 1 and self.rise >= 1, "fall and rise must be at least 1")


@dataclass(frozen=True)
class Balancing:
    """A balancer, its policy, and the settings that determine what a client sees when a replica dies.

    ``retries`` counts the attempts after a failed *connect* (safe for writes: nothing was sent). ``redispatch`` lets
    such a retry, or a request pinned to a dead replica, go to another replica. ``key`` is the cookie or header that a
    policy looks at. ``lasts`` is how long stickiness lasts: of a balancer's own cookie from its first reply, of a
    learned id from its last request. ``names`` makes the balancer add the name of the replica (``X-Replica``) if the
    service cannot. ``config`` is a configuration file of your own, with ``{bind}``, ``{name}`` and ``{address}`` in it
    (docs/balancers.md); then the file decides about everything but ``health``, which is how the harness asks.
    """

    policy: str = "round_robin"
    name: str = "auto"  # auto | haproxy | nginx | envoy | traefik | caddy | service (on Kubernetes)
    key: str = "session"
    health: Health = Health()
    retries: int = 1
    redispatch: bool = True
    names: bool = False
    lasts: str | None = None
    config: str | Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        require(self.policy in POLICIES, f"unknown balancing policy {self.policy!r}", f"one of {', '.join(POLICIES)}")
        if self.lasts is not None:
            require(self.policy in LASTING, f"{self.policy} has no lasts=", f"{', '.join(LASTING)} do")
            require(parse_seconds(self.lasts) >= 1, "stickiness must last for at least 1s", 'lasts="1h"')
        require(
            self.config is None or self.policy == "round_robin",
            f"a balancer with a configuration of your own has no policy {self.policy}: the file decides",
            'Balancing(config="haproxy.cfg")',
        )
        require(0 <= self.retries <= 10, "retries must lie between 0 and 10")

    @property
    def affinity(self) -> bool:
        """Whether all requests of a session go to one replica."""
        return self.policy in PINNING

    @property
    def lasts_s(self) -> float | None:
        """How long stickiness lasts, in seconds; None: as long as the client and the balancer do."""
        return None if self.lasts is None else parse_seconds(self.lasts)

    def located(self, base: Path) -> "Balancing":
        """The same with the path of its configuration resolved against ``base``."""
        return self if self.config is None else replace(self, config=(base / self.config).resolve())

    def describe_extras(self) -> dict[str, str | int | float]:
        """What few designs set, as plain values."""
        key = {"balanced_by": self.key} if self.policy in (*FOLLOWING, *HASHING) else {}
        lasts = {} if self.lasts_s is None else {"stickiness_lasts_s": self.lasts_s}
        config = {} if self.config is None else {"balancer_config": Path(self.config).name}
        return {**key, **lasts, **config}
