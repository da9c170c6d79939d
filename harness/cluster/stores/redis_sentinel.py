"""Redis with a replica under three Sentinels: when the primary dies, the replica takes over with the data it has.

Nothing is on disk, and a write is acknowledged before the replica has it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.redis import RedisServer, server
from harness.cluster.stores.server import StoreCluster
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until

GROUP = "primary"  # the name of the two servers in the Sentinels' configuration
_REPLICATOR = "replicator"  # the user under which a replica reads from its primary
_QUORUM, _SENTINELS = 2, 3
_DOWN_AFTER = 1500  # milliseconds without an answer after which a Sentinel considers a server dead
_FAILOVER_TIMEOUT = 5000  # milliseconds; a failed failover is tried again after twice that
_REPLICATION_TIMEOUT_S = 10  # after which a replica connects again if its primary says nothing
_COMPLETE_TIMEOUT_S = 60.0  # some of those attempts
_POLL_INTERVAL_S = 0.02
_CUT_TIMEOUT_S = 2.0


class Node(RedisServer):
    """One of the two servers; it starts as the replica of ``follows`` if that is set."""

    follows: "Node | None" = None

    def argv(self) -> tuple[str, ...]:
        """As a single server, with a user for replicas, which catch up at once and without the disk."""
        user = ("--user", _REPLICATOR, "on", f">{_REPLICATOR}", "+psync", "+replconf", "+ping")
        login = ("--masteruser", _REPLICATOR, "--masterauth", _REPLICATOR)
        behind = ("--replicaof", self.follows.address, str(self.follows.port)) if self.follows else ()
        known_as = ("--replica-announce-ip", self.address, "--replica-announce-port", str(self.port))
        in_memory = ("--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb")
        # Right after a restart, the address of a Service may lead to the pod that was there before.
        impatient = ("--repl-timeout", str(_REPLICATION_TIMEOUT_S), "--repl-ping-replica-period", "2")
        # In a pod SIGTERM precedes SIGKILL: a primary that dies does not wait for its replica.
        at_once = ("--shutdown-timeout", "0")
        return (*super().argv(), *user, *login, *known_as, *in_memory, *impatient, *at_once, *behind)

    async def replicas(self) -> int:
        """How many replicas receive its writes."""
        return int((await self.info("replication"))["connected_slaves"])


class Sentinel(RedisServer):
    """One Sentinel. It knows all the others from the start, and writes what it learns into its configuration."""

    def __init__(self, supervisor: Supervisor, logs: Path, number: int) -> None:
        super().__init__(supervisor, logs, f"sentinel-{number}")
        self._id = f"{number:040x}"
        self._file = self.folder / "sentinel.conf"

    def configure(self, primary: Node, replica: Node, others: "list[Sentinel]") -> None:
        """Write its first configuration."""
        known = [
            f"known-sentinel {GROUP} {other.address} {other.port} {other._id}" for other in others if other is not self
        ]
        lines = (
            f"myid {self._id}",
            f"announce-ip {self.address}",
            f"monitor {GROUP} {primary.address} {primary.port} {_QUORUM}",
            f"down-after-milliseconds {GROUP} {_DOWN_AFTER}",
            f"failover-timeout {GROUP} {_FAILOVER_TIMEOUT}",
            f"known-replica {GROUP} {replica.address} {replica.port}",
            *known,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        head = f"port {self.port}\nbind {self.listen}\ndir {self.folder}\n"
        self._file.write_text(head + "".join(f"sentinel {line}\n" for line in lines))

    def argv(self) -> tuple[str, ...]:
        """The same program, in its other role."""
        return (self._supervisor.program("valkey-server", server), str(self._file), "--sentinel")

    async def view(self) -> dict[str, str]:
        """Its knowledge of the group: ``address`` of the primary, ``status``, ``slaves``, ``sentinels``."""
        line = (await self.info("sentinel")).get("master0", "")
        return dict(pair.split("=", 1) for pair in line.split(",") if "=" in pair)


class RedisSentinelStore(StoreCluster[Node]):
    """Two servers and three Sentinels."""

    name = "redis_sentinel"

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        self._nodes = [Node(supervisor, logs, f"{self.name}-{number}") for number in (1, 2)]
        self._sentinels = [Sentinel(supervisor, logs, number) for number in range(1, _SENTINELS + 1)]
        super().__init__((*self._nodes, *self._sentinels))

    @staticmethod
    def program() -> str:
        """The program of ``redis.server()``.

        Raises:
            EnvironmentLacksError: there is none.
        """
        return server()

    @property
    def url(self) -> str:
        """``sentinel://<host>:<port>,<host>:<port>,.../primary``."""
        return f"sentinel://{','.join(f'{sentinel.address}:{sentinel.port}' for sentinel in self._sentinels)}/{GROUP}"

    async def start(self) -> None:
        """Start the servers, then the Sentinels, and wait until a failover would succeed.

        Raises:
            EnvironmentLacksError: one ends, or they do not find one another in time.
        """
        first, second = self._nodes
        second.follows = first
        for sentinel in self._sentinels:
            sentinel.configure(first, second, self._sentinels)
        await asyncio.gather(*(node.start() for node in self._nodes))
        await asyncio.gather(*(sentinel.start() for sentinel in self._sentinels))
        await self._wait_until_complete()

    async def _wait_until_complete(self) -> None:
        if not await wait_until(self._is_complete, _COMPLETE_TIMEOUT_S, _POLL_INTERVAL_S):
            raise EnvironmentLacksError(f"the Sentinels of {self.name} found no replica", "see their logs")

    async def _is_complete(self) -> bool:
        leader, views = await self._leader(), await self._views()
        known = [(view.get("slaves"), view.get("sentinels")) for view in views]
        links = [
            (await node.info("replication")).get("master_link_status") for node in self._nodes if node is not leader
        ]
        return known == [("1", str(_SENTINELS))] * _SENTINELS and links == ["up"]

    async def primary(self) -> Node | None:
        """The server that most Sentinels name as the primary, if it is up and agrees."""
        node = await self._named_primary()
        if node is None or not node.pids or (await node.info("replication")).get("role") != "master":
            return None
        return node

    async def _named_primary(self) -> Node | None:
        addresses = [view.get("address") for view in await self._views()]
        return next((node for node in self._nodes if addresses.count(f"{node.address}:{node.port}") >= _QUORUM), None)

    async def _views(self) -> Sequence[Mapping[str, str]]:
        """The view of each Sentinel that answers."""
        views = await asyncio.gather(
            *(sentinel.view() for sentinel in self._sentinels if sentinel.pids), return_exceptions=True
        )
        return [view for view in views if not isinstance(view, BaseException)]

    async def restart(self) -> Evidence:
        """Start again those that are down, empty, and wait until a failover would succeed."""
        await asyncio.gather(*(sentinel.restart() for sentinel in self._sentinels))
        self._align(await self._named_primary() or self._nodes[0])
        evidence = await super().restart()
        await self._wait_until_complete()
        return evidence

    async def restart_primary(self) -> Evidence:
        """Start the one that was killed again, empty.

        It follows the current primary. If none was elected yet, it is the primary again, as happens with any server
        without a disk that restarts too soon: then its replica loses all data too.
        """
        if primary := await self._named_primary():
            self._align(primary)
        return await super().restart_primary()

    def _align(self, leader: Node) -> None:
        """From their next start on, all follow this server."""
        for node in self._nodes:
            node.follows = None if node is leader else leader

    async def pause(self) -> Evidence:
        """SIGSTOP to both servers, not to the Sentinels: one whose clock jumps would not act for half a minute."""
        return await self._all(lambda node: node.pause(), self._nodes)

    async def resume(self) -> Evidence:
        """SIGCONT to both servers."""
        return await self._all(lambda node: node.resume(), self._nodes)

    async def cut_replication(self) -> Evidence:
        """Have the primary reject its replicas: confirmed once it counts none.

        A replica that was cut off for more than 15 s (ten times ``_DOWN_AFTER``) is not chosen as the next primary.
        """
        leader = await self._leader()
        await leader.ask(f"ACL SETUSER {_REPLICATOR} off")
        await leader.ask(f"CLIENT KILL USER {_REPLICATOR}")

        async def is_cut_off() -> bool:
            return await leader.replicas() == 0

        cut = await wait_until(is_cut_off, _CUT_TIMEOUT_S, _POLL_INTERVAL_S)
        return Evidence(cut, {"server": leader.name, "replicas_left": await leader.replicas()})

    async def restore_replication(self) -> Evidence:
        """Have each server admit replicas again: confirmed if all servers that are up reply so."""
        up = [node for node in self._nodes if node.pids]
        replies = [await node.ask(f"ACL SETUSER {_REPLICATOR} on") for node in up]
        return Evidence(replies == ["OK"] * len(up), {"servers": len(up)})
