"""A replica of a built-in target: it reports its own name, boot id and state."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.cluster.capabilities import Evidence, Keys, SlotUsage
from harness.cluster.replicas import admin
from harness.cluster.replicas.managed import ManagedReplica, member_of
from harness.cluster.replicas.probes import HealthReport, probe
from harness.cluster.replicas.volume import empty_volume, truncate_newest, volume_bytes
from harness.cluster.supervisor import Child, ProcessSpec, ProcessSupervisor, Spawner, Supervisor, start_warm
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from harness.common.ports import LOOPBACK, Reservation
from harness.common.waiting import wait_until
from harness.scenario.services import BuiltIn

READY_TIMEOUT_S = 15.0
_POLL_INTERVAL_S = 0.02


@dataclass(frozen=True)
class TargetSettings:
    """What all replicas of one topology have in common."""

    service: BuiltIn
    limits: Limits
    nonce: str
    secret: str
    journal: Path
    store: str | None  # its URL
    home: Path  # the directory that holds the package ``targets``
    volumes: Path  # holds a directory for each replica
    peers: Mapping[str, str]  # host:port of every replica so far, by name; it grows with the topology
    listen: str = LOOPBACK
    changed: dict[str, str] = field(default_factory=dict)  # options that were changed while replicas ran

    def volume(self, name: str) -> Path:
        """Return the directory of a replica, which outlives its process; make it if it does not exist."""
        directory = self.volumes / name
        directory.mkdir(exist_ok=True)
        return directory

    def argv(self, name: str, port: int) -> tuple[str, ...]:
        """Return the command line of one replica (docs/wire.md)."""
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
        # -P: a directory named targets in the current directory must not be imported
        return (sys.executable, "-P", "-m", "targets", *(f"--{key}={value}" for key, value in pairs))


async def start_warm_targets(supervisor: ProcessSupervisor, home: Path) -> Spawner:
    """Start what imports the server once for all first replicas of a run; ``home`` holds the package ``targets``."""
    return await start_warm(supervisor, "replica", ("targets.server.preloaded",), _environment(home))


def _environment(home: Path) -> dict[str, str]:
    """The variables by which Python finds the package."""
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(home), inherited]))}


class BuiltinReplica(ManagedReplica):
    """One process, or container, of a built-in target. Its address stays the same over restarts."""

    def __init__(
        self,
        name: str,
        settings: TargetSettings,
        supervisor: Supervisor,
        port: Reservation,
        logs: Path,
        *,
        link_port: int | None = None,
        warm: Spawner | None = None,
    ) -> None:
        """``link_port`` is the port by which others reach it, if there is a link in between.

        ``warm`` starts it the first time, before anything is measured; when it restarts, Python starts again too.
        """
        super().__init__(supervisor, member_of(name, supervisor, link_port or port.port), logs)
        self._settings = settings
        self._listens_on = port.port
        self._next_start: Spawner = warm or supervisor
        self._opened_s = 0.0

    async def start(self) -> None:
        """Start it and wait until it answers with this run's nonce.

        Raises:
            EnvironmentLacksError: it ends, something else answers at its port, or it is not ready in time.
        """
        spec = ProcessSpec(
            self.name,
            "replica",
            self._settings.argv(self.name, self._listens_on),
            self._log,
            _environment(self._settings.home),
            port=self._listens_on,
            limits=self._settings.limits,
        )
        spawner, self._next_start = self._next_start, self._supervisor
        self._child = await spawner.spawn(spec)
        health = await self._wait_for_health(self._child)
        self._require_same_run(health)
        self.boot, self._opened_s = health.boot, health.opened_s

    async def _wait_for_health(self, child: Child) -> HealthReport:
        health: HealthReport | None = None

        async def ready_or_ended() -> bool:
            nonlocal health
            health = await self.health()
            return not child.alive or (health is not None and health.status != 503)

        in_time = await wait_until(ready_or_ended, READY_TIMEOUT_S, _POLL_INTERVAL_S)
        if not child.alive:
            raise EnvironmentLacksError(
                f"{self.name} ended with code {await child.wait()} before it was ready: {child.log_tail(3)}",
                f"see {self._log}",
            )
        if health is None or not in_time:
            raise EnvironmentLacksError(f"{self.name} was not ready within {READY_TIMEOUT_S:g} s", f"see {self._log}")
        return health

    def _require_same_run(self, health: HealthReport) -> None:
        if health.status != 200 or health.nonce != self._settings.nonce or health.replica != self.name:
            raise EnvironmentLacksError(
                f"port {self._listens_on} answers, but not as {self.name} of this run (status {health.status})",
                "end what listens there and run again",
            )

    async def keys(self) -> Keys | None:
        """Return the keys that it reports; None if it has none."""
        return await admin.fetch_keys(LOOPBACK, self._listens_on)

    async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
        """Make it, and every replica that starts later, use these keys; None if it does not confirm them."""
        keys = await admin.replace_keys(LOOPBACK, self._listens_on, signing, accepted)
        if keys is not None:
            self._settings.changed.update(signing=str(signing), accepted=",".join(map(str, accepted)))
        return keys

    async def load(self) -> SlotUsage | None:
        """Return how busy its slots have been; None if its capacity is not emulated."""
        return await admin.fetch_load(LOOPBACK, self._listens_on)

    async def lose_volume(self) -> Evidence:
        """Empty its volume: confirmed if nothing is left there, and it was down."""
        return self._change_volume(empty_volume)

    async def tear_volume(self, cut: int) -> Evidence:
        """Cut up to ``cut`` bytes off the end of its newest file: confirmed if that is shorter, and it was down."""
        return self._change_volume(partial(truncate_newest, cut=cut))

    def _change_volume(self, change: Callable[[Path], Evidence]) -> Evidence:
        if self.pid is not None:
            return Evidence(False, {"reason": "it was running: kill it first"})
        return change(self._settings.volume(self.name))

    async def restart(self) -> Evidence:
        """As any replica; two more facts are the bytes on its volume, and the time that it took to load them."""
        bytes_kept = volume_bytes(self._settings.volume(self.name))
        evidence = await super().restart()
        facts = {**evidence.facts, "volume_bytes": bytes_kept, "opened_s": self._opened_s}
        return Evidence(evidence.confirmed, facts)

    async def health(self) -> HealthReport | None:
        """Ask it for its health report; None if it does not answer."""
        return await probe(LOOPBACK, self._listens_on)
