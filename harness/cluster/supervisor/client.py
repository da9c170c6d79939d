"""The harness's side of the supervisor process: it sends orders and keeps track of the children."""

import asyncio
import contextlib
import errno
import itertools
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.supervisor.child import Child, Death
from harness.cluster.supervisor.interface import Supervisor
from harness.cluster.supervisor.process_spec import ProcessSpec
from harness.common.errors import EnvironmentLacksError, UntrustedError

#: The variable that holds the descriptor by which a warm process gets its orders.
WARM_CHANNEL = "HARNESS_WARM_CHANNEL"


class ProcessSupervisor(Supervisor):
    """Starts children in a separate process, which ends them all when the harness ends, for whatever reason.

    ``channel`` is the socket to that process; ``cpus`` are the cores that each role may use. ``copies`` says that the
    process is warm: if it ends while no copy of it runs, nothing is lost, and the next start needs another one.
    """

    def __init__(self, channel: socket.socket, cpus: Mapping[str, tuple[int, ...]], *, copies: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self._channel = channel
        self._cpus = cpus
        self._starts_copies = copies
        self._warm: dict[Child, ProcessSupervisor] = {}  # by the process of which their children are copies
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[int]] = {}
        self._starting: dict[int, ProcessSpec] = {}
        self._abandoned: set[int] = set()  # cancelled during their start
        self._children: dict[int, Child] = {}
        self._buffer = b""
        self._closing = False
        self._ready: asyncio.Future[Path] = loop.create_future()
        self._disconnected = asyncio.Event()
        self.deaths = asyncio.Queue()
        loop.add_reader(channel, self._read)

    @property
    def scratch(self) -> Path:
        """A directory with a short path, created and removed by the supervisor process."""
        return self._ready.result()

    @property
    def children(self) -> tuple[Child, ...]:
        """The children that are alive, and the copies of warm ones in place of these."""
        own = (child for child in self._children.values() if child.alive and child not in self._warm)
        return (*own, *(copy for copies in self._warm.values() for copy in copies.children))

    @property
    def has_ended(self) -> bool:
        """Whether the process that starts its children is gone, and all of them with it."""
        return self._disconnected.is_set()

    async def wait_until_ready(self) -> None:
        """Wait until the supervisor process takes orders.

        Raises:
            EnvironmentLacksError: it cannot make its scratch directory.
        """
        await asyncio.shield(self._ready)

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a program. It inherits the descriptors ``fds``; the variable of that name holds each number.

        Raises:
            EnvironmentLacksError: no such program, or its log cannot be written (a full disk).
        """
        fds = fds or {}
        try:
            spec.log.parent.mkdir(parents=True, exist_ok=True)
            number, reply = self._send_order(self._spawn_order(spec, list(fds)), list(fds.values()))
            self._starting[number] = spec
            await asyncio.shield(reply)
        except asyncio.CancelledError:
            self._abandoned.add(number)
            raise
        except OSError as problem:
            raise _start_error(spec, problem) from problem
        return self._children[number]

    async def spawn_warm(self, spec: ProcessSpec) -> "ProcessSupervisor":
        """Start a warm process (``main.py``), and return what starts its copies. It ends with this supervisor.

        Raises:
            As ``spawn``.
        """
        own_end, its_end = socket.socketpair()
        with its_end:
            process = await self.spawn(spec, {WARM_CHANNEL: its_end.fileno()})
        process.end_expected = True  # the copies that end with it are reported
        copies = self._warm[process] = ProcessSupervisor(own_end, {}, copies=True)
        copies.deaths = self.deaths
        return copies

    def _spawn_order(self, spec: ProcessSpec, fds: list[str]) -> dict[str, Any]:
        return {
            "do": "spawn",
            "argv": spec.argv,
            "log": str(spec.log.absolute()),
            "env": {**spec.env, **spec.secrets},
            "cwd": str(spec.cwd) if spec.cwd else None,
            "cpus": spec.cpus or self.cores(spec.role),
            "fds": fds,
        }

    def cores(self, role: str) -> tuple[int, ...]:
        """Return the cores that a role may use; empty if it may use all."""
        return self._cpus.get(role, ())

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Send a signal to a child, given by its number; return whether it was delivered."""
        order = {"do": "signal", "child": child, "signal": number, "group": group}
        return bool(await asyncio.shield(self._send_order(order)[1]))

    async def run_at_end(self, argv: Sequence[str]) -> None:
        """Have a command run after everything has ended, for whatever reason; an empty one cancels the last."""
        await asyncio.shield(self._send_order({"do": "at_end", "argv": list(argv)})[1])

    async def end(self) -> None:
        """Have all children killed and the scratch directory removed; return when that is done."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        await asyncio.gather(self._disconnected.wait(), *(copies.end() for copies in self._warm.values()))

    def _send_order(self, order: dict[str, Any], fds: Sequence[int] = ()) -> tuple[int, asyncio.Future[int]]:
        """Number an order and send it; return the number and the future reply."""
        if self._disconnected.is_set():
            raise _unexpected_end_error()
        number = next(self._numbers)
        self._replies[number] = asyncio.get_running_loop().create_future()
        data = json.dumps({"order": number, **order}).encode() + b"\n"
        # This blocks, but never for long: an order is small, and the supervisor process only reads orders.
        with contextlib.suppress(ConnectionError):  # reading from the socket reports its end
            sent = socket.send_fds(self._channel, [data], fds)
            self._channel.sendall(data[sent:])
        return number, self._replies[number]

    def _read(self) -> None:
        try:
            data = self._channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._on_message(json.loads(line))
        if not data:
            self._on_disconnect()

    def _on_message(self, message: dict[str, Any]) -> None:
        match message:
            case {"say": "ready", "scratch": scratch}:
                self._ready.set_result(Path(scratch))
            case {"say": "failed", "order": 0, "errno": number, "path": path}:
                problem = f"cannot make {path}: {os.strerror(number)}"
                self._ready.set_exception(EnvironmentLacksError(problem, "make room for a few small files there"))
            case {"say": "done", "order": order, "value": value}:
                self._on_started(order, value)
                self._replies.pop(order).set_result(value)
            case {"say": "failed", "order": order, "errno": number, "path": path}:
                self._replies.pop(order).set_exception(OSError(number, os.strerror(number), path))
            case {"say": "exited", "child": number, "code": code}:
                child = self._children[number]
                child.mark_ended(code)
                if not child.end_expected and not self._closing:
                    self.deaths.put_nowait(Death(child.name, child.role, code, child.log))

    def _on_started(self, order: int, pid: int) -> None:
        spec = self._starting.pop(order, None)
        if spec is None:
            return
        self._children[order] = Child(self, order, spec, pid)
        if order in self._abandoned:
            self._children[order].end_expected = True
            self._send_order({"do": "signal", "child": order, "signal": signal.SIGKILL, "group": True})

    def _on_disconnect(self) -> None:
        """The supervisor process has ended, and all its children with it."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._disconnected.set()
        pending: list[asyncio.Future[Any]] = [self._ready, *self._replies.values()]
        for future in pending:
            if not future.done():
                future.set_exception(_unexpected_end_error())
                future.exception()  # mark it as retrieved, even if its caller no longer waits
        deaths = [Death("supervisor", "harness", -signal.SIGKILL)]
        if self._starts_copies:
            lost = [child for child in self.children if not child.end_expected]
            deaths = [Death(child.name, child.role, -signal.SIGKILL, child.log) for child in lost]
        for death in deaths if not self._closing else ():
            self.deaths.put_nowait(death)
        for child in self._children.values():
            child.mark_ended(-signal.SIGKILL)


def _unexpected_end_error() -> UntrustedError:
    return UntrustedError("the supervisor of this run ended unexpectedly", "start the run again")


def _start_error(spec: ProcessSpec, problem: OSError) -> EnvironmentLacksError:
    if problem.errno == errno.ENOSPC:
        return EnvironmentLacksError(f"the disk is full: {spec.log} cannot be written", "free some space")
    if problem.filename and Path(problem.filename) in (spec.log.absolute(), *spec.log.absolute().parents):
        return EnvironmentLacksError(f"{spec.log} cannot be written: {problem.strerror}", "choose another --out DIR")
    program = spec.argv[0]
    if problem.errno == errno.ENOENT and problem.filename == program:
        return EnvironmentLacksError(f"{program} is not on this machine, and {spec.name} needs it", "harness doctor")
    return EnvironmentLacksError(f"{spec.name} does not start: {program}: {problem.strerror}", "harness doctor")
