"""The Hazelcast store: three members in memory, each entry with one synchronous backup; any one of them may die."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.http import http_json
from harness.cluster.stores.server import Server, StoreCluster
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK

_STARTER = "com.hazelcast.core.server.HazelcastMemberStarter"
_INSTALL = (
    "apt-get install openjdk-17-jre-headless maven (or brew install openjdk@17 maven), then "
    "mvn dependency:copy -Dartifact=com.hazelcast:hazelcast:5.5.0 -DoutputDirectory=$HOME/.cache/session-harness"
)
#: A small heap and a quick start matter here, not peak speed; validating the configuration would take seconds.
_JVM = (
    *("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
    *("-Djava.net.preferIPv4Stack=true", "-Dhazelcast.config.schema.validation.enabled=false"),
)
_PROPERTIES = {
    "hazelcast.phone.home.enabled": "false",
    "hazelcast.logging.type": "jdk",
    "hazelcast.wait.seconds.before.join": "0",
    "hazelcast.operation.fail.on.indeterminate.state": "true",  # without its backup a write is not acknowledged
}


class HazelcastMember(Server):
    """One member. After ``kill`` and ``restart`` it is empty, and takes its share of the entries from the others."""

    POLL_INTERVAL_S = 0.1

    def __init__(self, supervisor: Supervisor, logs: Path, name: str) -> None:
        super().__init__(supervisor, logs, name)
        self.members: Sequence[HazelcastMember] = ()

    def argv(self) -> tuple[str, ...]:
        """Loopback alone, without multicast; a small heap."""
        config = self.folder / "hazelcast.yaml"  # JSON is YAML
        config.write_text(json.dumps({"hazelcast": self._config()}, indent=1))
        location = (f"-Dhazelcast.config={config}", "-cp", HazelcastStore.program())
        return (_java(), *_JVM, *location, _STARTER)

    def _config(self) -> dict[str, object]:
        addresses = [f"{LOOPBACK}:{member.port}" for member in self.members]
        no, yes = {"enabled": False}, {"enabled": True}
        return {
            "cluster-name": "sessions",
            "properties": _PROPERTIES,
            "network": {
                "port": {"port": self.port, "auto-increment": False},
                "reuse-address": True,
                "interfaces": {"enabled": True, "interfaces": [LOOPBACK]},
                "join": {"auto-detection": no, "multicast": no, "tcp-ip": {"enabled": True, "member-list": addresses}},
                "rest-api": {"enabled": True, "endpoint-groups": {"HEALTH_CHECK": yes, "CLUSTER_READ": yes}},
            },
            "map": {"default": {"backup-count": 1}},
            "metrics": no,
            "jet": no,
        }

    async def answers(self) -> bool:
        """It sees all members that are up, and every entry has its backup."""
        health = await http_json(*self.reach(self.port), "/hazelcast/health")
        up = sum(bool(member.pids) for member in self.members)
        settled = health["clusterSafe"] and not health["migrationQueueSize"]
        return bool(settled and health["nodeState"] == "ACTIVE" and health["clusterSize"] == up)

    async def oldest(self) -> int:
        """The port of the oldest member, as this one knows it."""
        members = (await http_json(*self.reach(self.port), "/hazelcast/rest/cluster"))["members"]
        return int(members[0]["address"].rpartition(":")[2])


class HazelcastStore(StoreCluster[HazelcastMember]):
    """Three members that share the entries; each entry has a backup on another member."""

    name = "hazelcast"

    def __init__(self, supervisor: Supervisor, logs: Path, members: int = 3) -> None:
        self._hazelcast_members = [
            HazelcastMember(supervisor, logs, f"hazelcast-{number}") for number in range(members)
        ]
        super().__init__(self._hazelcast_members)
        for member in self._hazelcast_members:
            member.members = self._hazelcast_members

    @staticmethod
    def program() -> str:
        """The newest jar of Hazelcast 5 that Maven has downloaded; it needs Java 17 or newer.

        Raises:
            EnvironmentLacksError: there is none, or no Java.
        """
        _java()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "session-harness"
        repository = Path.home() / ".m2/repository/com/hazelcast/hazelcast"
        jars = [*cache.glob("hazelcast-5.*.jar"), *repository.glob("5.*/hazelcast-5.*.jar")]
        if not jars:
            raise EnvironmentLacksError("the jar of Hazelcast 5 is not on this machine", _INSTALL)
        return str(sorted(jars, key=lambda jar: [int(number) for number in re.findall(r"\d+", jar.stem)])[-1])

    @property
    def url(self) -> str:
        """``hazelcast://host:port,host:port,host:port``."""
        return "hazelcast://" + ",".join(f"{LOOPBACK}:{member.port}" for member in self._hazelcast_members)

    async def restart(self) -> Evidence:
        """Start again those that are down; the first before the others, so that they need not agree on a leader."""
        await self._hazelcast_members[0].restart()
        return await super().restart()

    async def primary(self) -> HazelcastMember | None:
        """The oldest: each owns a third of the entries, and the oldest assigns them.

        None until each member that is up reports that every entry has its backup: killed while backups are being
        made, it would take entries with it that have no copy yet.
        """
        up = [member for member in self._hazelcast_members if member.pids]
        if not up or not all(await asyncio.gather(*(member.answers() for member in up))):
            return None
        oldest = await up[0].oldest()
        return next((member for member in up if member.port == oldest), None)


def _java() -> str:
    path = shutil.which("java")
    if path is None:
        raise EnvironmentLacksError("Hazelcast needs Java 17, and no java is on this machine", _INSTALL)
    return path
