"""Starts the parts of a run as containers, with the same interface by which they are started as processes.

The code of a part is the same for both. Each container has a fixed address, its log in the directory of the run, and
its port on the loopback address of this machine, by which the harness reaches it. Replicas are connected to two
networks, ``app`` (with the balancer) and ``store``: disconnected from one, they still answer on the other.
"""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors

from harness.cluster.containers import networks, sweep
from harness.cluster.containers.container_spec import NETWORKS, ContainerSpec, Endpoint, create_options
from harness.cluster.containers.engine import Engine
from harness.cluster.containers.output import OutputFollowers
from harness.cluster.supervisor import Child, Death, ProcessSpec, ProcessSupervisor, Supervisor
from harness.cluster.supervisor.main import owner_identity
from harness.common.errors import EnvironmentLacksError

_REMOVAL_TIMEOUT_S = 15.0
_SIGNAL_EXIT_CODE = 128  # a greater exit code is this plus the number of a signal
#: Runs a program and appends its output to the file that is the first argument.
_LOG_OUTPUT = ("/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1')


@dataclass
class _Container:
    """A container that runs or ran, with the child that stands for it."""

    child: Child
    id: str
    paused: bool = False
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class DockerSupervisor(Supervisor):
    """Starts parts as containers of one run; processes such as the load are started by ``processes``."""

    listen = "0.0.0.0"  # noqa: S104 - inside the container, whose port is published on loopback only

    def __init__(self, engine: Engine, processes: ProcessSupervisor, run: str, image_name: str) -> None:
        self.engine = engine
        self.processes = processes
        self.deaths = processes.deaths
        self.labels = {sweep.RUN: run, sweep.OWNER: owner_identity()}
        self._run = run
        self._image = image_name
        self._networks: dict[str, networks.Network] = {}
        self._numbers = itertools.count(1)
        self._host_numbers: dict[str, int] = {}  # a part's name -> its number in every network
        self._containers: dict[int, _Container] = {}
        self._output = OutputFollowers(engine)
        self._early_exits: dict[str, int] = {}  # exit codes of containers that ended before ``adopt``
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def scratch(self) -> Path:
        """The scratch directory of ``processes``."""
        return self.processes.scratch

    @property
    def children(self) -> tuple[Child, ...]:
        """The containers and processes that are alive."""
        containers = (container.child for container in self._containers.values())
        return (*self.processes.children, *(child for child in containers if child.alive))

    def address(self, name: str, role: str = "replica") -> str:
        """Return the address of a part in the first network of its role."""
        return self._networks[NETWORKS[role][0]].address(self._host_number(name))

    def program(self, name: str, locate: Callable[[], str]) -> str:
        """Return the name of a program, which is in the image."""
        return name

    def _host_number(self, name: str) -> int:
        return self._host_numbers.setdefault(name, len(self._host_numbers))

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a part in a container of the harness's image.

        Raises:
            EnvironmentLacksError: the engine does not start it.
        """
        if fds:
            raise ValueError("a container inherits no descriptors")
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        spec.log.touch()
        return await self.run(self._container_spec(spec))

    def _container_spec(self, spec: ProcessSpec) -> ContainerSpec:
        program = "python" if spec.argv[0] == sys.executable else Path(spec.argv[0]).name
        return ContainerSpec(
            spec.name,
            spec.role,
            self._image,
            spec.log,
            argv=(program, *spec.argv[1:]),
            entrypoint=(*_LOG_OUTPUT, str(spec.log.absolute())),
            env={name: value for name, value in spec.env.items() if name != "PYTHONPATH"},  # the image sets it
            user=self.engine.user,
            port=spec.port,
            published=spec.port,
            more_ports=spec.more_ports,
            limits=spec.limits,
            mounts=(self.scratch, spec.log.parent.absolute()),
            cpus=spec.cpus or self.processes.cores(spec.role),
        )

    async def run(self, spec: ContainerSpec) -> Child:
        """Start a container.

        Raises:
            EnvironmentLacksError: the engine does not start it.
        """
        await self._wait_until_address_is_free(spec.name)
        starting = asyncio.ensure_future(asyncio.to_thread(self._start, spec))
        try:
            container, pid = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._abandon)
            raise
        return self.adopt(spec.name, spec.role, spec.log, container, pid)

    async def _wait_until_address_is_free(self, name: str) -> None:
        """Wait until the former containers of that name are removed."""
        if self._removals:
            await asyncio.wait(self._removals)
        former = [container.removed.wait() for container in self._containers.values() if container.child.name == name]
        with contextlib.suppress(TimeoutError):  # the engine will report the conflict
            await asyncio.wait_for(asyncio.gather(*former), _REMOVAL_TIMEOUT_S)

    def adopt(self, name: str, role: str, log: Path, container: str, pid: int) -> Child:
        """Make a running container a child."""
        number = next(self._numbers)
        child = Child(self, number, ProcessSpec(name, role, (container,), log), pid, own_pid=1)
        self._containers[number] = _Container(child, container)
        if container in self._early_exits:
            self._report_exit(child, self._early_exits.pop(container))
        return child

    def _start(self, spec: ContainerSpec) -> tuple[str, int]:
        api = self.engine.client.api
        try:
            first = self._networks[NETWORKS[spec.role][0]]
            endpoint = Endpoint(first.name, first.address(self._host_number(spec.name)))
            container = api.create_container(**create_options(api, spec, self._run, endpoint, self.labels))["Id"]
            for network in NETWORKS[spec.role][1:]:
                self.connect(container, spec.name, network)
            if spec.entrypoint is None:
                self.follow_log(container, spec.log)
            api.start(container)
            return container, int(api.inspect_container(container)["State"]["Pid"])
        except (docker.errors.DockerException, OSError) as problem:
            raise EnvironmentLacksError(
                f"the Docker engine does not start {spec.name}: {problem}", f"its log is {spec.log}"
            ) from problem

    def next_project(self) -> str:
        """Return the name of a new Compose project of this run."""
        return sweep.project(self._run, next(self._numbers))

    def follow_log(self, container: str, log: Path) -> None:
        """Append the container's output to a file from now on. Containers of the harness's image do so themselves."""
        self._output.follow(container, log)

    async def drain_log(self, child: Child) -> None:
        """Wait until all output of a child that has ended is in its log."""
        container = next(container for container in self._containers.values() if container.child is child)
        await self._output.drain(container.id)

    def connect(self, container: str, name: str, network: str) -> None:
        """Connect a container to a network, at the address of the part of that name."""
        target = self._networks[network]
        self.engine.client.api.connect_container_to_network(
            container, target.name, ipv4_address=target.address(self._host_number(name)), aliases=[name]
        )

    def _abandon(self, starting: "asyncio.Future[tuple[str, int]]") -> None:
        """Remove a container whose caller was cancelled during its start."""

        def remove(container: str) -> None:
            with contextlib.suppress(docker.errors.APIError):
                self.engine.client.api.remove_container(container, force=True)

        if not starting.cancelled() and starting.exception() is None:
            removal = asyncio.ensure_future(asyncio.to_thread(remove, starting.result()[0]))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a container's first process; SIGSTOP and SIGCONT pause and unpause the whole container."""
        container = self._containers[child]
        return await self._run_exclusively(container, lambda: self._send_signal(container, number))

    async def _run_exclusively(self, container: _Container, action: Callable[[], bool]) -> bool:
        """Run actions on a container one after another, each to its end: a cancelled one must not take effect late."""

        async def run() -> bool:
            async with container.lock:
                return await asyncio.to_thread(action)

        return await asyncio.shield(asyncio.ensure_future(run()))

    def _send_signal(self, container: _Container, number: int) -> bool:
        api = self.engine.client.api
        try:
            if number == signal.SIGSTOP:
                if not container.paused:
                    api.pause(container.id)
                container.paused = bool(api.inspect_container(container.id)["State"]["Paused"])
            elif number == signal.SIGCONT:
                if container.paused:
                    api.unpause(container.id)
                container.paused = False
            else:
                api.kill(container.id, number if _has_handler(container.child.pid, number) else signal.SIGKILL)
        except docker.errors.APIError:  # the container is gone
            return False
        return True

    def state(self, child: Child) -> str:
        """Return ``T`` if the engine reports it as paused, ``X`` if it has ended, else ``S``."""
        if not child.alive:
            return "X"
        paused = (container.paused for container in self._containers.values() if container.child is child)
        return "T" if any(paused) else "S"

    async def disconnect(self, name: str, network: str) -> bool:
        """Disconnect a part from a network; return whether the engine confirms that."""
        api, target = self.engine.client.api, self._networks[network].name

        def change(container: str) -> None:
            api.disconnect_container_from_network(container, target, force=True)

        return await self._change_network(name, network, change) is False

    async def reconnect(self, name: str, network: str) -> bool:
        """Connect a part to a network again, at its old address; return whether the engine confirms that."""
        return await self._change_network(name, network, lambda id_: self.connect(id_, name, network)) is True

    async def _change_network(self, name: str, network: str, change: Callable[[str], None]) -> bool | None:
        """Return whether the part is connected to the network after the change; None if it does not run."""
        running = (
            container
            for container in self._containers.values()
            if container.child.alive and container.child.name == name
        )
        container = next(running, None)
        if container is None:
            return None

        def change_and_inspect() -> bool:
            with contextlib.suppress(docker.errors.APIError):  # the change was made before; only the result counts
                change(container.id)
            details = self.engine.client.api.inspect_container(container.id)
            return self._networks[network].name in details["NetworkSettings"]["Networks"]

        return await self._run_exclusively(container, change_and_inspect)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Take the engine's report that a container has ended (``die``) or was removed (``destroy``)."""
        container_id, code = str(event["id"]), int(event["Actor"]["Attributes"].get("exitCode", 0))
        containers = [container for container in self._containers.values() if container.id == container_id]
        if event["Action"] == "destroy":
            for container in containers:
                container.removed.set()
        elif alive := [container.child for container in containers if container.child.alive]:
            self._report_exit(alive[-1], code)  # a container that was started again has an earlier, ended child
        else:
            self._early_exits[container_id] = code

    def on_engine_lost(self) -> None:
        """The engine reports nothing more: treat all containers as ended, so that no one waits for ever."""
        for container in self._containers.values():
            container.removed.set()
            if container.child.alive:
                self._report_exit(container.child, _SIGNAL_EXIT_CODE + signal.SIGKILL)

    def _report_exit(self, child: Child, code: int) -> None:
        code = _SIGNAL_EXIT_CODE - code if code > _SIGNAL_EXIT_CODE else code
        child.mark_ended(code)
        if not child.end_expected:
            self.deaths.put_nowait(Death(child.name, child.role, code, child.log))

    def make_networks(self) -> None:
        """Create the networks that ``NETWORKS`` names."""
        for name in dict.fromkeys(name for names in NETWORKS.values() for name in names):
            # The alphabetically first network connects a container to the host: `app` comes before `store`.
            network = networks.create_network(self.engine.client, f"harness-{self._run}-{name}", self.labels)
            self._networks[name] = network


def _has_handler(pid: int, number: int) -> bool:
    """Whether a container's first process handles a signal; if not, the kernel does not deliver it.

    HAProxy has no handler for SIGTERM. Outside a container SIGTERM ends it; inside, SIGKILL has to.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)
