"""The etcd store: three members that agree by Raft and write to disk before they confirm; killed, they lose nothing."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.cluster.stores.http import http_json
from harness.cluster.stores.server import Server, StoreCluster
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK

_INSTALL = "apt-get install etcd-server, then systemctl disable --now etcd (or brew install etcd)"


class EtcdMember(Server):
    """One member. After ``kill`` and ``restart`` it has what it had on disk, and gets the rest from the others."""

    POLL_INTERVAL_S = 0.05

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        super().__init__(supervisor, logs, name)
        self.peer = f"{name}=http://{LOOPBACK}:{self.reserve()}"
        self.cluster: Sequence[str] = ()

    def argv(self) -> tuple[str, ...]:
        """Loopback alone; the time-outs are etcd's defaults: an election after a second without a leader."""
        clients, peers = f"http://{LOOPBACK}:{self.port}", self.peer.partition("=")[2]
        listening = ("--listen-client-urls", clients, "--listen-peer-urls", peers)
        advertised = ("--advertise-client-urls", clients, "--initial-advertise-peer-urls", peers)
        cluster = ("--initial-cluster", ",".join(self.cluster), "--initial-cluster-token", self.cluster[0])
        own = ("--name", self.name, "--data-dir", str(self.folder / "data"))
        return (EtcdStore.program(), *own, *listening, *advertised, *cluster, "--logger", "zap", "--log-level", "warn")

    async def answers(self) -> bool:
        """It has a leader that a majority accepts."""
        return bool((await http_json(*self.reach(self.port), "/health"))["health"] == "true")

    async def stop(self) -> None:
        """By force: on SIGTERM it would spend seconds handing the leadership to members that end as well."""
        await self.kill()
        await super().stop()

    async def leads(self) -> bool:
        """Whether it considers itself the leader."""
        status = await http_json(*self.reach(self.port), "/v3/maintenance/status", {})
        return bool(status["leader"] == status["header"]["member_id"])


class EtcdStore(StoreCluster[EtcdMember]):
    """Three members; two of them are enough."""

    name = "etcd"

    def __init__(self, supervisor: Supervisor, logs: Path, members: int = 3) -> None:
        self._etcd_members = [EtcdMember(supervisor, logs, f"etcd-{number}") for number in range(members)]
        super().__init__(self._etcd_members)
        for member in self._etcd_members:
            member.cluster = [other.peer for other in self._etcd_members]

    @staticmethod
    def program() -> str:
        """The etcd on PATH.

        Raises:
            EnvironmentLacksError: there is none.
        """
        path = shutil.which("etcd")
        if path is None:
            raise EnvironmentLacksError("etcd is not on this machine", _INSTALL)
        return path

    @property
    def url(self) -> str:
        """``etcd://host:port,host:port,host:port``."""
        return "etcd://" + ",".join(f"{LOOPBACK}:{member.port}" for member in self._etcd_members)

    async def primary(self) -> EtcdMember | None:
        """The leader."""
        for member in self._etcd_members:
            if member.pids and await member.leads():
                return member
        return None
