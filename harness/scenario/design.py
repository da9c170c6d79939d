"""TODO: harness.scenario.design."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.common.durations import parse_seconds
from harness.common.limits import UNLIMITED, Limits
from harness.scenario.balancing import Balancing
from harness.scenario.checks import _require
from harness.scenario.parts import _check_part
from harness.scenario.services import Target, Url


@dataclass(frozen=True)
class Design:
    """One thing compared: an app, where its state lives, a balancer and its policy.

    ``target`` is a service of the user's own in place of the built-in one, of which app, state, service time, slots and
    options speak. ``options`` reach that as ``--option key=value`` (a state's or an app's own settings). ``at_risk`` is
    the design's theory of a killed replica: ``victim`` (the sessions it held), ``none``, or ``None`` where it has none.
    """

    name: str
    app: str = "cart"
    state: str = "memory"
    balancing: Balancing = Balancing()
    replicas: int | None = None  # None: the scenario's
    service_time: str = "0s"
    slots: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    at_risk: str | None = None
    target: Target | None = None  # None: the built-in one
    limits: Limits = UNLIMITED  # of each replica, on a backend that keeps it to them
    links: tuple[str, ...] = ()  # balancer, store: where a proxy lies between it and the replicas, for faults of links

    def __post_init__(self) -> None:
        _require(self.name.isidentifier(), f"a design's name is one word, not {self.name!r}", "letters, digits and _")
        _require(self.replicas is None or self.replicas >= 1, "replicas must be at least 1")
        _require(
            parse_seconds(self.service_time) >= 0 and self.slots >= 1, "service_time is not negative, slots at least 1"
        )
        _require(self.at_risk in (None, "none", "victim"), f"at_risk is none, victim or None, not {self.at_risk!r}")
        _require(set(self.links) <= {"balancer", "store"}, f"links are balancer and store, not {self.links!r}")
        if self.target is not None and not isinstance(self.target, Url) and self.target.store is not None:
            _check_part("store", self.target.store)
        if self.target is None:
            _check_part("app", self.app)
            _check_part("state", self.state)

    def describe(self) -> dict[str, str | int | float]:
        """The design in plain values, for run.json and the report."""
        if isinstance(self.target, Url):
            return self.target.describe()
        built_in: dict[str, str | int | float] = {
            "app": self.app,
            "state": self.state,
            "service_time_s": parse_seconds(self.service_time),
            "slots": self.slots,
            **{f"option_{key}": value for key, value in self.options.items()},
        }
        return {
            **(self.target.describe() if self.target else built_in),
            "policy": self.balancing.policy,
            "balancer": self.balancing.name,
            "retries": self.balancing.retries,
            "redispatch": self.balancing.redispatch,
            "health_interval_s": parse_seconds(self.balancing.health.interval),
            "health_fall": self.balancing.health.fall,
            "replicas": self.replicas or 0,
            "at_risk": self.at_risk or "unstated",
            "links": ", ".join(self.links),
            **self.limits.describe(),
        }
