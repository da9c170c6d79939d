"""Designs: what a scenario compares."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.common.limits import UNLIMITED, Limits
from harness.scenario.balancing import Balancing
from harness.scenario.checks import check_types, require
from harness.scenario.kubernetes import Kubernetes, Running
from harness.scenario.services import BuiltIn, Target
from harness.scenario.termination import DEFAULT_TERMINATION, Termination


@dataclass(frozen=True)
class Design:
    """One of the things compared: a service, where it keeps its state, and the balancer in front of its replicas.

    ``target`` is the service: a ``BuiltIn``, or your own (``Command``, ``Image``, ``Compose``, ``Url``,
    ``Kubernetes``). ``at_risk`` is what the theory of the design predicts for a killed replica: ``victim`` (the
    sessions that it held are lost), ``none``, or ``None`` if there is no theory.
    """

    name: str
    target: Target | Kubernetes = BuiltIn()  # noqa: RUF009 - frozen
    balancing: Balancing = Balancing()
    replicas: int | None = None  # None: as many as the scenario says
    at_risk: str | None = None
    limits: Limits = UNLIMITED  # of each replica, on a backend that can enforce them
    links: tuple[str, ...] = ()  # balancer, store: put a proxy between it and the replicas, for faults on links
    termination: Termination = DEFAULT_TERMINATION  # of each pod, on Kubernetes

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.name.isidentifier(), f"a design's name must be one word, not {self.name!r}", "letters, digits and _"
        )
        require(self.replicas is None or self.replicas >= 1, "replicas must be at least 1")
        require(self.at_risk in (None, "none", "victim"), f"at_risk must be none, victim or None, not {self.at_risk!r}")
        require(set(self.links) <= {"balancer", "store"}, f"links must be balancer or store, not {self.links!r}")

    def describe(self) -> dict[str, str | int | float]:
        """The design as plain values, for run.json and the report."""
        if isinstance(self.target, Running):
            return self.target.describe()
        return {
            **self.target.describe(),
            "policy": self.balancing.policy,
            "balancer": self.balancing.name,
            "retries": self.balancing.retries,
            "redispatch": self.balancing.redispatch,
            "health_interval_s": parse_seconds(self.balancing.health.interval),
            "health_fall": self.balancing.health.fall,
            "replicas": self.replicas or 0,
            "at_risk": self.at_risk or "unstated",
            "links": ", ".join(self.links),
            **self.balancing.describe_extras(),
            **self.limits.describe(),
            **self.termination.describe(),
        }
