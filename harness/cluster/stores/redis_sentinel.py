"""Redis with a replica under three Sentinels: when the primary dies, the replica takes over with what it has.

Nothing is on disk, and a write is acknowledged before the replica has it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.redis import RedisServer, server
from harness.cluster.stores.server import READY_TIMEOUT_S, StoreCluster
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK

GROUP = "primary"  # by what the Sentinels know them
_REPLICATOR = "replicator"  # the user as whom a replica reads from its primary
_QUORUM, _SENTINELS = 2, 3
_DOWN_AFTER = 1500  # milliseconds without an answer after which a Sentinel holds a server for dead
_FAILOVER_TIMEOUT = 5000  # milliseconds; a failover that came to nothing is tried again after twice that
_POLL_INTERVAL_S = 0.02
_CUT_TIMEOUT_S = 2.0  # seconds


class Node(RedisServer):
    """One of the two servers; it starts as the replica of ``follows``, where that is set."""

    follows: "Node | None" = None

    def argv(self) -> tuple[str, ...]:
        """As alone, with a user for replicas, who are told at once and past the disk what they have missed."""
        user = ("--user", _REPLICATOR, "on", f">{_REPLICATOR}", "+psync", "+replconf", "+ping")
        login = ("--masteruser", _REPLICATOR, "--masterauth", _REPLICATOR)
        behind = ("--replicaof", LOOPBACK, str(self.follows.port)) if self.follows else ()
        in_memory = ("--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb")
        return (*super().argv(), *user, *login, *in_memory, *behind)

    async def replicas(self) -> int:
        """How many it tells of its writes."""
        return int((await self.info("replication"))["connected_slaves"])


class Sentinel(RedisServer):
    """One Sentinel. It knows all the others from the start, and writes what it learns into its configuration."""

    def __init__(self, supervisor: Supervisor, logs: Path, number: int) -> None:
        super().__init__(supervisor, logs, f"sentinel-{number}")
        self._id = f"{number:040x}"
        self._file = self.folder / "sentinel.conf"

    def configure(self, primary: Node, replica: Node, others: "list[Sentinel]") -> None:
        """Write its first configuration."""
        known = [f"known-sentinel {GROUP} {LOOPBACK} {other.port} {other._id}" for other in others if other is not self]
        lines = (
            f"myid {self._id}",
            f"monitor {GROUP} {LOOPBACK} {primary.port} {_QUORUM}",
            f"down-after-milliseconds {GROUP} {_DOWN_AFTER}",
            f"failover-timeout {GROUP} {_FAILOVER_TIMEOUT}",
            f"known-replica {GROUP} {LOOPBACK} {replica.port}",
            *known,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        head = f"port {self.port}\nbind {LOOPBACK}\ndir {self.folder}\n"
        self._file.write_text(head + "".join(f"sentinel {line}\n" for line in lines))

    def argv(self) -> tuple[str, ...]:
        """The same program, in its other role."""
        return (server(), str(self._file), "--sentinel")

    async def view(self) -> dict[str, str]:
        """What it knows of the group: ``address`` of the primary, ``status``, ``slaves``, ``sentinels``."""
        line = (await self.info("sentinel")).get("master0", "")
        return dict(pair.split("=", 1) for pair in line.split(",") if "=" in pair)


class RedisSentinelStore(StoreCluster[Node]):
    """Two servers and three Sentinels on loopback."""

    name = "redis_sentinel"

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        self._nodes = [Node(supervisor, logs, f"{self.name}-{number}") for number in (1, 2)]
        self._sentinels = [Sentinel(supervisor, logs, number) for number in range(1, _SENTINELS + 1)]
        super().__init__((*self._nodes, *self._sentinels))

    @staticmethod
    def program() -> str:
        """As ``redis.server``."""
        return server()

    @property
    def url(self) -> str:
        """``sentinel://127.0.0.1:<port>,127.0.0.1:<port>,.../primary``."""
        return f"sentinel://{','.join(f'{LOOPBACK}:{one.port}' for one in self._sentinels)}/{GROUP}"

    async def start(self) -> None:
        """Start the servers, then the Sentinels, and wait until a failover would succeed.

        Raises:
            EnvironmentLacksError: one ends, or they do not find one another in time.
        """
        first, second = self._nodes
        second.follows = first
        for one in self._sentinels:
            one.configure(first, second, self._sentinels)
        await asyncio.gather(*(node.start() for node in self._nodes))
        await asyncio.gather(*(one.start() for one in self._sentinels))
        await self._wait_until_complete()

    async def _wait_until_complete(self) -> None:
        give_up = time.monotonic() + READY_TIMEOUT_S
        while not await self._is_complete():
            if time.monotonic() > give_up:
                raise EnvironmentLacksError(f"the Sentinels of {self.name} found no replica", "see their logs")
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def _is_complete(self) -> bool:
        leader, views = await self._leader(), await self._views()
        known = [(view.get("slaves"), view.get("sentinels")) for view in views]
        links = [
            (await node.info("replication")).get("master_link_status") for node in self._nodes if node is not leader
        ]
        return known == [("1", str(_SENTINELS))] * _SENTINELS and links == ["up"]

    async def primary(self) -> Node | None:
        """The one that most Sentinels say leads, where it is up and says so too."""
        named = await self._named()
        if named is None or not named.pids or (await named.info("replication")).get("role") != "master":
            return None
        return named

    async def _named(self) -> Node | None:
        addresses = [view.get("address") for view in await self._views()]
        return next((node for node in self._nodes if addresses.count(f"{LOOPBACK}:{node.port}") >= _QUORUM), None)

    async def _views(self) -> Sequence[Mapping[str, str]]:
        """What each Sentinel that answers knows."""
        views = await asyncio.gather(*(one.view() for one in self._sentinels if one.pids), return_exceptions=True)
        return [view for view in views if not isinstance(view, BaseException)]

    async def restart(self) -> Evidence:
        """Start again those that are down, empty, and wait until a failover would succeed."""
        await asyncio.gather(*(one.restart() for one in self._sentinels))
        self._align(await self._named() or self._nodes[0])
        evidence = await super().restart()
        await self._wait_until_complete()
        return evidence

    async def restart_primary(self) -> Evidence:
        """Bring back the one that was killed, empty.

        It follows the one that leads by now. Where none leads yet it is the primary again, as any that is restarted
        too soon without a disk: then its replica follows it into emptiness.
        """
        if named := await self._named():
            self._align(named)
        return await super().restart_primary()

    def _align(self, leader: Node) -> None:
        """From their next start on, all follow this one."""
        for node in self._nodes:
            node.follows = None if node is leader else leader

    async def pause(self) -> Evidence:
        """SIGSTOP to both servers; a Sentinel whose clock jumps would not act for half a minute."""
        return await self._all(lambda node: node.pause(), self._nodes)

    async def resume(self) -> Evidence:
        """SIGCONT to both servers."""
        return await self._all(lambda node: node.resume(), self._nodes)

    async def cut_replication(self) -> Evidence:
        """Have the primary let no replica in: landed once it counts none.

        A replica that was cut off for more than 15 s (ten times what a Sentinel waits for a server) is not chosen.
        """
        leader = await self._leader()
        await leader.ask(f"ACL SETUSER {_REPLICATOR} off")
        await leader.ask(f"CLIENT KILL USER {_REPLICATOR}")
        give_up = time.monotonic() + _CUT_TIMEOUT_S
        while (left := await leader.replicas()) and time.monotonic() < give_up:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(_POLL_INTERVAL_S)
        return Evidence(left == 0, {"server": leader.name, "replicas_left": left})

    async def restore_replication(self) -> Evidence:
        """Have each server let replicas in: landed where those that are up say so."""
        up = [node for node in self._nodes if node.pids]
        answers = [await node.ask(f"ACL SETUSER {_REPLICATOR} on") for node in up]
        return Evidence(answers == ["OK"] * len(up), {"servers": len(up)})
