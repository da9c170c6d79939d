"""Ports of this machine that lead to ports of pods, for clusters whose addresses are not reachable from here."""

import asyncio
from collections.abc import Callable

from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK


class Tunnels:
    """Ports of the loopback. The API server forwards each connection to a pod; all end with ``close``.

    ``problem`` says why the API server refuses to, if it does.
    """

    def __init__(self, namespace: RunNamespace) -> None:
        self._namespace = namespace
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.problem = ""

    async def open(self, find_pod: Callable[[], str], port: int) -> tuple[str, int]:
        """An address that leads to a port of the pod that ``find_pod`` names at each connection; "" closes it."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = asyncio.create_task(self._forward(reader, writer, find_pod(), port))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

        self._servers.append(await asyncio.start_server(accept, LOOPBACK, 0))
        return LOOPBACK, int(self._servers[-1].sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all connections, and listen no more."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pod: str, port: int) -> None:
        try:
            if pod:
                await self._namespace.api.forward((reader, writer), pod, self._namespace.name, port)
        except EnvironmentLacksError as refusal:
            self.problem = refusal.message
        finally:
            writer.close()
