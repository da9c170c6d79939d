"""Replicas that a Compose file describes."""

import asyncio
import math
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from harness.cluster.capabilities import Member
from harness.cluster.containers import DockerSupervisor, sweep
from harness.cluster.replicas.container import ContainerReplica
from harness.cluster.replicas.managed import OnStart
from harness.cluster.supervisor import Child, ProcessSpec
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.scenario.services import Compose

_SERVICE_LABEL = "com.docker.compose.service"


class ComposeReplica(ContainerReplica):
    """A container made by Compose, connected to the network of the run. Each start uses the same container."""

    def __init__(
        self,
        name: str,
        supervisor: DockerSupervisor,
        target: Compose,
        container: str,
        logs: Path,
        *,
        on_start: OnStart,
    ) -> None:
        super().__init__(supervisor, Member(name, supervisor.address(name), target.port), logs, target, on_start)
        self._container = container

    async def _start_container(self) -> Child:
        pid = await asyncio.to_thread(self._ensure_running)
        return self._docker.adopt(self.name, "replica", self._log, self._container, pid)

    def _ensure_running(self) -> int:
        api = self._docker.engine.client.api
        if self._starts == 1:  # Compose has started it
            self._docker.connect(self._container, self.name, "app")
        else:
            api.start(self._container)
        self._docker.follow_log(self._container, self._log)
        return int(api.inspect_container(self._container)["State"]["Pid"])


@asynccontextmanager
async def compose_up(
    supervisor: DockerSupervisor, target: Compose, replicas: int, logs: Path
) -> AsyncIterator[Sequence[str]]:
    """Bring a separate Compose project up for the length of a scope; yield the container ids of the service.

    Raises:
        EnvironmentLacksError: there is no Compose on this machine, or it does not bring the file up.
    """
    project = supervisor.next_project()
    command = (*compose_program(), "-p", project, "-f", str(target.file))
    try:
        up = ("up", "-d", "--scale", f"{target.service}={replicas}")
        await _run_compose(supervisor, (*command, *up), target, logs)
        labels = [f"{sweep.PROJECT}={project}", f"{_SERVICE_LABEL}={target.service}"]
        client = supervisor.engine.client
        containers = await asyncio.to_thread(lambda: client.containers.list(filters={"label": labels}))
        if len(containers) != replicas:
            problem = f"{Path(target.file).name} has no service {target.service} that runs {replicas} times"
            raise EnvironmentLacksError(problem, "correct service=")
        yield [str(container.id) for container in sorted(containers, key=lambda container: str(container.name))]
    finally:
        grace_s = math.ceil(parse_seconds(target.stop_within))
        await _run_compose(supervisor, (*command, "down", "-v", "-t", str(grace_s)), target, logs)


async def _run_compose(supervisor: DockerSupervisor, argv: Sequence[str], target: Compose, logs: Path) -> None:
    directory = Path(target.file).parent
    spec = ProcessSpec("compose", "proxy", tuple(argv), logs / "compose.log", dict(target.env), directory)
    child = await supervisor.processes.spawn(spec)
    child.end_expected = True
    if await child.wait():
        last_lines = " | ".join(child.log_tail(3).splitlines())
        raise EnvironmentLacksError(f"Compose failed at {argv[-1]}: {last_lines}", f"its log is {child.log}")


def compose_program() -> Sequence[str]:
    """Return ``docker compose`` if the plugin is installed, else ``docker-compose``.

    Raises:
        EnvironmentLacksError: neither is installed.
    """
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return (docker, "compose")
    if program := shutil.which("docker-compose"):
        return (program,)
    raise EnvironmentLacksError("there is no Compose on this machine", "apt-get install docker-compose")
