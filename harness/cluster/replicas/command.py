"""A replica of a user-supplied service: a program that knows nothing of the harness."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.replicas.managed import ManagedReplica, OnStart, member_of
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.cluster.supervisor.listening import listening_addresses, process_tree
from harness.cluster.supervisor.main import descendants, identity, processes
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation
from harness.common.waiting import wait_until
from harness.scenario.services import Command, PlaceholderValues

_POLL_INTERVAL_S = 0.05
_PORT_FREE_TIMEOUT_S = 2.0  # for the port of a replica that was killed


@dataclass(frozen=True)
class ReplicaOrders:
    """What all replicas of one topology have in common."""

    target: Command
    store: str  # its URL, empty if there is none
    on_start: OnStart


class CommandReplica(ManagedReplica):
    """One copy of a program, at its own port. Its boot id is its name and the number of its start."""

    def __init__(self, name: str, supervisor: Supervisor, port: Reservation, logs: Path, orders: ReplicaOrders) -> None:
        super().__init__(supervisor, member_of(name, supervisor, port.port), logs)
        self._target = orders.target
        self._port = port
        self._values = PlaceholderValues(port.port, name, orders.store)
        self._on_start = orders.on_start
        self._starts = 0

    async def start(self) -> None:
        """Start it and wait until it is ready and owns the socket that answers.

        Raises:
            EnvironmentLacksError: it ends, listens elsewhere, or is not ready in time.
        """
        self._starts += 1
        self.boot = f"{self.name}.{self._starts}"
        self._on_start(self.name, self.boot)
        self._port.close()  # the program may bind without SO_REUSEADDR
        self._child = await self._supervisor.spawn(self._spec())
        await self._require_ready(self._child)

    def _spec(self) -> ProcessSpec:
        directory = Path(self._target.cwd or ".")
        if not directory.is_dir():
            raise EnvironmentLacksError(f"there is no directory {directory} to start {self.name} in", "correct cwd=")
        # The user's PATH, with the directory of this Python at its end.
        path = os.pathsep.join(filter(None, [os.environ.get("PATH"), str(Path(sys.executable).parent)]))
        env = {"PATH": path, **self._target.environment(self._values)}
        return ProcessSpec(self.name, "replica", self._target.argv(self._values), self._log, env, directory)

    async def _require_ready(self, child: Child) -> None:
        timeout_s = parse_seconds(self._target.ready_within)
        problem = await self._wait_until_ready(child, ReadinessProbe(self._target.ready), timeout_s)
        if problem and not child.alive:
            raise self._ended_error(child, await child.wait())
        addresses = await asyncio.to_thread(lambda: listening_addresses(process_tree(child.pid)))
        ports = {port for _, port in addresses}
        if problem:
            raise self._never_ready_error(ports, problem)
        if self.member.port not in ports:
            raise EnvironmentLacksError(
                f"port {self.member.port} answers, but the socket belongs to no process of {self.name}",
                "end what listens there and run again; the program must not go into the background",
            )

    def _ended_error(self, child: Child, code: int) -> EnvironmentLacksError:
        last_lines = " | ".join(child.log_tail(3).splitlines())
        hint = f"its log is {self._log}; it was given port {self.member.port}, as {{port}} and PORT"
        if self._starts > 1 and "in use" in last_lines:
            hint = "without SO_REUSEADDR it cannot listen again for a minute; make it set that option"
        return EnvironmentLacksError(
            f"{self.name} ended with code {code} before it was ready: {last_lines or 'it printed nothing'}", hint
        )

    def _never_ready_error(self, ports: set[int], problem: str) -> EnvironmentLacksError:
        if ports and self.member.port not in ports:
            elsewhere = ", ".join(map(str, sorted(ports)))
            return EnvironmentLacksError(
                f"{self.name} listens on port {elsewhere}, not on {self.member.port}, which it was given",
                "put {port} into its command or env=, or let it read PORT",
            )
        cause = problem if ports else "it listens on no port"
        return EnvironmentLacksError(
            f"{self.name} was not ready within {self._target.ready_within}: {cause}",
            f"ready= names a path that answers 200 to 399, ready_within= gives it longer; its log is {self._log}",
        )

    async def stop(self, grace: float = 2.0) -> None:
        """Send SIGTERM if it handles that, then SIGKILL after ``grace`` seconds; return when all of it is gone."""
        if self._child:
            outside = _descendants_outside_group(self._child)
            await (self._child.stop(grace) if self._target.graceful else self._child.kill())
            _kill_all(outside)
            await self._wait_until_port_is_free()

    async def kill(self) -> Evidence:
        """SIGKILL it and all its descendants: confirmed if this signal ended it and its port is free."""
        outside = _descendants_outside_group(self._child) if self._child and self._child.alive else {}
        evidence = await super().kill()
        _kill_all(outside)
        free = await self._wait_until_port_is_free()
        self._port.take_back()
        return Evidence(evidence.confirmed and free, {**evidence.facts, "port_free": free})

    async def _wait_until_port_is_free(self) -> bool:
        probe, address = ReadinessProbe(None), self.member.address_from_host
        return bool(await wait_until(lambda: probe.problem(*address), _PORT_FREE_TIMEOUT_S, _POLL_INTERVAL_S))


def _descendants_outside_group(child: Child) -> dict[int, str]:
    """The descendants that left the child's process group: pid -> identity."""
    group = {process.pid for process in processes() if process.group == child.pid}
    return {pid: identity(pid) for pid in descendants(child.pid) if pid not in group}


def _kill_all(identities: dict[int, str]) -> None:
    for pid, expected in identities.items():
        if identity(pid) == expected:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
