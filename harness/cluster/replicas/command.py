"""A replica of the user's own: a program that knows nothing of the harness."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.cluster.capabilities import Evidence
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.replicas.replica import ManagedReplica, member_of
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.cluster.supervisor.main import descendants, identity, processes
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation
from harness.scenario.services import Command as Target
from harness.scenario.services import PlaceholderValues

_POLL_INTERVAL_S = 0.05
_GONE_TIMEOUT_S = 2.0  # seconds in which nothing may be left at the port of a killed replica

#: Told of every start, before it: the replica's name, and the boot id that this start gets.
OnStart = Callable[[str, str], None]


@dataclass(frozen=True)
class ReplicaOrders:
    """What all replicas of one topology have in common."""

    target: Target
    store: str  # its url, empty where there is none
    on_start: OnStart


class CommandReplica(ManagedReplica):
    """One copy of a program, at a port of its own. Its boot id is its name and the number of its start."""

    def __init__(self, name: str, supervisor: Supervisor, port: Reservation, logs: Path, orders: ReplicaOrders) -> None:
        super().__init__(supervisor, member_of(name, supervisor, port.port), logs)
        self._target = orders.target
        self._port = port
        self._place = PlaceholderValues(port.port, name, orders.store)
        self._on_start = orders.on_start
        self._starts = 0

    async def start(self) -> None:
        """Start it; returns when it is ready and the socket that answers is one of its own.

        Raises:
            EnvironmentLacksError: it ends, listens elsewhere, or is not ready in time.
        """
        self._starts += 1
        self.boot = f"{self.name}.{self._starts}"
        self._on_start(self.name, self.boot)
        self._port.close()  # it may not set SO_REUSEADDR
        target, cwd = self._target, Path(self._target.cwd or ".")
        if not cwd.is_dir():  # noqa: ASYNC240 - once a start
            raise EnvironmentLacksError(f"there is no directory {cwd} to start {self.name} in", "mend cwd=")
        env = {"PATH": _path(), **target.environment(self._place)}
        words = target.argv(self._place)
        command = ProcessSpec(self.name, "replica", words, self._log, env, cwd)
        self._child = await self._supervisor.spawn(command)
        await self._ready(self._child)

    async def _ready(self, child: Child) -> None:
        answering, give_up = (
            ReadinessProbe(self._target.ready),
            time.monotonic() + parse_seconds(self._target.ready_within),
        )
        while trouble := await answering.problem(*self._address):
            if not child.alive:
                raise self._ended(await child.wait())
            if time.monotonic() > give_up:
                raise await asyncio.to_thread(self._never_ready, child, trouble)
            await asyncio.sleep(_POLL_INTERVAL_S)
        if self.member.port not in await asyncio.to_thread(listening, child.pid):
            raise EnvironmentLacksError(
                f"port {self.member.port} answers, but the socket belongs to no process of {self.name}",
                "end what listens there and run again; a program that goes into the background has to stay in front",
            )

    def _ended(self, code: int) -> EnvironmentLacksError:
        last = " | ".join(self._child.log_tail(3).splitlines()) if self._child else ""
        hint = f"its log is {self._log}; it was given port {self.member.port}, as {{port}} and PORT"
        if self._starts > 1 and "in use" in last:
            hint = "where it sets no SO_REUSEADDR it cannot listen again for a minute; have it set that"
        return EnvironmentLacksError(
            f"{self.name} ended with code {code} before it was ready: {last or 'it said nothing'}", hint
        )

    def _never_ready(self, child: Child, trouble: str) -> EnvironmentLacksError:
        ports = sorted(listening(child.pid))
        if ports and self.member.port not in ports:
            elsewhere = ", ".join(map(str, ports))
            return EnvironmentLacksError(
                f"{self.name} listens on port {elsewhere}, not on {self.member.port}, which it was given",
                "put {port} into its command or env=, or let it read PORT",
            )
        told = trouble if ports else "it listens on no port"
        return EnvironmentLacksError(
            f"{self.name} was not ready within {self._target.ready_within}: {told}",
            f"ready= names a path that answers 200 to 399, ready_within= gives it longer; its log is {self._log}",
        )

    async def stop(self, grace: float = 2.0) -> None:
        """SIGTERM where it heeds that, and SIGKILL after ``grace`` seconds; returns when all of it is gone."""
        if self._child:
            left = _apart(self._child)
            await (self._child.stop(grace) if self._target.graceful else self._child.kill())
            _end(left)
            await self._is_free()

    async def kill(self) -> Evidence:
        """SIGKILL to it and all below it: landed when it is gone, by this signal, and nothing listens at its port."""
        left = _apart(self._child) if self._child and self._child.alive else {}
        done = await super().kill()
        _end(left)
        free = await self._is_free()
        self._port.take_back()
        return Evidence(done.confirmed and free, {**done.facts, "port_free": free})

    async def _is_free(self) -> bool:
        give_up = time.monotonic() + _GONE_TIMEOUT_S
        while not await ReadinessProbe(None).problem(*self._address):
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(_POLL_INTERVAL_S)
        return True

    @property
    def _address(self) -> tuple[str, int]:
        return self.member.address_from_host


def listening(root: int) -> set[int]:
    """The TCP ports on which a process, one below it, or one of its group listens."""
    family = {root, *descendants(root), *(process.pid for process in processes() if process.group == root)}
    found: set[int] = set()
    for pid in family:
        with contextlib.suppress(psutil.Error):
            sockets = psutil.Process(pid).net_connections("tcp")
            found |= {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
    return found


def _apart(child: Child) -> dict[int, str]:
    """Those below a child that left its process group, with what tells each from a later process of its number."""
    group = {process.pid for process in processes() if process.group == child.pid}
    return {pid: identity(pid) for pid in descendants(child.pid) if pid not in group}


def _end(some: dict[int, str]) -> None:
    for pid, who in some.items():
        if identity(pid) == who:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _path() -> str:
    """Where programs are looked for: as the user does, and last beside this Python."""
    return os.pathsep.join(filter(None, [os.environ.get("PATH"), str(Path(sys.executable).parent)]))
