"""A Topology: a Design brought up, with an address to send load to."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.cluster.capabilities import Balancer, Link, Replica, Store
from harness.cluster.replicas.probes import HealthProbe
from harness.cluster.watch.sampler import Sampler
from harness.common.errors import HarnessError, UntrustedError, UsageError
from harness.observations.samples import Sample
from harness.scenario.design import Design

_POLL_INTERVAL_S = 0.02


@dataclass(frozen=True)
class Topology:
    """The parts of a Design, up. It goes down with the scope that made it."""

    design: Design
    health_probe: HealthProbe  # how its parts show that they are the right ones
    replicas: list[Replica]  # those in service: scaling changes it
    balancer: Balancer
    store: Store | None
    journal: Path  # the effect journal, which all replicas append to
    sampler: Sampler
    links: Mapping[str, Link] = field(default_factory=dict)  # where a fault reaches what lies between the parts
    start_another: Callable[[], Awaitable[Replica]] | None = None  # starts one replica more, where that can be done

    async def grow(self) -> Replica:
        """Start one replica more; returns when it is ready. The balancer does not know it yet.

        Raises:
            UsageError: only replicas of the built-in targets can be added.
        """
        if self.start_another is None:
            raise UsageError("a replica cannot be added to a service of one's own", "scale a built-in target instead")
        replica = await self.start_another()
        self.replicas.append(replica)
        return replica

    def forget(self, name: str) -> None:
        """A replica has ended for good: it is no longer waited for."""
        self.replicas[:] = [replica for replica in self.replicas if replica.name != name]

    @property
    def url(self) -> str:
        """Where clients go: the balancer."""
        return self.balancer.url

    @property
    def samples(self) -> tuple[Sample, ...]:
        """CPU and memory of every part so far."""
        return self.sampler.samples

    def pids(self) -> dict[str, tuple[int, ...]]:
        """The processes up, by role."""
        replicas = tuple(replica.pid for replica in self.replicas if replica.pid)
        balancer, store = self.balancer.pid, self.store.pids if self.store else ()
        return {"replica": replicas, "balancer": (balancer,) if balancer else (), "store": store}

    async def wait_until_healthy(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - its message names what is wrong by then
        """Wait until every replica and the balancer's address answer as ours, and the balancer holds all for up.

        Raises:
            UntrustedError: after ``timeout`` seconds something still is not as it should be, and what.
        """
        give_up = time.monotonic() + timeout
        while wrong := await self._wrong():
            if time.monotonic() > give_up:
                raise UntrustedError(
                    f"not steady after {timeout:g} s: {', '.join(wrong)}", "see the logs of these parts"
                )
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def _wrong(self) -> Sequence[str]:
        front = urlsplit(self.url)
        addresses = {
            self.balancer.name: (front.hostname or "", front.port or 80),
            **{replica.name: replica.member.address_from_host for replica in self.replicas},
        }
        troubles = await asyncio.gather(*(self.health_probe.problem(*address) for address in addresses.values()))
        silent = [f"{name} {trouble}" for name, trouble in zip(addresses, troubles, strict=True) if trouble]
        return [*silent, *await self._held_wrongly()]

    async def _held_wrongly(self) -> Sequence[str]:
        try:
            states = await self.balancer.states()
        except HarnessError as problem:  # one that takes its configuration up anew may not answer for a moment
            return [problem.message]
        wanted = {replica.name for replica in self.replicas} if states else set()
        return [
            f"{self.balancer.name} holds {name} for {states.get(name)}"
            for name in sorted(wanted)
            if states.get(name) != "up"
        ]
