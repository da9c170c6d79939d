"""What the command line changes in a scenario."""

from dataclasses import dataclass, replace

from harness.common.limits import UNLIMITED, Limits
from harness.scenario.checks import check_types, require
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
from harness.scenario.design import Design
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.expectations.thresholds import Threshold
from harness.scenario.kubernetes import Kubernetes, Running
from harness.scenario.quick import quick_form
from harness.scenario.scenario import Scenario
from harness.scenario.services import Url
from harness.scenario.workload import Load, Requests, Sessions


@dataclass(frozen=True)
class Overrides:
    """The options of ``harness run`` that change a scenario; None keeps the value in the file."""

    designs: tuple[str, ...] = ()
    replicas: int | None = None
    balancer: str | None = None
    users: int | None = None
    rate: float | None = None
    duration: str | None = None
    seed: int | None = None
    quick: bool = False
    repeat: int = 1
    allow_hosts: tuple[str, ...] = ()
    drivers: DriverProcesses = ONE_PROCESS
    backend: str = "process"
    limits: Limits = UNLIMITED
    expect: tuple[Threshold, ...] = ()  # in addition to the scenario's own
    access: ClusterAccess = DEFAULT_ACCESS

    def __post_init__(self) -> None:
        check_types(self)
        require(
            1 <= self.repeat <= 1000,
            "repeat must be at least 1, and at most 1,000",
            "--repeat 3 runs everything three times",
        )
        require(self.users is None or self.users >= 1, "users must be at least 1")
        require(self.rate is None or self.rate > 0, "a rate must be above 0")
        require(
            not self.drivers.inside or self.backend == "kubernetes",
            "only on Kubernetes a load comes from inside the cluster",
            "--backend kubernetes",
        )

    def apply(self, scenario: Scenario) -> Scenario:
        """The scenario as it will run.

        Raises:
            UsageError: the changed scenario is not valid.
        """
        chosen = quick_form(scenario) if self.quick else scenario
        chosen = chosen.only(self.designs) if self.designs else chosen
        self._require_allowed_hosts(chosen)
        for design in chosen.designs if self.drivers.inside else ():
            self._require_inside(design)
        return replace(
            chosen,
            designs=tuple(self._change_design(design) for design in chosen.designs),
            replicas=chosen.replicas if self.replicas is None else self.replicas,
            load=self._change_load(chosen.load),
            seed=chosen.seed if self.seed is None else self.seed,
            expect=(*chosen.expect, *self.expect),
        )

    def _require_allowed_hosts(self, scenario: Scenario) -> None:
        for design in scenario.designs:
            for host in design.target.foreign_hosts if isinstance(design.target, Running) else ():
                require(
                    host in self.allow_hosts,
                    f"{design.name} would load {host}, which is not this machine",
                    f"if you may load it: --allow-host {host}",
                )

    def _require_inside(self, design: Design) -> None:
        """Check that a load from pods finds a design in its own cluster."""
        target = design.target
        require(
            not isinstance(target, Url),
            f"{design.name} is not in the cluster that its load would come from",
            "leave --load-inside out",
        )
        if isinstance(target, Kubernetes):
            require(
                target.url is None, f"{design.name}: a load from pods goes to the Service itself", "leave its URL out"
            )
            require(
                target.context is None or self.access.context is not None,
                f"{design.name} is in the cluster {target.context}, and the pods of its load may be in another one",
                f"--context {target.context}",
            )

    def _change_design(self, design: Design) -> Design:
        size = design.replicas if self.replicas is None else self.replicas
        name = design.balancing.name if self.balancer is None else self.balancer
        limits = self.limits if self.limits.any else design.limits
        target = design.target
        if isinstance(target, Kubernetes):
            target = replace(target, context=self.access.context or target.context)
        balancing = replace(design.balancing, name=name)
        return replace(design, target=target, replicas=size, balancing=balancing, limits=limits)

    def _change_load(self, load: Load) -> Load:
        duration = load.duration if self.duration is None else self.duration
        if self.rate is not None and isinstance(load, Sessions):
            return Requests(self.rate, load.concurrent or 200, duration, load.warmup, load.arrivals)
        if isinstance(load, Requests):
            sessions = load.sessions if self.users is None else self.users
            return replace(load, rate=self.rate or load.rate, sessions=sessions, duration=duration)
        if self.users is not None:
            return replace(load, concurrent=self.users, rate=None, duration=duration)
        return replace(load, duration=duration)
