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
from harness.common.pip_line import extra_line


class NatsServer(Server):
    """One server. After ``kill`` and ``restart`` it has what it had on disk, and gets the rest from the others."""

    POLL_INTERVAL_S = 0.05
    DURABLE = True

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        super().__init__(supervisor, logs, name)
        self._monitor = self.reserve()
        self._route_port = self.reserve()
        self.members: Sequence[NatsServer] = ()

    @property
    def route(self) -> str:
        """Where the others reach it."""
        return f"{self.address}:{self._route_port}"

    def argv(self) -> tuple[str, ...]:
        """The time-outs are the defaults of NATS."""
        config = self.folder / "nats.conf"
        config.write_text(json.dumps(self._config(), indent=1))
        return (self._supervisor.program("nats-server", NatsStore.program), "--config", str(config))

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "server_name": self.name,
            "listen": f"{self.listen}:{self.port}",
            "client_advertise": f"{self.address}:{self.port}",
            "http": f"{self.listen}:{self._monitor}",
            "jetstream": {"store_dir": str(self.folder)},
        }
        if len(self.members) == 1:
            return config
        place = {"listen": f"{self.listen}:{self._route_port}", "advertise": self.route}
        routes = [f"nats://{member.route}" for member in self.members]
        return {**config, "cluster": {"name": "sessions", **place, "routes": routes}}

    async def answers(self) -> bool:
        """It is ready, and so is all its data."""
        return bool((await http_json(*self.reach(self._monitor), "/healthz"))["status"] == "ok")

    async def leader(self) -> str | None:
        """The leader of the first bucket, as this server knows it; without a bucket, the leader of the servers."""
        if len(self.members) == 1:
            return self.name
        status = await http_json(*self.reach(self._monitor), "/jsz?streams=true")
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
            server.members = self._nats_servers

    @staticmethod
    def program() -> str:
        """The wheel's server where it is installed, else that on PATH.

        Raises:
            EnvironmentLacksError: neither is there.
        """
        path = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if path is None:
            raise EnvironmentLacksError("nats-server is not on this machine", extra_line("nats"))
        return path

    @property
    def url(self) -> str:
        """``nats://host:port,host:port,host:port``."""
        return "nats://" + ",".join(f"{server.address}:{server.port}" for server in self._nats_servers)

    async def primary(self) -> NatsServer | None:
        """The leader of the bucket: all servers that are up have to name the same one, and it is one of them."""
        up = [server for server in self._nats_servers if server.pids]
        leaders = {await server.leader() for server in up}
        return next((server for server in up if leaders == {server.name}), None)
