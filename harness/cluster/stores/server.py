"""What stores are made of: a server process that restarts at its own address, or a cluster of them."""

import asyncio
import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from harness.cluster.capabilities import Evidence
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation, non_ephemeral_port
from harness.common.waiting import wait_until

READY_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.01


class Scope(ABC):
    """Something that is up for the length of an asynchronous scope."""

    @abstractmethod
    async def start(self) -> None:
        """Start it and wait until it can be used."""

    @abstractmethod
    async def stop(self) -> None:
        """End it and wait for its end."""

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class Server(Scope):
    """One server process. Subclasses define ``argv`` and ``answers``; its log is ``<logs>/<name>.log``.

    ``folder`` is for its data, and is removed with it.
    """

    POLL_INTERVAL_S: ClassVar[float] = 0.01  # between two checks whether it answers yet
    DURABLE: ClassVar[bool] = False  # whether it keeps its data in ``folder``

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        self._name = name
        self._supervisor = supervisor
        self._reservations: list[Reservation] = []
        self._log = logs / f"{name}.log"
        self._child: Child | None = None
        self.port = self.reserve()
        self.folder = supervisor.scratch.resolve() / f"{name}-{self.port}"

    @property
    def name(self) -> str:
        """Its name in its log and in the evidence of faults."""
        return self._name

    @property
    def listen(self) -> str:
        """The address at which it has to listen."""
        return self._supervisor.listen

    def reach(self, port: int) -> tuple[str, int]:
        """Where the harness reaches one of its ports."""
        return self._supervisor.reach(self.name, port)

    @property
    def address(self) -> str:
        """Where replicas and other servers reach it; known before it starts, and the same after a restart."""
        return self._supervisor.address(self.name, "store")

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it listens, first for clients."""
        return tuple(reservation.port for reservation in self._reservations)

    @property
    def servers(self) -> "tuple[Server, ...]":
        """Itself alone."""
        return (self,)

    @property
    def pids(self) -> tuple[int, ...]:
        """Its process; none while it is down."""
        return (self._child.pid,) if self._child and self._child.alive else ()

    def reserve(self) -> int:
        """Reserve a port until it is stopped; the system gives it to no other connection."""
        self._reservations.append(non_ephemeral_port())
        return self._reservations[-1].lend()

    @abstractmethod
    def argv(self) -> Sequence[str]:
        """What to run."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it can be used; an OSError or EOFError means no."""

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EnvironmentLacksError: it ends, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ProcessSpec(
            self.name,
            "store",
            tuple(self.argv()),
            self._log,
            cwd=self.folder,
            port=self.port,
            more_ports=self.ports[1:],
            durable=self.DURABLE,
        )
        self._child = child = await self._supervisor.spawn(command)

        async def answers_or_ended() -> bool:
            with contextlib.suppress(OSError, EOFError):
                if await self.answers():
                    return True
            return not child.alive

        if not await wait_until(answers_or_ended, READY_TIMEOUT_S, self.POLL_INTERVAL_S) or not child.alive:
            raise EnvironmentLacksError(f"the store {self.name} did not start: {child.log_tail(2)}", f"see {self._log}")

    async def stop(self) -> None:
        """End it, wait for its end, and give its ports and its data back."""
        if self._child:
            await self._child.stop(grace=2.0)
        for reservation in self._reservations:
            reservation.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def kill(self) -> Evidence:
        """SIGKILL: what it held in memory alone is lost."""
        return await kill_child(self._child)

    async def restart(self) -> Evidence:
        """Start it again on the same port if it is down; confirmed if it runs."""
        before = self._child.pid if self._child else None
        if not self.pids:
            await self.start()
        return Evidence(bool(self.pids), {"old_pid": before, "pid": next(iter(self.pids), None)})

    async def pause(self) -> Evidence:
        """SIGSTOP: it keeps its connections and answers nothing."""
        return await pause_child(self._child)

    async def resume(self) -> Evidence:
        """SIGCONT."""
        return await resume_child(self._child)


S = TypeVar("S", bound=Server)


class StoreCluster(Scope, Generic[S]):
    """A store of several servers. Faults concern all of them, or the one that leads."""

    def __init__(self, members: Sequence[Server]) -> None:
        self._members = tuple(members)
        self._killed: S | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of all that are up."""
        return tuple(pid for member in self._members for pid in member.pids)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Its members."""
        return self._members

    @abstractmethod
    async def primary(self) -> S | None:
        """The member that leads, or (where each holds a part) any that is up; None if there is none at the moment."""

    async def start(self) -> None:
        """Start all at once and wait until one leads.

        Raises:
            EnvironmentLacksError: one ends, or none leads in time.
        """
        await self.restart()

    async def stop(self) -> None:
        """End all and wait for their end."""
        await asyncio.gather(*(member.stop() for member in self._members))

    async def kill(self) -> Evidence:
        """SIGKILL to all of them."""
        return await self._all(lambda member: member.kill(), [member for member in self._members if member.pids])

    async def restart(self) -> Evidence:
        """Start again those that are down, and wait until one leads."""
        evidence = await self._all(lambda member: member.restart(), self._members)
        await self._leader()
        return evidence

    async def pause(self) -> Evidence:
        """SIGSTOP to all of them."""
        return await self._all(lambda member: member.pause(), self._members)

    async def resume(self) -> Evidence:
        """SIGCONT to all of them."""
        return await self._all(lambda member: member.resume(), self._members)

    async def kill_primary(self) -> Evidence:
        """SIGKILL to the member that leads; the facts are its name and its pid."""
        self._killed = leader = await self._leader()
        evidence = await leader.kill()
        return Evidence(evidence.confirmed, {"server": leader.name, **evidence.facts})

    async def restart_primary(self) -> Evidence:
        """Start the member that ``kill_primary`` killed again: a follower, if another leads meanwhile."""
        if self._killed is None:
            return Evidence(False, {"reason": "its primary was not killed"})
        evidence = await self._killed.restart()
        return Evidence(evidence.confirmed, {"server": self._killed.name, **evidence.facts})

    async def _all(self, action: Callable[[Server], Awaitable[Evidence]], members: Sequence[Server]) -> Evidence:
        results = await asyncio.gather(*(action(member) for member in members))
        facts = {f"pid_{member.name}": result.facts.get("pid") for member, result in zip(members, results, strict=True)}
        return Evidence(bool(results) and all(result.confirmed for result in results), facts)

    async def _leader(self) -> S:
        async def find_leader() -> S | None:
            with contextlib.suppress(OSError, EOFError):
                return await self.primary()
            return None

        leader = await wait_until(find_leader, READY_TIMEOUT_S, _POLL_INTERVAL_S)
        if leader is None:
            names = ", ".join(member.name for member in self._members)
            raise EnvironmentLacksError(f"none of {names} leads after {READY_TIMEOUT_S:g} s", "see their logs")
        return leader
