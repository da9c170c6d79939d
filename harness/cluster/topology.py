"""A Topology: a running Design, with an address to send load to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.cluster.capabilities import Balancer, Link, Orchestrated, PlatformAutoscaler, Replica, Store
from harness.cluster.replicas.probes import HealthProbe, address_of
from harness.cluster.watch.sampler import Sampler
from harness.common.errors import HarnessError, UntrustedError, UsageError
from harness.common.waiting import wait_until
from harness.observations.samples import Sample
from harness.scenario.design import Design

_POLL_INTERVAL_S = 0.02


@dataclass(frozen=True)
class Topology:
    """The running parts of a Design. They end with the scope that started them."""

    design: Design
    health_probe: HealthProbe  # checks that the right parts answer
    replicas: list[Replica]  # those in service; scaling changes the list
    balancer: Balancer
    store: Store | None
    journal: Path  # the effect journal, which all replicas append to
    sampler: Sampler
    links: Mapping[str, Link] = field(default_factory=dict)  # the connections that a fault can reach
    start_another: Callable[[], Awaitable[Replica]] | None = None  # starts one more replica, if that is possible
    workload: Orchestrated | None = None  # on Kubernetes: what keeps the replicas
    autoscaler: PlatformAutoscaler | None = None  # on Kubernetes: what scales them by their CPU
    front: tuple[str, int] | None = None  # where the harness reaches the balancer, if not where clients do

    async def grow(self) -> Replica:
        """Start one more replica; return when it is ready. The balancer does not know it yet.

        Raises:
            UsageError: only replicas of the built-in targets can be added.
        """
        if self.start_another is None:
            raise UsageError("a replica cannot be added to a user-supplied service", "scale a built-in target instead")
        replica = await self.start_another()
        self.replicas.append(replica)
        return replica

    def forget(self, name: str) -> None:
        """Remove a replica that has ended for good."""
        self.replicas[:] = [replica for replica in self.replicas if replica.name != name]

    @property
    def url(self) -> str:
        """The address for clients: that of the balancer."""
        return self.balancer.url

    @property
    def samples(self) -> tuple[Sample, ...]:
        """CPU and memory of every part so far."""
        return self.sampler.samples

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return the running processes, by role."""
        replicas = tuple(replica.pid for replica in self.replicas if replica.pid)
        balancer, store = self.balancer.pid, self.store.pids if self.store else ()
        return {"replica": replicas, "balancer": (balancer,) if balancer else (), "store": store}

    async def wait_until_healthy(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - its message names the problems
        """Wait until every replica and the balancer's address answer, and the balancer considers all replicas up.

        Raises:
            UntrustedError: something is still wrong after ``timeout`` seconds; the message says what.
        """
        problems: Sequence[str] = ()

        async def healthy() -> bool:
            nonlocal problems
            problems = [*await self._probe_problems(), *await self._balancer_problems()]
            return not problems

        if not await wait_until(healthy, timeout, _POLL_INTERVAL_S):
            raise UntrustedError(
                f"not healthy after {timeout:g} s: {', '.join(problems)}", "see the logs of these parts"
            )

    async def _probe_problems(self) -> Sequence[str]:
        addresses = {
            self.balancer.name: self.front or address_of(self.url),
            **{replica.name: replica.member.address_from_host for replica in self.replicas},
        }
        problems = await asyncio.gather(*(self.health_probe.problem(*address) for address in addresses.values()))
        return [f"{name} {problem}" for name, problem in zip(addresses, problems, strict=True) if problem]

    async def _balancer_problems(self) -> Sequence[str]:
        try:
            states = await self.balancer.states()
        except HarnessError as problem:  # a balancer that reloads may not answer for a moment
            return [problem.message]
        expected = {replica.member.name for replica in self.replicas} if states else set()
        return [
            f"{self.balancer.name} considers {name} {states.get(name, 'unknown')}"
            for name in sorted(expected)
            if states.get(name) != "up"
        ]
