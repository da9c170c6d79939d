"""The proxy on links: it passes TCP connections on, holds, slows down or cuts them, as its control socket demands.

Run as a script on the standard library alone (``python -I -S proxy.py CONTROL NAME=PORT:TARGET ...``, all of them on
loopback), so that it is up in a tenth of a second and needs no dependency of the harness. It answers each JSON line
with one:

    {"link": "balancer-r1", "requests": DIRECTION, "replies": DIRECTION, "cut": false}
    {"link": "balancer-r1", "connections": 3, "held": 0, "dropped": 0}      bytes, since the last change

    DIRECTION = {"mode": "pass" | "hold" | "drop", "latency": seconds, "rate": bytes per second or null}
"""

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from typing import Any, cast

HOST = "127.0.0.1"
MAX_QUEUED_BYTES = 1 << 20  # per direction of a connection; above it, reading pauses
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with timeout 0: closing sends a reset
_END = b""


class ProxyDirection:
    """What a link does in one direction, for all its connections."""

    def __init__(self, mode: str = "pass", latency: float = 0.0, rate: float | None = None) -> None:
        self.mode = mode
        self.latency = latency
        self.rate = rate
        self.immediate = mode == "pass" and not latency and rate is None


class Flow:
    """One direction of one connection. Received data is queued with the time at which it is due."""

    def __init__(self, link: "ProxyLink", direction: str) -> None:
        self._link = link
        self._direction = direction
        self._queue: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.spoiled = False  # something was dropped: later data would make no sense

    def feed(self, data: bytes) -> None:
        """Take received bytes; empty at the end of the stream."""
        state = self._link.directions[self._direction]
        if state.mode == "drop":
            self._link.dropped += len(data)
            self.spoiled = True
            return
        if state.immediate and not self._queue and self.sink is not None:
            self._send(data)
            return
        loop_time = asyncio.get_running_loop().time()
        self._last = max(loop_time + state.latency, self._last + (len(data) / state.rate if state.rate else 0.0))
        self._queue.append((self._last, data))
        self._size += len(data)
        if self._size > MAX_QUEUED_BYTES and self.source is not None:
            self.source.pause_reading()
        if state.mode == "hold":
            self._link.held += len(data)
        self.pump()

    def pump(self) -> None:
        """Send what is due, unless the link holds it."""
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
            if self._size <= MAX_QUEUED_BYTES and self.source is not None and not self.source.is_closing():
                self.source.resume_reading()

    def _send(self, data: bytes) -> None:
        if self.sink is None or self.sink.is_closing():
            return
        if data == _END:
            self.sink.close()  # after all written data was sent
        else:
            self.sink.write(data)


class ConnectionEnd(asyncio.Protocol):
    """One end of a connection; what it receives goes into a flow."""

    def __init__(self, connection: "ProxiedConnection", into: Flow, out_of: Flow) -> None:
        self._connection = connection
        self._into = into
        self._out_of = out_of

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect the flows to this end, and send what waits for it."""
        self._into.source = self._out_of.sink = cast("asyncio.Transport", transport)
        self._out_of.pump()

    def data_received(self, data: bytes) -> None:
        """Feed the received bytes into the flow."""
        self._into.feed(data)

    def connection_lost(self, problem: Exception | None) -> None:
        """Pass the end of the stream on; the other end closes after the queued data."""
        self._into.source = None
        self._into.feed(_END)
        self._connection.ended()


class ProxiedConnection:
    """A client's connection, and the connection to the target that belongs to it."""

    def __init__(self, link: "ProxyLink") -> None:
        self._link = link
        self._requests = Flow(link, "requests")
        self._replies = Flow(link, "replies")
        self.client = ConnectionEnd(self, self._requests, self._replies)
        self._opening: asyncio.Task[None] | None = None
        self._ends = 0

    def proceed(self) -> None:
        """Apply the state of the link: connect to the target if that is allowed, and send what is due."""
        if self._requests.spoiled or self._replies.spoiled:
            self.cut()
            return
        if self._opening is None and self._link.directions["requests"].mode == "pass":
            self._opening = asyncio.create_task(self._open())
        self._requests.pump()
        self._replies.pump()

    async def _open(self) -> None:
        server = ConnectionEnd(self, self._replies, self._requests)
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
        """Count a closed end; after the second one the connection is forgotten."""
        self._ends += 1
        if self._ends == 2:
            self._link.connections.discard(self)


class ProxyLink:
    """A port in place of another one, and what happens to the connections through it."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.directions = {"requests": ProxyDirection(), "replies": ProxyDirection()}
        self.connections: set[ProxiedConnection] = set()
        self.held = self.dropped = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Accept connections, if it does not do so yet."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, HOST, self.port, reuse_port=True, backlog=1024)

    def _accept(self) -> ConnectionEnd:
        connection = ProxiedConnection(self)
        self.connections.add(connection)
        asyncio.get_running_loop().call_soon(connection.proceed)
        return connection.client

    async def set_state(self, requests: dict[str, Any], replies: dict[str, Any], cut: bool) -> dict[str, int]:
        """Change what the link does; return the number of its connections, and the bytes held and dropped so far."""
        counts = {"connections": len(self.connections), "held": self.held, "dropped": self.dropped}
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
        return counts


async def serve(control: str, links: dict[str, ProxyLink]) -> None:
    """Listen on every link, and follow the control socket until killed."""

    async def execute_orders(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            name = order.pop("link")
            writer.write(json.dumps({"link": name, **await links[name].set_state(**order)}).encode() + b"\n")
        writer.close()

    for link in links.values():
        await link.listen()
    async with await asyncio.start_unix_server(execute_orders, control) as server:
        await server.serve_forever()


def parse_links(words: list[str]) -> dict[str, ProxyLink]:
    """Parse ``NAME=PORT:TARGET`` of every link."""
    links = {}
    for word in words:
        name, _, ports = word.partition("=")
        port, _, target = ports.partition(":")
        links[name] = ProxyLink(int(port), int(target))
    return links


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], parse_links(sys.argv[2:])))
