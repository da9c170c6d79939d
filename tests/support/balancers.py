"""Members behind a balancer under test.

``python -m tests.support.balancers NAME PORT JOURNAL`` runs a member in its own process, which a test can kill.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web

from harness.cluster.capabilities import Member
from harness.cluster.supervisor import Child, ProcessSpec


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port held by a bound socket that does not listen, as the topology holds it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class RefusingStarter:
    """A starter that must not be called."""

    listen = "127.0.0.1"
    shares_files = True

    async def spawn(self, command: ProcessSpec) -> Child:
        raise AssertionError(f"started {command.name}")

    def reach(self, name: str, port: int) -> tuple[str, int]:
        raise AssertionError(f"reached {name}")

    async def send_file(self, child: Child, file: Path) -> None:
        raise AssertionError(f"sent {file}")


class Backend:
    """A member: answers with its name, counts requests, and journals a write's id before it answers."""

    def __init__(self, name: str, journal: int | None = None, delay: float = 0.0) -> None:
        self.name = name
        self.seen: Counter[str] = Counter()
        self.ids_asked_with: set[str] = set()
        self.ids_made: set[str] = set()
        self.checks = 0
        self.checks_to_fail = 0  # the next ones
        self._journal = journal
        self._delay = delay

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        self.checks += 1
        self.checks_to_fail -= (failed := self.checks_to_fail > 0)
        return web.Response(status=503 if failed else 200)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen[request.method] += 1
        if self._journal is not None and (op := request.headers.get("Idempotency-Key")):
            os.write(self._journal, f"{op}\n".encode())
        await asyncio.sleep(self._delay)
        if "Upgrade" in request.headers:
            return await self._echo(request)
        reply = web.Response(text=self.name, headers={"X-Replica": self.name})
        self._give_id(request, reply)
        return reply

    def _give_id(self, request: web.Request, reply: web.Response) -> None:
        """Ids of its own making, in a cookie and in a header, for a client whose request has none that it knows."""
        sid, key = request.cookies.get("SID", ""), request.headers.get("X-Id", "")
        self.ids_asked_with.update({sid, key} - {""})
        if sid not in self.ids_made:
            self.ids_made.add(fresh := f"{secrets.token_hex(200)}.{self.name}")  # long, and it ends with its route
            reply.set_cookie("SID", fresh)
        if key not in self.ids_made:
            self.ids_made.add(fresh := secrets.token_hex(16))
            reply.headers["X-Id"] = fresh

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that sends back what it receives."""
        ws = web.WebSocketResponse()
        ws.headers["X-Replica"] = self.name
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws


@contextlib.asynccontextmanager
async def serving(backend: Backend, port: int = 0) -> AsyncIterator[Member]:
    """A member inside this process."""
    runner = web.AppRunner(backend.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_port=True)
        await site.start()
        assert site._server is not None and isinstance(site._server, asyncio.Server)
        yield Member(backend.name, "127.0.0.1", site._server.sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()


async def serve_alone(name: str, port: int, journal: Path) -> None:
    """A member in this process until it is killed."""
    backend = Backend(name, os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND), delay=0.05)
    async with serving(backend, port):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve_alone(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
