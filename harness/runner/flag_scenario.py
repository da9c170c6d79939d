"""A scenario from command-line flags alone, for a plain locustfile or for no file at all."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults import Kill, Restart
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Target, Url
from harness.scenario.workload import Sessions


@dataclass(frozen=True)
class FlagScenario:
    """How a service is started (``command``) or reached (``url``), and when a replica is killed and restarted.

    ``policy`` is the balancer's; ``ready`` is the path that answers once the service is up.
    """

    command: str | None = None
    url: str | None = None
    ready: str = "/"
    policy: str = "cookie"
    kill: str | None = None
    restart: str | None = None

    def __post_init__(self) -> None:
        if self.command is not None and self.url is not None:
            raise UsageError("--command starts a service, --url names one that runs already: not both")
        if self.restart is not None and self.kill is None:
            raise UsageError("--restart needs --kill: it restarts the killed replica", "--kill 10s --restart 14s")
        if not self.given and (self.kill or self.restart):
            raise UsageError("--kill goes with --command", '--command "node server.js" --kill 10s')

    @property
    def given(self) -> bool:
        """Whether the flags name a service at all."""
        return self.command is not None or self.url is not None

    @property
    def target(self) -> Target:
        """The service."""
        if self.command is not None:
            return Command(self.command, ready=self.ready)
        return Url(self.url or "", ready=self.ready)

    def scenario(self, replicas: int | None, users: int | None, duration: str | None) -> Scenario:
        """One design, with these defaults: 3 replicas, 50 users, 20 s.

        Raises:
            UsageError: the scenario is not valid.
        """
        size, length = replicas or 3, duration or "20s"
        victim = min(1, size - 1)
        faults = [At(self.kill, Kill(victim))] if self.kill else []
        faults += [At(self.restart, Restart(victim))] if self.restart else []
        warmup = f"{min(2.0, parse_seconds(length) / 10):g}s"
        return Scenario(
            designs=[Design("service", self.target, Balancing(self.policy))],
            load=Sessions(concurrent=users or 50, duration=length, warmup=warmup),
            replicas=size,
            faults=faults,
        )
