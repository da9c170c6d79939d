"""What a balancer needs to start, and its process while it runs."""

import contextlib
import json
import os
import re
import shutil
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from harness.cluster.capabilities import Evidence, Member, Refusal
from harness.cluster.supervisor import Child, ProcessSpec
from harness.cluster.supervisor.signals import kill_child
from harness.common.errors import EnvironmentLacksError, HarnessError
from harness.common.http_client import ask
from harness.common.ports import LOOPBACK
from harness.common.waiting import wait_until
from harness.scenario.balancing import Balancing

_START_TIMEOUT_S = 10.0  # each is up in under 0.2 s on an idle machine
_POLL_INTERVAL_S = 0.01
_GRACE_S = 2.0
_MAX_SOCKET_PATH = 90  # a Unix socket's path has at most 107 bytes, and HAProxy adds a suffix while it binds

#: The path at which a balancer that reloads a rewritten configuration answers with the number of the current one.
GENERATION = "/harness-lb-generation"


def program(name: str, install: str) -> Path:
    """A program beside this Python, where a wheel installs it, else on PATH.

    Raises:
        EnvironmentLacksError: it is not there.
    """
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if path is None:
        raise EnvironmentLacksError(f"no {name} on this machine", install)
    return Path(path)


class Starter(Protocol):
    """Starts processes, none of which outlives the harness: the supervisor."""

    @property
    def listen(self) -> str:
        """The address at which its processes have to listen."""

    @property
    def shares_files(self) -> bool:
        """Whether its processes see the directories of the harness."""

    async def spawn(self, command: ProcessSpec) -> Child:
        """Start it; returns at once."""

    def reach(self, name: str, port: int) -> tuple[str, int]:
        """The address by which the harness reaches a port of the process of that name."""

    async def send_file(self, child: Child, file: Path) -> None:
        """Have a process see a file of its working directory as it is now, if it does not share it anyway."""


#: The address by which the harness reaches a port of a balancer.
Reach = Callable[[int], tuple[str, int]]


def at_loopback(port: int) -> tuple[str, int]:
    """The port of a process of this machine."""
    return LOOPBACK, port


@dataclass(frozen=True)
class Setup:
    """One balancer to start: how it balances which members, and where it may write.

    ``port`` is held by the caller (SO_REUSEPORT); ``scratch`` is for configuration and sockets, ``logs`` for output.
    Clients reach it at ``host``, the harness where ``reach`` says.
    """

    balancing: Balancing
    members: tuple[Member, ...]
    starter: Starter
    scratch: Path
    logs: Path
    port: int
    host: str = LOOPBACK
    reach: Reach = at_loopback

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://{self.host}:{self.port}"

    def reached_url(self, path: str) -> str:
        """The URL by which the harness reaches a path."""
        host, port = self.reach(self.port)
        return f"http://{host}:{port}{path}"

    def log(self, name: str) -> Path:
        """The file with the output of its process."""
        return self.logs / f"{name}.log"


Ready = Callable[[Child], Awaitable[bool]]


class Process:
    """A balancer's process: it can be killed, started again on its port, and replaced by another one."""

    def __init__(self, setup: Setup, name: str, argv: tuple[str, ...], ready: Ready) -> None:
        self._setup = setup
        self._name = name
        self._argv = argv
        self._ready = ready
        self._replaced: list[Child] = []
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process that serves, or the last one that did."""
        if self._child is None:
            raise HarnessError(f"{self._name} was not started")
        return self._child

    @property
    def pid(self) -> int | None:
        """Of the process that serves; None while there is none."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self, *more: str) -> None:
        """Start it, with ``more`` arguments; returns when it serves.

        Raises:
            EnvironmentLacksError: its port is taken.
            EnvironmentLacksError: it ended at once, or never became ready.
        """
        setup, argv = self._setup, (*self._argv, *more)
        command = ProcessSpec(self._name, "balancer", argv, setup.log(self._name), cwd=setup.scratch, port=setup.port)
        child = self._child = await setup.starter.spawn(command)
        await wait_for_process(lambda: self._ready(child), child, f"{self._name} to listen on port {setup.port}")

    async def send(self, file: Path) -> None:
        """Have it see a file of the scratch directory as it is now.

        Raises:
            HarnessError: it cannot be reached.
        """
        await self._setup.starter.send_file(self.child, file)

    async def replace(self, *more: str) -> Evidence:
        """Start another process, while the old one ends at its own pace: confirmed when the new one serves."""
        old = self.child
        old.end_expected = True
        self._replaced.append(old)
        await self.start(*more)
        return Evidence(self.pid not in (None, old.pid), {"old_pid": old.pid, "pid": self.pid})

    async def kill(self) -> Evidence:
        """SIGKILL: confirmed when its process is gone."""
        return await kill_child(self._child)

    async def restart(self) -> Evidence:
        """Start it again on its port if it is down; confirmed when it serves."""
        before = self.child.pid
        if self.pid is None:
            await self.start()
        return Evidence(self.pid is not None, {"old_pid": before, "pid": self.pid})

    async def stop(self) -> None:
        """End it and the processes that it replaced."""
        for child in (*self._replaced, self._child):
            if child is not None:
                await child.stop(_GRACE_S)


class RunningBalancer:
    """A balancer that runs: its URL and its process."""

    def __init__(self, setup: Setup, process: Process) -> None:
        self._setup = setup
        self._process = process

    @property
    def url(self) -> str:
        """The URL for clients."""
        return self._setup.url

    @property
    def pid(self) -> int | None:
        """Its (master) process, or None once it has ended."""
        return self._process.pid

    async def kill(self) -> Evidence:
        """SIGKILL to all its processes: connections are refused."""
        return await self._process.kill()

    async def restart(self) -> Evidence:
        """Start it again on its port with the current members."""
        return await self._process.restart()


@contextlib.asynccontextmanager
async def start_process(setup: Setup, name: str, argv: tuple[str, ...], ready: Ready) -> AsyncIterator[Process]:
    """Start a balancer's process and wait until it is ready; it is stopped at the end of the scope.

    Raises:
        EnvironmentLacksError: its port is taken.
        EnvironmentLacksError: it ended at once, or never became ready.
    """
    process = Process(setup, name, argv, ready)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


async def wait_for_process(holds: Callable[[], Awaitable[bool]], child: Child, what: str) -> None:
    """Wait for a condition that a running process will bring about.

    Raises:
        EnvironmentLacksError: the process ended because its port is taken.
        EnvironmentLacksError: the process ended for another reason, or ten seconds passed.
    """

    async def holds_yet() -> bool:
        if await holds():
            return True
        if not child.alive:
            raise end_error(child.log_tail(5), what)
        return False

    if not await wait_until(holds_yet, _START_TIMEOUT_S, _POLL_INTERVAL_S):
        raise EnvironmentLacksError(
            f"waited {_START_TIMEOUT_S:g} s in vain for {what}", f"its log ends: {child.log_tail(5)}"
        )


def end_error(tail: str, what: str) -> HarnessError:
    """The error for a balancer that ended, or refused its configuration, from the last lines of its log."""
    if re.search(r"[Aa]ddress (already )?in use", tail):  # the messages of glibc, musl and Go
        return EnvironmentLacksError(f"the port is taken (waiting for {what})", "stop what listens there and try again")
    return EnvironmentLacksError(f"the process ended (waiting for {what})", f"its log ends: {tail}")


async def serves(setup: Setup, generation: int | None = None) -> bool:
    """Whether a new connection is served with this generation of the configuration (None: with any)."""
    try:
        body = (await ask(setup.reached_url(GENERATION))).text
    except OSError:  # also where another program on the port accepts and never answers
        return False
    return body == str(generation) if generation is not None else body.isdigit()


def replace_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write a configuration file atomically; balancers that watch it notice the rename."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


def socket_in(setup: Setup, name: str) -> Path:
    """The path of its control socket.

    Raises:
        EnvironmentLacksError: the scratch directory's path is too long for that.
    """
    path = setup.scratch.resolve() / name
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise EnvironmentLacksError(f"{path} is too long for a socket's path", "set TMPDIR to a shorter directory")
    return path


def control_port(port: int) -> int:
    """The port at which a balancer takes orders where it has no Unix socket: the one after that for clients."""
    return port + 1


@dataclass(frozen=True)
class ControlPlace:
    """Where a balancer takes orders: a Unix socket, or a port where it shares no files with the harness."""

    place: Path | int
    reach: Reach = at_loopback

    @classmethod
    def of(cls, setup: Setup, name: str) -> Self:
        """That of a balancer that is about to start; ``name`` is that of the socket.

        Raises:
            EnvironmentLacksError: the scratch directory's path is too long for a Unix socket.
        """
        if setup.starter.shares_files:
            return cls(socket_in(setup, name))
        return cls(control_port(setup.port), setup.reach)

    def __str__(self) -> str:
        return str(self.place) if isinstance(self.place, Path) else "{}:{}".format(*self.reach(self.place))


def read_refusals(log: Path, refusals_in: Callable[[Iterable[str]], Iterable[Refusal]]) -> tuple[Refusal, ...]:
    """The refusals in a log file; none if it does not exist yet."""
    if not log.exists():
        return ()
    with log.open(encoding="utf-8", errors="replace") as lines:
        return tuple(refusals_in(lines))
