"""The proxy on links: TCP connections passed on, held up, slowed down or cut, as its control socket is told.

Run as a script on the standard library alone (``python -I -S proxy.py CONTROL NAME=PORT:TARGET ...``, all of them on
loopback), so that it is up in a tenth of a second and needs nothing that the harness needs. One JSON line in, one out:

    {"link": "balancer-r1", "requests": WAY, "replies": WAY, "cut": false}
    {"link": "balancer-r1", "connections": 3, "held": 0, "dropped": 0}      bytes, since the link was last told

    WAY = {"mode": "pass" | "hold" | "drop", "latency": seconds, "rate": bytes a second or null}
"""

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from typing import Any, cast

HOST = "127.0.0.1"
FULL = 1 << 20  # bytes on their way in one direction, above which no more are read
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: what closes so sends a reset
_END = b""


class ProxyDirection:
    """What a link does in one direction: the same for all its connections."""

    def __init__(self, mode: str = "pass", latency: float = 0.0, rate: float | None = None) -> None:
        self.mode = mode
        self.latency = latency
        self.rate = rate
        self.plain = mode == "pass" and not latency and rate is None


class Flow:
    """One direction of one connection. What has come is queued with the time at which it is due."""

    def __init__(self, link: "ProxyLink", direction: str) -> None:
        self._link = link
        self._direction = direction
        self._queue: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.spoiled = False  # something was dropped: what comes later would make no sense

    def feed(self, data: bytes) -> None:
        """Bytes have come, or the end of them."""
        way = self._link.directions[self._direction]
        if way.mode == "drop":
            self._link.dropped += len(data)
            self.spoiled = True
            return
        if way.plain and not self._queue and self.sink is not None:
            self._send(data)
            return
        loop_time = asyncio.get_running_loop().time()
        self._last = max(loop_time + way.latency, self._last + (len(data) / way.rate if way.rate else 0.0))
        self._queue.append((self._last, data))
        self._size += len(data)
        if self._size > FULL and self.source is not None:
            self.source.pause_reading()
        if way.mode == "hold":
            self._link.held += len(data)
        self.pump()

    def pump(self) -> None:
        """Send what is due, unless it is held."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self.sink is not None and self._link.directions[self._direction].mode != "hold":
            due, data = self._queue[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self.pump)
                return
            self._queue.popleft()
            self._size -= len(data)
            self._send(data)
            if self._size <= FULL and self.source is not None and not self.source.is_closing():
                self.source.resume_reading()

    def _send(self, data: bytes) -> None:
        if self.sink is None or self.sink.is_closing():
            return
        if data == _END:
            self.sink.close()  # once all that was written is out
        else:
            self.sink.write(data)


class Endpoint(asyncio.Protocol):
    """One end of a connection: what comes there is fed to a flow."""

    def __init__(self, connection: "ProxiedConnection", into: Flow, out_of: Flow) -> None:
        self._connection = connection
        self._into = into
        self._out_of = out_of

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there: what waits for it can go."""
        self._into.source = self._out_of.sink = cast("asyncio.Transport", transport)
        self._out_of.pump()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._into.feed(data)

    def connection_lost(self, problem: Exception | None) -> None:
        """It has ended: so will the other end, after what is on its way there."""
        self._into.source = None
        self._into.feed(_END)
        self._connection.ended()


class ProxiedConnection:
    """A client's connection and the one made for it."""

    def __init__(self, link: "ProxyLink") -> None:
        self._link = link
        self._requests = Flow(link, "requests")
        self._replies = Flow(link, "replies")
        self.client = Endpoint(self, self._requests, self._replies)
        self._opening: asyncio.Task[None] | None = None
        self._ends = 0

    def proceed(self) -> None:
        """The link was told something new, or the connection is: open the other end if nothing is in its way."""
        if self._requests.spoiled or self._replies.spoiled:
            self.cut()
            return
        if self._opening is None and self._link.directions["requests"].mode == "pass":
            self._opening = asyncio.create_task(self._open())
        self._requests.pump()
        self._replies.pump()

    async def _open(self) -> None:
        server = Endpoint(self, self._replies, self._requests)
        try:
            await asyncio.get_running_loop().create_connection(lambda: server, HOST, self._link.target)
        except OSError:
            self.cut()

    def cut(self) -> None:
        """Reset both ends."""
        for end in (self._requests.source, self._replies.source):
            if end is not None:
                sock = end.get_extra_info("socket")
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.abort()
        self._link.connections.discard(self)

    def ended(self) -> None:
        """One end is gone; the other follows once what is on its way has got there."""
        self._ends += 1
        if self._ends == 2:
            self._link.connections.discard(self)


class ProxyLink:
    """A port that stands for another one, and what happens to all that passes."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.directions = {"requests": ProxyDirection(), "replies": ProxyDirection()}
        self.connections: set[ProxiedConnection] = set()
        self.held = self.dropped = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take connections, if it does not yet."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, HOST, self.port, reuse_port=True, backlog=1024)

    def _accept(self) -> Endpoint:
        connection = ProxiedConnection(self)
        self.connections.add(connection)
        asyncio.get_running_loop().call_soon(connection.proceed)
        return connection.client

    async def set_state(self, requests: dict[str, Any], replies: dict[str, Any], cut: bool) -> dict[str, int]:
        """From now on be so; how many connections that concerns, and what was held and dropped until now."""
        told = {"connections": len(self.connections), "held": self.held, "dropped": self.dropped}
        self.held = self.dropped = 0
        self.directions = {"requests": ProxyDirection(**requests), "replies": ProxyDirection(**replies)}
        if cut and self._server is not None:
            self._server.close()
            self._server = None
        elif not cut:
            await self.listen()
        for connection in list(self.connections):
            if cut:
                connection.cut()
            else:
                connection.proceed()
        return told


async def serve(control: str, links: dict[str, ProxyLink]) -> None:
    """Listen on every link, and obey the control socket until killed."""

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            name = order.pop("link")
            writer.write(json.dumps({"link": name, **await links[name].set_state(**order)}).encode() + b"\n")
        writer.close()

    for link in links.values():
        await link.listen()
    async with await asyncio.start_unix_server(obey, control) as server:
        await server.serve_forever()


def parse_links(words: list[str]) -> dict[str, ProxyLink]:
    """``NAME=PORT:TARGET`` of every link."""
    links = {}
    for word in words:
        name, _, ports = word.partition("=")
        port, _, target = ports.partition(":")
        links[name] = ProxyLink(int(port), int(target))
    return links


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], parse_links(sys.argv[2:])))
