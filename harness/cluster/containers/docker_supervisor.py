"""The dock: starts the parts of a run as containers, where a supervisor would start them as processes.

A part's code is the same for both. Each container has a fixed address, its log in the run's directory, and its port on
this machine's loopback, by which the harness reaches it. Replicas stand in two networks, ``app`` (with the balancer)
and ``store``: cut off from one they still answer on the other.
"""

import asyncio
import contextlib
import itertools
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.types import NetworkingConfig, Ulimit

from harness.cluster.containers import networks, sweep
from harness.cluster.containers.engine import Engine
from harness.cluster.containers.image import image
from harness.cluster.supervisor import Child, Death, ProcessSpec, ProcessSupervisor, Supervisor
from harness.cluster.supervisor.main import identity
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.common.limits import UNLIMITED, Limits
from harness.common.ports import LOOPBACK

#: The networks in which each role stands; the first is the one that leads out of the container.
NETWORKS: Mapping[str, Sequence[str]] = {"replica": ("app", "store"), "balancer": ("app",), "store": ("store",)}
_REMOVAL_TIMEOUT_S = 15.0  # seconds
_LOG_TIMEOUT_S = 5.0  # seconds in which the engine has passed on what a container said before its end
_STOPS = 128  # an exit code above it tells the signal
#: Runs a program with its output appended to the file that stands first.
_LOGGED = ("/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1')


@dataclass(frozen=True)
class ContainerSpec:
    """A container to start. ``argv`` None is what its image runs; ``port`` inside is ``published`` on loopback."""

    name: str
    role: str
    image: str
    log: Path
    argv: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    port: int | None = None
    published: int | None = None
    limits: Limits = UNLIMITED
    mounts: tuple[Path, ...] = ()
    cpus: tuple[int, ...] = ()


class DockerSupervisor(Supervisor):
    """Starts parts as containers of one run. Its own processes, such as the load, are the supervisor's."""

    listen = "0.0.0.0"  # noqa: S104 - of the container alone, whose port is published on loopback

    def __init__(self, engine: Engine, supervisor: ProcessSupervisor, run: str, image_name: str) -> None:
        self.engine = engine
        self.deaths = supervisor.deaths
        self._supervisor = supervisor
        self._run = run
        self._image = image_name
        self._networks: dict[str, networks.Network] = {}
        self._numbers = itertools.count(1)
        self._places: dict[str, int] = {}  # a part's name -> its number in every network
        self._held: dict[int, _Held] = {}
        self._followers: dict[str, threading.Thread] = {}  # of containers that do not write their logs themselves
        self._early: dict[str, int] = {}  # what ended before it was known to have started
        self._abandoned: set[asyncio.Task[None]] = set()
        self.labels = {sweep.RUN: run, sweep.OWNER: owner()}

    @property
    def scratch(self) -> Path:
        """The supervisor's."""
        return self._supervisor.scratch

    @property
    def processes(self) -> ProcessSupervisor:
        """Who starts what is no container."""
        return self._supervisor

    @property
    def children(self) -> tuple[Child, ...]:
        """Containers and processes."""
        return (*self._supervisor.children, *(held.child for held in self._held.values() if held.child.alive))

    def address(self, name: str, role: str = "replica") -> str:
        """Its address in the first network of its role."""
        return self._networks[NETWORKS[role][0]].address(self._place(name))

    def _place(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    async def spawn(self, command: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a part in a container of our image.

        Raises:
            EnvironmentLacksError: the engine does not start it.
        """
        if fds:
            raise ValueError("a container inherits no descriptors")
        command.log.parent.mkdir(parents=True, exist_ok=True)
        command.log.touch()
        program = "python" if command.argv[0] == sys.executable else Path(command.argv[0]).name
        box = ContainerSpec(
            command.name,
            command.role,
            self._image,
            command.log,
            (program, *command.argv[1:]),
            (*_LOGGED, str(command.log.absolute())),
            {name: value for name, value in command.env.items() if name != "PYTHONPATH"},  # the image has its own
            self.engine.user,
            command.port,
            command.port,
            command.limits,
            (self.scratch, command.log.parent.absolute()),
            command.cpus or self._supervisor.cores(command.role),
        )
        return await self.run(box)

    async def run(self, box: ContainerSpec) -> Child:
        """Start a container.

        Raises:
            EnvironmentLacksError: the engine does not start it.
        """
        await self._room_for(box.name)
        starting = asyncio.ensure_future(asyncio.to_thread(self._started, box))
        try:
            container, pid = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._abandon)
            raise
        return self.adopt(box.name, box.role, box.log, container, pid)

    async def _room_for(self, name: str) -> None:
        """Wait until no former container of that name has its address any more."""
        if self._abandoned:
            await asyncio.wait(self._abandoned)
        former = [held.removed.wait() for held in self._held.values() if held.child.name == name]
        with contextlib.suppress(TimeoutError):  # the engine will say what is in the way
            await asyncio.wait_for(asyncio.gather(*former), _REMOVAL_TIMEOUT_S)

    def adopt(self, name: str, role: str, log: Path, container: str, pid: int) -> Child:
        """Take a container that runs for a child."""
        number = next(self._numbers)
        command = ProcessSpec(name, role, (container,), log)
        child = Child(self, number, command, pid, own_pid=1)
        self._held[number] = _Held(child, container)
        if container in self._early:
            self._tell(child, self._early.pop(container))
        return child

    def _started(self, box: ContainerSpec) -> tuple[str, int]:
        api = self.engine.client.api
        try:
            container = api.create_container(**self._create_options(box))["Id"]
            for name in NETWORKS[box.role][1:]:
                self.connect(container, box.name, name)
            if box.entrypoint is None:
                self.follow_log(container, box.log)
            api.start(container)
            return container, int(api.inspect_container(container)["State"]["Pid"])
        except (docker.errors.DockerException, OSError) as problem:
            raise EnvironmentLacksError(
                f"the Docker engine does not start {box.name}: {problem}", f"its log is {box.log}"
            ) from problem

    def _create_options(self, box: ContainerSpec) -> dict[str, Any]:
        api, first = self.engine.client.api, self._networks[NETWORKS[box.role][0]]
        place = api.create_endpoint_config(ipv4_address=first.address(self._place(box.name)), aliases=[box.name])
        places: Any = {first.name: place}  # what the stubs call one endpoint is a mapping of them
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        host: dict[str, Any] = {
            "binds": {str(path): {"bind": str(path), "mode": "rw"} for path in dict.fromkeys(box.mounts)},
            "port_bindings": {box.port: (LOOPBACK, box.published)} if box.port else {},
            "network_mode": first.name,
            "auto_remove": True,
            "ulimits": [] if most == resource.RLIM_INFINITY else [Ulimit(name="nofile", soft=most, hard=most)],
            **({"nano_cpus": int(box.limits.cpus * 1e9)} if box.limits.cpus else {}),
            **({"mem_limit": box.limits.memory, "memswap_limit": box.limits.memory} if box.limits.memory else {}),
            **({"cpuset_cpus": ",".join(map(str, box.cpus))} if box.cpus else {}),
        }
        return {
            "image": box.image,
            "command": list(box.argv) if box.argv is not None else None,
            "entrypoint": list(box.entrypoint) if box.entrypoint is not None else None,
            "name": f"harness-{self._run}-{box.name}-{os.urandom(3).hex()}",
            "user": box.user,
            "environment": dict(box.env),
            "labels": self.labels,
            "ports": [box.port] if box.port else [],
            "host_config": api.create_host_config(**host),
            "networking_config": NetworkingConfig(places),
        }

    def next_project(self) -> str:
        """The name of a Compose project of the run's own."""
        return sweep.project(self._run, next(self._numbers))

    def follow_log(self, container: str, log: Path) -> None:
        """Append to a file what a container says from now on. One that is ours writes there by itself."""
        said = self.engine.client.api.attach(container, stream=True, logs=False)

        def write() -> None:
            with contextlib.suppress(docker.errors.DockerException, OSError), log.open("ab", buffering=0) as file:
                for data in said:
                    file.write(data)

        self._followers[container] = threading.Thread(target=write, name=f"log of {container}", daemon=True)
        self._followers[container].start()

    async def drain_log(self, child: Child) -> None:
        """Wait until all that a child which has ended said is in its log."""
        held = next(held for held in self._held.values() if held.child is child)
        if held.container in self._followers:
            await asyncio.to_thread(self._followers[held.container].join, _LOG_TIMEOUT_S)

    def connect(self, container: str, name: str, network: str) -> None:
        """Put a container into a network, at the address of the part of that name."""
        place = self._networks[network]
        self.engine.client.api.connect_container_to_network(
            container, place.name, ipv4_address=place.address(self._place(name)), aliases=[name]
        )

    def _abandon(self, starting: "asyncio.Future[tuple[str, int]]") -> None:
        """Nobody waits any more for what was started: it goes."""
        if not starting.cancelled() and starting.exception() is None:
            removing = asyncio.ensure_future(asyncio.to_thread(self._remove, starting.result()[0]))
            self._abandoned.add(removing)
            removing.add_done_callback(self._abandoned.discard)

    def _remove(self, container: str) -> None:
        with contextlib.suppress(docker.errors.APIError):
            self.engine.client.api.remove_container(container, force=True)

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a container's first process; SIGSTOP and SIGCONT freeze and thaw all of the container."""
        held = self._held[child]
        return await self._in_turn(held, lambda: self._signalled(held, number))

    async def _in_turn(self, held: "_Held", deed: Callable[[], bool]) -> bool:
        """One after another, and to its end: what is cut off must not come true after what follows it."""

        async def done() -> bool:
            async with held.turn:
                return await asyncio.to_thread(deed)

        return await asyncio.shield(asyncio.ensure_future(done()))

    def _signalled(self, held: "_Held", number: int) -> bool:
        api = self.engine.client.api
        try:
            if number == signal.SIGSTOP:
                if not held.paused:
                    api.pause(held.container)
                held.paused = bool(api.inspect_container(held.container)["State"]["Paused"])
            elif number == signal.SIGCONT:
                if held.paused:
                    api.unpause(held.container)
                held.paused = False
            else:
                api.kill(held.container, number if _handles(held.child.pid, number) else signal.SIGKILL)
        except docker.errors.APIError:  # it is not there any more
            return False
        return True

    def state(self, child: Child) -> str:
        """``T`` where the engine holds it for paused."""
        if not child.alive:
            return "X"
        return "T" if any(held.paused for held in self._held.values() if held.child is child) else "S"

    async def disconnect(self, name: str, network: str) -> bool:
        """Take the part of that name out of a network; whether the engine then says so."""
        return await self._rewired(name, network, lambda container: self._disconnect(container, network)) is False

    async def reconnect(self, name: str, network: str) -> bool:
        """Put it back, at its old address; whether the engine then says so."""
        return await self._rewired(name, network, lambda container: self.connect(container, name, network)) is True

    def _disconnect(self, container: str, network: str) -> None:
        place = self._networks[network].name
        self.engine.client.api.disconnect_container_from_network(container, place, force=True)

    async def _rewired(self, name: str, network: str, deed: Callable[[str], None]) -> bool | None:
        """Whether it is in the network after the deed; None where it does not run."""
        held = next((one for one in self._held.values() if one.child.alive and one.child.name == name), None)
        if held is None:
            return None

        def work() -> bool:
            with contextlib.suppress(docker.errors.APIError):  # it is so already: what counts is how it is after
                deed(held.container)
            inside = self.engine.client.api.inspect_container(held.container)["NetworkSettings"]["Networks"]
            return self._networks[network].name in inside

        return await self._in_turn(held, work)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """The engine's word that a container has ended (``die``), or is there no more (``destroy``)."""
        container, code = str(event["id"]), int(event["Actor"]["Attributes"].get("exitCode", 0))
        held = [held for held in self._held.values() if held.container == container]
        if event["Action"] == "destroy":
            for one in held:
                one.removed.set()
        elif alive := [one.child for one in held if one.child.alive]:  # one that is started again is another child
            self._tell(alive[-1], code)
        else:
            self._early[container] = code

    def on_engine_lost(self) -> None:
        """The engine tells no more: whoever waits for an end must not wait for ever."""
        for held in self._held.values():
            held.removed.set()
            if held.child.alive:
                self._tell(held.child, _STOPS + signal.SIGKILL)

    def _tell(self, child: Child, code: int) -> None:
        code = _STOPS - code if code > _STOPS else code
        child.mark_ended(code)
        if not child.end_expected:
            self.deaths.put_nowait(Death(child.name, child.role, code, child.log))

    def make_networks(self) -> None:
        """Those that ``NETWORKS`` names."""
        for name in dict.fromkeys(name for names in NETWORKS.values() for name in names):
            # Of several networks the first by name leads out of a container: `app` comes before `store`.
            self._networks[name] = networks.create_network(
                self.engine.client, f"harness-{self._run}-{name}", self.labels
            )


@dataclass
class _Held:
    """A container with what is known of it."""

    child: Child
    container: str
    paused: bool = False
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def _handles(pid: int, number: int) -> bool:
    """Whether a container's first process would notice a signal: the kernel keeps from it those it has no handler for.

    HAProxy has none for SIGTERM; anywhere else it would end, as it does here by SIGKILL.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


def owner() -> str:
    """Who made a container: this process, which another one of its number is not, in its namespace of processes."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{space} {identity(os.getpid())}"


@asynccontextmanager
async def supervise_containers(
    engine: Engine, supervisor: ProcessSupervisor, run: str
) -> AsyncIterator[DockerSupervisor]:
    """A dock for the length of a scope; whatever ends it, and the harness, no container or network of the run is left.

    Raises:
        EnvironmentLacksError: there is no image and none can be made, or the engine makes no network.
    """
    dock = DockerSupervisor(engine, supervisor, run, await asyncio.to_thread(image, engine))
    await supervisor.run_at_end((sys.executable, "-P", str(Path(sweep.__file__)), run))
    try:
        await asyncio.to_thread(dock.make_networks)
        with _watching(dock):
            yield dock
    finally:
        await asyncio.shield(asyncio.to_thread(sweep.sweep, engine.client, run))
        with contextlib.suppress(UntrustedError):  # it is gone itself
            await supervisor.run_at_end(())


@contextlib.contextmanager
def _watching(dock: DockerSupervisor) -> Iterator[None]:
    """Have the dock told of every container that ends."""
    loop = asyncio.get_running_loop()
    filters = {"type": "container", "event": ["die", "destroy"]}  # a Compose file's containers lack the run's label
    stream = dock.engine.client.api.events(since=int(time.time()), filters=filters, decode=True)

    def listen() -> None:
        with contextlib.suppress(docker.errors.DockerException, OSError, ValueError, RuntimeError):  # closed
            for event in stream:
                loop.call_soon_threadsafe(dock.on_event, event)
        with contextlib.suppress(RuntimeError):  # the loop has ended as well
            loop.call_soon_threadsafe(dock.on_engine_lost)

    thread = threading.Thread(target=listen, name="docker events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.close()
