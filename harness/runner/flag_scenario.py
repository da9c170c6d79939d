"""A scenario from command-line flags alone, for a plain locustfile or for no file at all."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults import Kill, Restart, RollingRestart
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Target, Url
from harness.scenario.workload import Sessions


@dataclass(frozen=True)
class FlagScenario:
    """How a service is started (``command``) or reached (``url``, ``kubernetes``), and when its replicas are broken.

    ``policy`` is the balancer's; ``ready`` is the path that answers once the service is up. ``kill`` and ``restart``
    concern one replica, ``rolling_restart`` all pods of a workload of Kubernetes, as does ``ready_within``, if given.
    """

    command: str | None = None
    url: str | None = None
    ready: str = "/"
    policy: str = "cookie"
    kill: str | None = None
    restart: str | None = None
    kubernetes: Kubernetes | None = None
    rolling_restart: str | None = None
    ready_within: str | None = None

    def __post_init__(self) -> None:
        if self.command is not None and self.url is not None:
            raise UsageError("--command starts a service, --url names one that runs already: not both")
        if self.restart is not None and self.kill is None:
            raise UsageError("--restart needs --kill: it restarts the killed replica", "--kill 10s --restart 14s")
        if not self.given and (self.kill or self.restart):
            raise UsageError("--kill goes with --command", '--command "node server.js" --kill 10s')
        if self.kubernetes is None and self.rolling_restart:
            raise UsageError("--rolling-restart goes with --kubernetes", "--kubernetes deployment/shop")
        if self.kubernetes is None and self.ready_within:
            raise UsageError("--ready-within goes with --kubernetes", 'ready_within="300s" in a scenario')
        if self.kubernetes is not None and (self.command or self.url or self.restart):
            problem = "--kubernetes names a service that runs already, and replaces killed pods on its own"
            raise UsageError(problem, "leave --command and --restart out")

    @property
    def given(self) -> bool:
        """Whether the flags name a service at all."""
        return bool(self.command is not None or self.url is not None or self.kubernetes)

    @property
    def target(self) -> Target | Kubernetes:
        """The service."""
        if self.kubernetes is not None:
            return self.kubernetes
        if self.command is not None:
            return Command(self.command, ready=self.ready)
        return Url(self.url or "", ready=self.ready)

    def scenario(self, replicas: int | None, users: int | None, duration: str | None) -> Scenario:
        """One design, with these defaults: 3 replicas, 50 users, 20 s.

        Raises:
            UsageError: the scenario is not valid.
        """
        size, length = replicas or 3, duration or "20s"
        warmup = f"{min(2.0, parse_seconds(length) / 10):g}s"
        return Scenario(
            designs=[Design("service", self.target, Balancing(self.policy))],
            load=Sessions(concurrent=users or 50, duration=length, warmup=warmup),
            replicas=size,
            faults=tuple(self._faults(size)),
        )

    def _faults(self, replicas: int) -> Iterator[At]:
        """A workload may have a single pod, and has replaced a killed one when the restart is over."""
        victim = min(1, replicas - 1) if self.kubernetes is None else 0
        back = self.restart if self.kubernetes is None else self.kill
        if self.kill:
            yield At(self.kill, Kill(victim))
        if back:
            yield At(back, Restart(victim))
        if self.rolling_restart:
            yield At(self.rolling_restart, RollingRestart())
