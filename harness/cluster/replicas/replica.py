"""A replica: one process of a built-in target, at an address that stays the same over restarts."""

import asyncio
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.cluster.capabilities import Evidence, Keys, Member, SlotUsage
from harness.cluster.replicas import admin
from harness.cluster.replicas.probes import HealthReport, probe
from harness.cluster.replicas.volume import empty_volume, truncate_newest, volume_bytes
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.cluster.supervisor.signals import (
    Throttle,
    kill_child,
    pause_child,
    resume_child,
    terminate_child,
    wait_until_stopped,
)
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from harness.common.ports import LOOPBACK, Reservation
from harness.scenario.services import BuiltIn

READY_TIMEOUT_S = 15.0  # seconds
GRACE_S = 6.0  # seconds that a replica asked to end is given: a second more than the targets give their requests
_POLL_INTERVAL_S = 0.02


@dataclass(frozen=True)
class TargetSettings:
    """What all replicas of one topology have in common."""

    service: BuiltIn
    limits: Limits
    nonce: str
    secret: str
    journal: Path
    store: str | None  # its url
    home: Path  # the directory that holds the package ``targets``
    volumes: Path  # holds a directory for each replica
    peers: Mapping[str, str]  # host:port of every replica so far, by name: it grows with them
    listen: str = LOOPBACK
    changed: dict[str, str] = field(default_factory=dict)  # options that were changed while replicas ran

    def volume(self, name: str) -> Path:
        """The replica's own directory, made where it is not there; it outlives the replica's process."""
        directory = self.volumes / name
        directory.mkdir(exist_ok=True)
        return directory

    def argv(self, name: str, port: int) -> tuple[str, ...]:
        """The command line of one replica (docs/wire.md)."""
        service = self.service
        flags = {
            "app": service.app,
            "state": service.state,
            "host": self.listen,
            "port": str(port),
            "replica": name,
            "nonce": self.nonce,
            "secret": self.secret,
            "journal": str(self.journal.absolute()),
            "volume": str(self.volume(name)),
            "peers": ",".join(f"{peer}={address}" for peer, address in self.peers.items()),
            "service-time": service.service_time,
            "slots": str(service.slots),
        }
        pairs = [
            *flags.items(),
            *(("option", f"{key}={value}") for key, value in {**service.options, **self.changed}.items()),
        ]
        if self.store:
            pairs.append(("store", self.store))
        # -P: a directory named targets where the user stands is not ours
        return (sys.executable, "-P", "-m", "targets", *(f"--{key}={value}" for key, value in pairs))

    def environment(self) -> dict[str, str]:
        """What makes Python find the package."""
        inherited = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(self.home), inherited]))}


def member_of(name: str, supervisor: Supervisor, port: int) -> Member:
    """A replica at a port of this machine, which is its own port in a container too."""
    host = supervisor.address(name)
    return Member(name, host, port, None if host == LOOPBACK else (LOOPBACK, port))


class ManagedReplica(ABC):
    """A replica as a process of this machine: it can be killed, restarted in place, paused and resumed."""

    def __init__(self, supervisor: Supervisor, member: Member, logs: Path) -> None:
        self._supervisor = supervisor
        self._log = logs / f"{member.name}.log"
        self._child: Child | None = None
        self._throttle: Throttle | None = None
        self.name = member.name
        self.member = member
        self.boot = ""

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""
        return self._child.pid if self._child and self._child.alive else None

    @abstractmethod
    async def start(self) -> None:
        """Start it; returns when it is ready."""

    async def stop(self, grace: float = 2.0) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds; returns when it is gone."""
        if self._child:
            await self._child.stop(grace)

    async def kill(self) -> Evidence:
        """SIGKILL: landed when its process is gone, by this signal."""
        done = await kill_child(self._child)
        return Evidence(done.confirmed, {**done.facts, "boot": self.boot})

    async def restart(self) -> Evidence:
        """Start it again at its address: landed when it answers with another boot id. A no-op where it runs."""
        before, old_pid = self.boot, self._child.pid if self._child else None
        if self.pid is not None:
            return Evidence(True, {"pid": self.pid, "boot": self.boot, "was_running": True})
        begun = time.monotonic()
        await self.start()
        took = round(time.monotonic() - begun, 3)
        facts = {"old_boot": before, "boot": self.boot, "old_pid": old_pid, "pid": self.pid, "ready_s": took}
        return Evidence(self.boot != before, facts)

    async def terminate(self) -> Evidence:
        """SIGTERM: landed when its process is gone."""
        done = await terminate_child(self._child, GRACE_S)
        return Evidence(done.confirmed, {**done.facts, "boot": self.boot})

    async def throttle(self, by: float) -> Evidence:
        """Stopped for ``by`` seconds, let run for 10 ms, and so on: landed when the kernel showed it stopped."""
        if self._child is None or self.pid is None or self._throttle is not None:
            return Evidence(False, {"reason": "it was not running, or was slow already"})
        self._throttle = Throttle(self._child, by)
        shown = await wait_until_stopped(self._child)
        return Evidence(shown.confirmed, {**shown.facts, "stands_still_s": by, "runs_s": Throttle.RUNS})

    async def unthrottle(self) -> Evidence:
        """Let run freely: landed when the kernel shows it running."""
        if self._throttle is not None:
            await self._throttle.end()
            self._throttle = None
        return await resume_child(self._child)

    async def pause(self) -> Evidence:
        """SIGSTOP: landed when the kernel shows it stopped."""
        done = await pause_child(self._child)
        return Evidence(done.confirmed, {**done.facts, "boot": self.boot})

    async def resume(self) -> Evidence:
        """SIGCONT: landed when the kernel shows it running."""
        return await resume_child(self._child)


class BuiltinReplica(ManagedReplica):
    """A replica of a built-in target, which says of itself who it is."""

    def __init__(
        self,
        name: str,
        settings: TargetSettings,
        supervisor: Supervisor,
        port: Reservation,
        logs: Path,
        *,
        reached_at: int | None = None,
    ) -> None:
        """``reached_at`` is the port by which others reach it, where a link lies in between."""
        super().__init__(supervisor, member_of(name, supervisor, reached_at or port.port), logs)
        self._settings = settings
        self._listens_on = port.port
        self._opened_s = 0.0

    async def start(self) -> None:
        """Start it; returns when it answers as ours.

        Raises:
            EnvironmentLacksError: it ends, something else answers at its port, or it is not ready in time.
        """
        command = ProcessSpec(
            self.name,
            "replica",
            self._settings.argv(self.name, self._listens_on),
            self._log,
            self._settings.environment(),
            port=self._listens_on,
            limits=self._settings.limits,
        )
        self._child = await self._supervisor.spawn(command)
        health = await self._ready(self._child)
        self.boot, self._opened_s = health.boot, health.opened_s

    async def _ready(self, child: Child) -> HealthReport:
        give_up = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < give_up:
            health = await self.health()
            if not child.alive:
                raise EnvironmentLacksError(
                    f"{self.name} ended with code {await child.wait()} before it was ready: {child.log_tail(3)}",
                    f"see {self._log}",
                )
            if health and health.status != 503:
                return self._ours(health)
            await asyncio.sleep(_POLL_INTERVAL_S)
        raise EnvironmentLacksError(f"{self.name} was not ready within {READY_TIMEOUT_S:g} s", f"see {self._log}")

    def _ours(self, health: HealthReport) -> HealthReport:
        if health.status == 200 and health.nonce == self._settings.nonce and health.replica == self.name:
            return health
        raise EnvironmentLacksError(
            f"port {self._listens_on} answers, but not as ours ({self.name}, status {health.status})",
            "end what listens there and run again",
        )

    async def keys(self) -> Keys | None:
        """What it tells of its keys; None where it has none."""
        return await admin.fetch_keys(LOOPBACK, self._listens_on)

    async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
        """Sign with this key and accept these, as whoever starts later will; None where it does not say so."""
        told = await admin.replace_keys(LOOPBACK, self._listens_on, signing, accepted)
        if told is not None:
            self._settings.changed.update(signing=str(signing), accepted=",".join(map(str, accepted)))
        return told

    async def load(self) -> SlotUsage | None:
        """How busy its slots have been; None where its capacity is not emulated."""
        return await admin.fetch_load(LOOPBACK, self._listens_on)

    async def lose_volume(self) -> Evidence:
        """Empty its volume: landed when nothing is there any more, and it was down."""
        return self._while_down(empty_volume)

    async def tear_volume(self, cut: int) -> Evidence:
        """Cut up to ``cut`` bytes off the end of its newest file: landed when that is shorter, and it was down."""
        return self._while_down(partial(truncate_newest, cut=cut))

    def _while_down(self, deed: Callable[[Path], Evidence]) -> Evidence:
        if self.pid is not None:
            return Evidence(False, {"reason": "it was running: kill it first"})
        return deed(self._settings.volume(self.name))

    async def restart(self) -> Evidence:
        """As of all replicas; the facts tell also the bytes on its volume, and how long it took to go on from them."""
        bytes_kept = volume_bytes(self._settings.volume(self.name))
        done = await super().restart()
        return Evidence(done.confirmed, {**done.facts, "volume_bytes": bytes_kept, "opened_s": self._opened_s})

    async def health(self) -> HealthReport | None:
        """What it says of itself now; None where it does not answer."""
        return await probe(LOOPBACK, self._listens_on)
