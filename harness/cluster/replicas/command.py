"""A replica of a user-supplied service: a program that knows nothing of the harness."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.replicas.managed import ManagedReplica, OnStart, ending_of, member_of
from harness.cluster.replicas.misplaced import MisplacedListener, format_address
from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.cluster.supervisor.listening import count_connections, is_reachable, listening_addresses, process_tree
from harness.cluster.supervisor.main import descendants, identity, processes
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation
from harness.common.waiting import wait_until
from harness.scenario.services import Command, PlaceholderValues

_POLL_INTERVAL_S = 0.05
_IN_USE = re.compile(r"EADDRINUSE|\bin use\b")  # Node's word for it, and that of nearly everyone else
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
        super().__init__(supervisor, member_of(name, supervisor, port.port), logs, ending_of(orders.target))
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
        target = self._target
        listener = MisplacedListener(child.pid, self.member.address_from_host, target.ready)
        timeout_s = parse_seconds(target.ready_within)
        problem = await self._wait_until_ready(child, ReadinessProbe(target.ready), timeout_s, listener.found)
        if problem and not child.alive:
            raise self._ended_error(child, await child.wait())
        if problem:
            raise self._never_ready_error(listener, problem)
        addresses = await asyncio.to_thread(lambda: listening_addresses(process_tree(child.pid)))
        if not any(is_reachable(address, self.member.address_from_host) for address in addresses):
            raise EnvironmentLacksError(
                f"port {self.member.port} answers, but the socket belongs to no process of {self.name}",
                "end what listens there and run again; the program must not go into the background",
            )

    def _ended_error(self, child: Child, code: int) -> EnvironmentLacksError:
        lines = child.log_tail(30).splitlines()
        in_use = next((line.strip() for line in lines if _IN_USE.search(line)), "")
        hint = f"its log is {self._log}; it was given port {self.member.port}, as {{port}} and PORT"
        if in_use and self._starts > 1:
            hint = "without SO_REUSEADDR it cannot listen again for a minute; make it set that option"
        elif in_use:  # by another copy: the port that it was given was free
            hint = f"it was given port {self.member.port}: put {{port}} into its command or env=, or let it read PORT"
        reason = in_use or " | ".join(lines[-3:]) or "it printed nothing"
        return EnvironmentLacksError(f"{self.name} ended with code {code} before it was ready: {reason}", hint)

    def _never_ready_error(self, listener: MisplacedListener, problem: str) -> EnvironmentLacksError:
        asked = format_address(listener.asked)
        if listener.addresses and listener.asked_in_vain:
            hint = "put {port} into its command or env=, or let it read PORT"
            if listener.has_right_port:
                hint = f"make it listen on {listener.asked[0]}, or on all addresses; localhost may mean ::1 alone"
            return EnvironmentLacksError(
                f"{self.name} listens on {listener.describe()}, not on {asked}, where it is asked", hint
            )
        cause = problem if listener.addresses else "it listens on no port"
        return EnvironmentLacksError(
            f"{self.name} was not ready within {self._target.ready_within}: {cause}",
            f"ready= names a path that answers 200 to 399, ready_within= gives it longer; its log is {self._log}",
        )

    async def stop(self) -> None:
        """End it as its service asks; return when all of it is gone."""
        if self._child:
            outside = _descendants_outside_group(self._child)
            await super().stop()
            _kill_all(outside)
            await self._wait_until_port_is_free()

    async def terminate(self) -> Evidence:
        """SIGTERM, then SIGKILL when its time is up; what it leaves behind gets SIGKILL, as in a container.

        Confirmed once the program is gone.
        """
        outside = _descendants_outside_group(self._child) if self._child and self._child.alive else {}
        evidence = await super().terminate()
        left_behind = _kill_all(outside)
        await self._wait_until_port_is_free()
        self._port.take_back()
        return Evidence(evidence.confirmed, {**evidence.facts, "left_behind": left_behind})

    def count_cut_off(self) -> dict[str, int]:
        """The connections that clients have open to it."""
        tree = process_tree(self._child.pid) if self._child else set()
        return {"open_connections": count_connections(tree, self.member.port)}

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


def _kill_all(identities: dict[int, str]) -> int:
    """SIGKILL those of the processes that still run; returns how many did."""
    killed = 0
    for pid, expected in identities.items():
        if identity(pid) == expected:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed
