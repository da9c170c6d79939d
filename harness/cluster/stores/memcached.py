"""The memcached store: a real server that keeps everything in memory alone, so that its death loses all."""

import asyncio
import contextlib
import shutil
from pathlib import Path

from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Supervisor
from harness.common.errors import EnvironmentLacksError


class MemcachedStore(Server):
    """One server. After ``kill`` and ``restart`` it is empty, and at the same address."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "memcached")

    @staticmethod
    def program() -> str:
        """The first ``memcached`` on PATH.

        Raises:
            EnvironmentLacksError: there is none.
        """
        if path := shutil.which("memcached"):
            return path
        raise EnvironmentLacksError(
            "memcached is not on this machine", "apt-get install memcached, or brew install memcached"
        )

    @property
    def url(self) -> str:
        """``memcached://<host>:<port>``."""
        return f"memcached://{self.address}:{self.port}"

    def argv(self) -> tuple[str, ...]:
        """TCP alone; the user counts only where root starts it."""
        program = self._supervisor.program("memcached", self.program)
        return (program, "-l", self.listen, "-p", str(self.port), "-U", "0", "-u", "nobody")

    async def answers(self) -> bool:
        """It replies with its version."""
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(*self.reach(self.port))
            with contextlib.closing(writer):
                writer.write(b"version\r\n")
                return (await reader.readline()).startswith(b"VERSION")
