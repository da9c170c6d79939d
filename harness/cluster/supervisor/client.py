"""The harness's side of the supervisor: what to start, and the children that it started."""

import asyncio
import contextlib
import errno
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cluster.supervisor import main
from harness.cluster.supervisor.pinning import cpus_by_role
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.common.limits import UNLIMITED, Limits
from harness.common.ports import LOOPBACK

ROLES = ("replica", "balancer", "store", "proxy", "driver")
_TAIL_BYTES = 8192


@dataclass(frozen=True)
class ProcessSpec:
    """A program to start. ``env`` is added to the harness's own; without ``cpus`` its role decides.

    ``port`` is where it listens: a container lets the harness in there.
    """

    name: str
    role: str  # one of ROLES
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cpus: tuple[int, ...] = ()
    port: int | None = None
    limits: Limits = UNLIMITED  # what a container keeps it to

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, not {self.role!r}")
        if not self.name or not self.argv:
            raise ValueError("a command has a name and a program")


@dataclass(frozen=True)
class Death:
    """A part that ended without having been asked to; ``code`` is negative where a signal ended it."""

    name: str
    role: str
    code: int
    log: Path | None = None


class Child:
    """One started program, with the process group that it leads."""

    def __init__(
        self, supervisor: "Supervisor", number: int, command: ProcessSpec, pid: int, own_pid: int | None = None
    ) -> None:
        self._supervisor = supervisor
        self._number = number
        self._command = command
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.pid = pid
        self.own_pid = own_pid or pid  # as it knows itself: another one inside a container
        self.end_expected = False  # whether its end is our doing

    @property
    def name(self) -> str:
        """As the command names it."""
        return self._command.name

    @property
    def role(self) -> str:
        """One of ``ROLES``."""
        return self._command.role

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._command.log

    @property
    def alive(self) -> bool:
        """Whether its end has not been told yet."""
        return not self._ended.done()

    def mark_ended(self, code: int) -> None:
        """The supervisor's word that it has ended and was collected."""
        if self.alive:
            self._ended.set_result(code)

    @property
    def state(self) -> str:
        """As the kernel has it: ``T`` is stopped, ``Z`` and ``X`` are dead."""
        return self._supervisor.state(self)

    async def wait(self) -> int:
        """Its exit code, once it ends; negative where a signal ended it."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int, *, group: bool = False) -> bool:
        """Send a signal to it, or to its whole process group; whether there was somebody to get it."""
        return self.alive and await self._supervisor.signal(self._number, number, group=group)

    async def kill(self) -> bool:
        """SIGKILL the whole group; returns when the process is gone: True if this is what ended it."""
        self.end_expected = True
        await self.signal(signal.SIGKILL, group=True)
        return await self.wait() == -signal.SIGKILL

    async def stop(self, grace: float = 5.0) -> int:
        """SIGTERM, and SIGKILL where it is still there after ``grace`` seconds; its exit code."""
        self.end_expected = True
        await self.signal(signal.SIGTERM)
        await self.signal(signal.SIGCONT, group=True)  # a frozen one could not even hear it
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            await self.kill()
            return await self.wait()

    def log_tail(self, lines: int = 10) -> str:
        """The last lines of its log; empty where there is none."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class Supervisor(ABC):
    """Whoever starts the parts of a run, and sees to it that none outlives the harness."""

    listen: str = LOOPBACK  # where what it starts has to listen
    deaths: "asyncio.Queue[Death]"

    @property
    @abstractmethod
    def scratch(self) -> Path:
        """A directory with a short path (unix sockets, configurations) that is removed at the end, whatever happens."""

    @property
    @abstractmethod
    def children(self) -> tuple[Child, ...]:
        """Those alive."""

    @abstractmethod
    async def spawn(self, command: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program; ``fds`` are descriptors it inherits, each number told in the variable that names it.

        Raises:
            EnvironmentLacksError: no such program, or its log cannot be written (a full disk).
        """

    @abstractmethod
    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child known by its number; whether there was somebody to get it."""

    def state(self, child: Child) -> str:
        """As ``Child.state``."""
        found = main.read_stat(child.pid)
        return found.state if found else "X"

    def address(self, name: str, role: str = "replica") -> str:
        """The host by which other parts reach the one of that name and role."""
        return LOOPBACK


class ProcessSupervisor(Supervisor):
    """Starts children in a process of its own, which ends them all when this one ends, however it does."""

    def __init__(self, channel: socket.socket, cpus: Mapping[str, tuple[int, ...]]) -> None:
        loop = asyncio.get_running_loop()
        self._channel = channel
        self._cpus = cpus
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._starting: dict[int, ProcessSpec] = {}
        self._abandoned: set[int] = set()  # cancelled while they were starting
        self._children: dict[int, Child] = {}
        self._buffer = b""
        self._closing = False
        self._ready: asyncio.Future[Path] = loop.create_future()
        self._gone = asyncio.Event()
        self.deaths = asyncio.Queue()
        loop.add_reader(channel, self._read)

    @property
    def scratch(self) -> Path:
        """Made by the process, which removes it."""
        return self._ready.result()

    @property
    def children(self) -> tuple[Child, ...]:
        """Those alive."""
        return tuple(child for child in self._children.values() if child.alive)

    async def ready(self) -> None:
        """Wait until it takes orders.

        Raises:
            EnvironmentLacksError: it cannot make its scratch directory.
        """
        await asyncio.shield(self._ready)

    async def spawn(self, command: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program.

        Raises:
            EnvironmentLacksError: no such program, or its log cannot be written (a full disk).
        """
        fds = fds or {}
        try:
            command.log.parent.mkdir(parents=True, exist_ok=True)
            number, answer = self._order(self._spawning(command, list(fds)), list(fds.values()))
            self._starting[number] = command
            await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._abandoned.add(number)
            raise
        except OSError as problem:
            raise _lacking(command, problem) from problem
        return self._children[number]

    def _spawning(self, command: ProcessSpec, fds: list[str]) -> dict[str, Any]:
        return {
            "do": "spawn",
            "argv": command.argv,
            "log": str(command.log.absolute()),
            "env": dict(command.env),
            "cwd": str(command.cwd) if command.cwd else None,
            "cpus": command.cpus or self.cores(command.role),
            "fds": fds,
        }

    def cores(self, role: str) -> tuple[int, ...]:
        """Those that a role may use; none: all."""
        return self._cpus.get(role, ())

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child known by its number."""
        order = {"do": "signal", "child": child, "signal": number, "group": group}
        return bool(await asyncio.shield(self._order(order)[1]))

    async def run_at_end(self, argv: Sequence[str]) -> None:
        """Have a command run when all is ended, whatever ended it; none, if it is empty."""
        await asyncio.shield(self._order({"do": "at_end", "argv": list(argv)})[1])

    async def end(self) -> None:
        """Have everything killed and the scratch directory removed; returns when that is done."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        await self._gone.wait()

    def _order(self, order: dict[str, Any], fds: Sequence[int] = ()) -> tuple[int, asyncio.Future[int]]:
        """Number an order and send it; its answer is to come."""
        if self._gone.is_set():
            raise _ended_by_itself()
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._send(json.dumps({"order": number, **order}).encode() + b"\n", fds)
        return number, self._answers[number]

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        # Blocking, and never for long: an order is small, and the supervisor does nothing but read them.
        with contextlib.suppress(ConnectionError):  # its end is told where it is read
            sent = socket.send_fds(self._channel, [data], fds)
            self._channel.sendall(data[sent:])

    def _read(self) -> None:
        try:
            data = self._channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        if not data:
            self._lost()

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"say": "ready", "scratch": scratch}:
                self._ready.set_result(Path(scratch))
            case {"say": "failed", "order": 0, "errno": number, "path": path}:
                problem = f"cannot make {path}: {os.strerror(number)}"
                self._ready.set_exception(EnvironmentLacksError(problem, "make room for a few small files there"))
            case {"say": "done", "order": order, "value": value}:
                self._started(order, value)
                self._answers.pop(order).set_result(value)
            case {"say": "failed", "order": order, "errno": number, "path": path}:
                self._answers.pop(order).set_exception(OSError(number, os.strerror(number), path))
            case {"say": "exited", "child": child, "code": code}:
                self._child_ended(self._children[child], code)

    def _started(self, order: int, pid: int) -> None:
        command = self._starting.pop(order, None)
        if command is None:
            return
        self._children[order] = Child(self, order, command, pid)
        if order in self._abandoned:
            self._children[order].end_expected = True
            self._order({"do": "signal", "child": order, "signal": signal.SIGKILL, "group": True})

    def _child_ended(self, child: Child, code: int) -> None:
        child.mark_ended(code)
        if not child.end_expected and not self._closing:
            self.deaths.put_nowait(Death(child.name, child.role, code, child.log))

    def _lost(self) -> None:
        """The supervisor has ended, and all its children with it."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._gone.set()
        pending: list[asyncio.Future[Any]] = [self._ready, *self._answers.values()]
        for waiting in pending:
            if not waiting.done():
                waiting.set_exception(_ended_by_itself())
                waiting.exception()  # seen, even where nobody waits for it any more
        for child in self.children:
            child.mark_ended(-signal.SIGKILL)
        if not self._closing:
            self.deaths.put_nowait(Death("supervisor", "harness", -signal.SIGKILL))


def _ended_by_itself() -> UntrustedError:
    return UntrustedError("the supervisor of this run ended by itself", "start the run again")


def _lacking(command: ProcessSpec, problem: OSError) -> EnvironmentLacksError:
    """A failed start, told to a person."""
    if problem.errno == errno.ENOSPC:
        return EnvironmentLacksError(f"the disk is full: {command.log} cannot be written", "free some space")
    if problem.filename and Path(problem.filename) in (command.log.absolute(), *command.log.absolute().parents):
        return EnvironmentLacksError(f"{command.log} cannot be written: {problem.strerror}", "choose another --out DIR")
    program = command.argv[0]
    if problem.errno == errno.ENOENT and problem.filename == program:
        return EnvironmentLacksError(f"{program} is not on this machine, and {command.name} needs it", "harness doctor")
    return EnvironmentLacksError(f"{command.name} does not start: {program}: {problem.strerror}", "harness doctor")


def environment(run_id: str) -> dict[str, str]:
    """What children inherit: this process's environment without what is meant for this process alone.

    Proxies never touch loopback traffic, and the flag that keeps the harness's own Locust import from patching it is no
    flag of the load process.
    """
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "LOCUST_SKIP_MONKEY_PATCH"}
    return {**kept, "NO_PROXY": "*", "no_proxy": "*", main.RUN_VARIABLE: run_id}


@asynccontextmanager
async def start_supervisor(
    run_id: str, cpus: Mapping[str, tuple[int, ...]] | None = None
) -> AsyncIterator[ProcessSupervisor]:
    """A supervisor for the length of a scope. ``cpus`` says which cores a role may use; by default the machine decides.

    Raises:
        EnvironmentLacksError: it cannot make its scratch directory.
    """
    ours, theirs = socket.socketpair()
    supervisor = ProcessSupervisor(ours, cpus_by_role(_cores()) if cpus is None else cpus)
    process = subprocess.Popen(  # noqa: ASYNC220 - two milliseconds, once a run
        [sys.executable, "-I", "-S", str(Path(main.__file__)), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment(run_id),
        start_new_session=True,
    )
    theirs.close()
    try:
        await supervisor.ready()
        yield supervisor
    finally:
        await supervisor.end()
        process.wait()


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
