"""A replica of a user-supplied service in a container."""

import asyncio
import contextlib
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Member
from harness.cluster.containers import ContainerSpec, DockerSupervisor
from harness.cluster.replicas.managed import ManagedReplica, OnStart, ending_of
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from harness.common.ports import LOOPBACK, Reservation
from harness.scenario.services import Compose, Image, PlaceholderValues

_HANG_UP_TIMEOUT_S = 0.3  # in which the engine's proxy finds out that nothing listens inside


@dataclass(frozen=True)
class ContainerReadinessProbe(ReadinessProbe):
    """A readiness probe through the engine's proxy, which accepts connections even if nothing listens inside."""

    async def problem(self, host: str, port: int) -> str:
        """Without a path, the port counts as open only if the connection stays open."""
        if self.path is not None:
            return await super().problem(host, port)
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection(host, port)
        except OSError:  # includes TimeoutError
            return "does not listen"
        with contextlib.closing(writer):
            try:
                async with asyncio.timeout(_HANG_UP_TIMEOUT_S):
                    return "" if await reader.read(1) else "does not listen"
            except TimeoutError:
                return ""
            except OSError:
                return "does not listen"


class ContainerReplica(ManagedReplica):
    """A replica in a container. Its boot id is its name and the number of its start."""

    def __init__(
        self, supervisor: DockerSupervisor, member: Member, logs: Path, target: Image | Compose, on_start: OnStart
    ) -> None:
        super().__init__(supervisor, member, logs, ending_of(target))
        self._docker = supervisor
        self._target = target
        self._on_start = on_start
        self._starts = 0

    @abstractmethod
    async def _start_container(self) -> Child:
        """Start its container."""

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            EnvironmentLacksError: it does not start, ends, or is not ready in time.
        """
        self._starts += 1
        self.boot = f"{self.name}.{self._starts}"
        self._on_start(self.name, self.boot)
        self._child = await self._start_container()
        await self._require_ready(self._child)

    async def _require_ready(self, child: Child) -> None:
        timeout_s = parse_seconds(self._target.ready_within)
        problem = await self._wait_until_ready(child, ContainerReadinessProbe(self._target.ready), timeout_s)
        if problem and not child.alive:
            await self._docker.drain_log(child)
            raise EnvironmentLacksError(
                f"{self.name} ended with code {await child.wait()} before it was ready: {child.log_tail(3)}",
                f"its log is {self._log}",
            )
        if problem:
            raise EnvironmentLacksError(
                f"{self.name} was not ready within {self._target.ready_within}: {problem}",
                f"port= is where it listens inside ({self._target.port}), on all addresses; its log is {self._log}",
            )

    async def stop(self) -> None:
        """End it as its service asks; return when it is gone."""
        if self._child:
            await super().stop()
            await self._docker.drain_log(self._child)


class ImageReplica(ContainerReplica):
    """A container of an image, published at a port of this machine. Each start makes a new container."""

    _target: Image

    def __init__(
        self,
        name: str,
        supervisor: DockerSupervisor,
        target: Image,
        port: Reservation,
        logs: Path,
        *,
        on_start: OnStart,
        limits: Limits,
        store: str,
    ) -> None:
        """``store`` is the URL of the store, empty if there is none."""
        member = Member(name, supervisor.address(name), target.port, (LOOPBACK, port.port))
        super().__init__(supervisor, member, logs, target, on_start)
        values = PlaceholderValues(target.port, name, store)
        self._spec = ContainerSpec(
            name,
            "replica",
            target.image,
            self._log,
            target.argv(values),
            env=target.environment(values),
            port=target.port,
            published=port.port,
            limits=limits,
        )

    async def _start_container(self) -> Child:
        return await self._docker.run(self._spec)
