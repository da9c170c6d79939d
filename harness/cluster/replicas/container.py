"""A replica of the user's own in a container: of an image, or of a service of a Compose file."""

import asyncio
import contextlib
import shutil
import subprocess
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Member
from harness.cluster.containers import ContainerSpec, DockerSupervisor, sweep
from harness.cluster.replicas.command import OnStart
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.replicas.replica import ManagedReplica
from harness.cluster.supervisor import Child, ProcessSpec
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from harness.common.ports import LOOPBACK, Reservation
from harness.scenario.services import Compose, Image, PlaceholderValues

_POLL_INTERVAL_S = 0.05
_HANG_UP_TIMEOUT_S = 0.3  # seconds after which the engine's proxy has found out that nobody listens inside


@dataclass(frozen=True)
class ContainerReadinessProbe(ReadinessProbe):
    """As a service of the user's own, behind the engine's proxy: that takes connections for whoever does not listen."""

    async def problem(self, host: str, port: int) -> str:
        """Without a path, an open port is one that stays open."""
        if self.path is not None:
            return await super().problem(host, port)
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection(host, port)
        except OSError:  # TimeoutError is one of them
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
    """What both have in common. The boot id is the name and the number of the start."""

    def __init__(self, dock: DockerSupervisor, member: Member, logs: Path, target: Image | Compose) -> None:
        super().__init__(dock, member, logs)
        self._dock = dock
        self._target = target
        self._starts = 0
        self.on_start: OnStart = lambda name, boot: None

    @abstractmethod
    async def _begin(self) -> Child:
        """Start its container."""

    async def start(self) -> None:
        """Start it; returns when it is ready.

        Raises:
            EnvironmentLacksError: it does not start, ends, or is not ready in time.
        """
        self._starts += 1
        self.boot = f"{self.name}.{self._starts}"
        self.on_start(self.name, self.boot)
        self._child = child = await self._begin()
        answering, give_up = (
            ContainerReadinessProbe(self._target.ready),
            time.monotonic() + parse_seconds(self._target.ready_within),
        )
        while trouble := await answering.problem(*self.member.address_from_host):
            if not child.alive:
                await self._dock.drain_log(child)
                raise EnvironmentLacksError(
                    f"{self.name} ended with code {await child.wait()} before it was ready: {child.log_tail(3)}",
                    f"its log is {self._log}",
                )
            if time.monotonic() > give_up:
                raise EnvironmentLacksError(
                    f"{self.name} was not ready within {self._target.ready_within}: {trouble}",
                    f"port= is where it listens inside ({self._target.port}), on all addresses; its log is {self._log}",
                )
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def stop(self, grace: float = 2.0) -> None:
        """SIGTERM where it heeds that, and SIGKILL after ``grace`` seconds; returns when it is gone."""
        if self._child:
            await (self._child.stop(grace) if self._target.graceful else self._child.kill())
            await self._dock.drain_log(self._child)


class ImageReplica(ContainerReplica):
    """A container of an image, published at a port of this machine; a new one at each start."""

    _target: Image

    def __init__(
        self,
        name: str,
        dock: DockerSupervisor,
        target: Image,
        port: Reservation,
        logs: Path,
        *,
        limits: Limits,
        store: str,
    ) -> None:
        member = Member(name, dock.address(name), target.port, (LOOPBACK, port.port))
        super().__init__(dock, member, logs, target)
        place = PlaceholderValues(target.port, name, store)
        self._box = ContainerSpec(
            name,
            "replica",
            target.image,
            self._log,
            target.argv(place),
            env=target.environment(place),
            port=target.port,
            published=port.port,
            limits=limits,
        )

    async def _begin(self) -> Child:
        return await self._dock.run(self._box)


class ComposeReplica(ContainerReplica):
    """A container that Compose made, put into the run's network; the same one at each start."""

    def __init__(self, name: str, dock: DockerSupervisor, target: Compose, container: str, logs: Path) -> None:
        super().__init__(dock, Member(name, dock.address(name), target.port), logs, target)
        self._container = container

    async def _begin(self) -> Child:
        pid = await asyncio.to_thread(self._running)
        return self._dock.adopt(self.name, "replica", self._log, self._container, pid)

    def _running(self) -> int:
        api = self._dock.engine.client.api
        if self._starts == 1:
            self._dock.connect(self._container, self.name, "app")
        else:
            api.start(self._container)
        self._dock.follow_log(self._container, self._log)
        return int(api.inspect_container(self._container)["State"]["Pid"])


@asynccontextmanager
async def compose_up(
    dock: DockerSupervisor, target: Compose, replicas: int, logs: Path
) -> AsyncIterator[Sequence[str]]:
    """A Compose project of the run's own, up for the length of a scope: the containers of the service.

    Raises:
        EnvironmentLacksError: there is no Compose on this machine, or it does not bring the file up.
    """
    project = dock.next_project()
    words = (*compose_program(), "-p", project, "-f", str(target.file))
    try:
        up = ("up", "-d", "--scale", f"{target.service}={replicas}")
        await _done(dock, (*words, *up), target, logs)
        found = await asyncio.to_thread(_containers, dock, project, target.service)
        if len(found) != replicas:
            raise EnvironmentLacksError(
                f"{Path(target.file).name} has no service {target.service} that runs {replicas} times", "mend service="
            )
        yield found
    finally:
        await _done(dock, (*words, "down", "-v", "-t", "2"), target, logs)


def _containers(dock: DockerSupervisor, project: str, service: str) -> Sequence[str]:
    labels = [f"{sweep.PROJECT}={project}", f"com.docker.compose.service={service}"]
    found = dock.engine.client.containers.list(filters={"label": labels})
    return [str(one.id) for one in sorted(found, key=lambda one: str(one.name))]


async def _done(dock: DockerSupervisor, words: Sequence[str], target: Compose, logs: Path) -> None:
    folder = Path(target.file).parent
    command = ProcessSpec("compose", "proxy", tuple(words), logs / "compose.log", dict(target.env), folder)
    child = await dock.processes.spawn(command)
    child.end_expected = True  # it ends by itself
    if await child.wait():
        last = " | ".join(child.log_tail(3).splitlines())
        raise EnvironmentLacksError(f"Compose does not do {words[-1]}: {last}", f"its log is {child.log}")


def compose_program() -> Sequence[str]:
    """``docker compose`` where the plugin is there, else ``docker-compose``.

    Raises:
        EnvironmentLacksError: neither is.
    """
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return (docker, "compose")
    if found := shutil.which("docker-compose"):
        return (found,)
    raise EnvironmentLacksError("there is no Compose on this machine", "apt-get install docker-compose")
