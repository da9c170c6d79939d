"""What all replicas that the harness starts have in common: they can be killed, restarted in place and paused."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Evidence, Member
from harness.cluster.replicas.probes import HealthProbe
from harness.cluster.supervisor import Child, Supervisor
from harness.cluster.supervisor.signals import (
    THROTTLE_RUN_S,
    kill_child,
    pause_child,
    resume_child,
    terminate_child,
    throttle,
    wait_until_stopped,
)
from harness.common.durations import parse_seconds
from harness.common.ports import LOOPBACK
from harness.common.waiting import wait_until
from harness.scenario.services import OwnService

GRACE_S = 6.0  # after SIGTERM: one second more than the targets give their requests
_POLL_INTERVAL_S = 0.05

#: Called before every start, with the name of the replica and the boot id of that start.
OnStart = Callable[[str, str], None]


def member_of(name: str, supervisor: Supervisor, port: int) -> Member:
    """Return a replica that listens on the same port on this machine and, with containers, inside its container."""
    host = supervisor.address(name)
    return Member(name, host, port, None if host == LOOPBACK else (LOOPBACK, port))


@dataclass(frozen=True)
class Ending:
    """How a replica is ended: by SIGTERM, with ``within_s`` seconds until SIGKILL, or at once if not ``graceful``."""

    within_s: float = GRACE_S
    graceful: bool = True


def ending_of(service: OwnService) -> Ending:
    """How a service of the user's own wants to be ended."""
    return Ending(parse_seconds(service.stop_within), service.graceful)


class ManagedReplica(ABC):
    """A replica that a supervisor starts."""

    def __init__(self, supervisor: Supervisor, member: Member, logs: Path, ending: Ending = Ending()) -> None:
        self._supervisor = supervisor
        self._ending = ending
        self._log = logs / f"{member.name}.log"
        self._child: Child | None = None
        self._throttle: AsyncExitStack | None = None
        self.name = member.name
        self.member = member
        self.boot = ""

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""
        return self._child.pid if self._child and self._child.alive else None

    @abstractmethod
    async def start(self) -> None:
        """Start it and wait until it is ready."""

    async def stop(self) -> None:
        """End it at the end of a run; return when it is gone. What needed SIGKILL is said in its log."""
        if self._child is None or not self._child.alive:
            return
        if not self._ending.graceful:
            await self._child.kill()
        elif not await self._child.ends_within(self._ending.within_s):
            await self._child.kill()
            with contextlib.suppress(OSError), self._log.open("a") as log:
                log.write(f"\nharness: SIGTERM did not end it within {self._ending.within_s:g} s, SIGKILL did\n")

    async def kill(self) -> Evidence:
        """SIGKILL: confirmed if this signal ended its process."""
        return self._with_boot(await kill_child(self._child))

    async def restart(self) -> Evidence:
        """Start it again at its address: confirmed if it answers with a new boot id. Does nothing while it runs."""
        old_boot, old_pid = self.boot, self._child.pid if self._child else None
        if self.pid is not None:
            return Evidence(True, {"pid": self.pid, "boot": self.boot, "was_running": True})
        begin = time.monotonic()
        await self.start()
        ready_s = round(time.monotonic() - begin, 3)
        facts = {"old_boot": old_boot, "boot": self.boot, "old_pid": old_pid, "pid": self.pid, "ready_s": ready_s}
        return Evidence(self.boot != old_boot, facts)

    async def terminate(self) -> Evidence:
        """SIGTERM: confirmed once its process is gone. The facts say what SIGKILL cut off, if it was needed."""
        return self._with_boot(await terminate_child(self._child, self._ending.within_s, self.count_cut_off))

    def count_cut_off(self) -> Mapping[str, int]:
        """What SIGKILL would cut off now; nothing that the harness could count."""
        return {}

    async def throttle(self, by: float) -> Evidence:
        """Stop it for ``by`` seconds, run it for 10 ms, and so on: confirmed once the kernel showed it stopped."""
        if self._child is None or self.pid is None or self._throttle is not None:
            return Evidence(False, {"reason": "it was not running, or was slow already"})
        self._throttle = AsyncExitStack()
        await self._throttle.enter_async_context(throttle(self._child, by))
        evidence = await wait_until_stopped(self._child)
        return Evidence(evidence.confirmed, {**evidence.facts, "stands_still_s": by, "runs_s": THROTTLE_RUN_S})

    async def unthrottle(self) -> Evidence:
        """Let it run freely again: confirmed once the kernel shows it running."""
        if self._throttle is not None:
            await self._throttle.aclose()
            self._throttle = None
        return await resume_child(self._child)

    async def pause(self) -> Evidence:
        """SIGSTOP: confirmed once the kernel shows it stopped."""
        return self._with_boot(await pause_child(self._child))

    async def resume(self) -> Evidence:
        """SIGCONT: confirmed once the kernel shows it running."""
        return await resume_child(self._child)

    def _with_boot(self, evidence: Evidence) -> Evidence:
        return Evidence(evidence.confirmed, {**evidence.facts, "boot": self.boot})

    async def _wait_until_ready(
        self, child: Child, probe: HealthProbe, timeout_s: float, hopeless: Callable[[], Awaitable[bool]] | None = None
    ) -> str:
        """Wait until the probe finds no problem, the child ends, it is ``hopeless``, or the time is up.

        Returns the last problem; empty if there is none.
        """
        problem = ""

        async def ready_or_ended() -> bool:
            nonlocal problem
            problem = await probe.problem(*self.member.address_from_host)
            return not problem or not child.alive or (hopeless is not None and await hopeless())

        await wait_until(ready_or_ended, timeout_s, _POLL_INTERVAL_S)
        return problem
