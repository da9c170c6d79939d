"""One session driven by hand: its requests sent one by one over asyncio, to any address, with its cookies."""

import asyncio
import contextlib

from harness.common.errors import UsageError
from harness.load.http.client import Client, Request, Sleep
from harness.load.http.cookies import Cookies
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.http.wire import Encoder, HeadCache, ProtocolError, ResponseReader, key_line
from harness.load.sessions.behaviour import Behaviour
from harness.oracle.operations import operation

_REPLY_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 16


class ManualSession:
    """A user's session outside of any load. ``cookies`` may be read and removed."""

    def __init__(self, user: Behaviour) -> None:
        self.user = user
        self.client = Client(1)
        self.cookies: dict[str, str] = {}
        self._writes = 0

    async def play(self, host: str, port: int, writes: int, max_steps: int) -> int:
        """Play steps of the session until ``writes`` writes were acknowledged; returns how many were."""
        steps, acknowledged = self.user.session(self.client), 0
        with contextlib.suppress(StopIteration):
            step = next(steps)
            for _ in range(max_steps):
                if isinstance(step, Request):
                    reply = await self.ask(host, port, step)
                    acknowledged += step.writes is not None and reply.ok
                    if acknowledged >= writes:
                        break
                    step = steps.send(reply)
                elif isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                else:
                    raise UsageError(
                        "a WebSocket cannot be played by hand", "harness run drives sessions that open one"
                    )
        return acknowledged

    async def look(self, host: str, port: int, without: str = "") -> object:
        """What the final read shows, with all cookies or without one of them; None if it shows nothing."""
        request = self.user.final(self.client)
        if request is None:
            return None
        kept = self.cookies
        if without:
            self.cookies = {name: value for name, value in kept.items() if name != without}
        try:
            reply = await self.ask(host, port, request)
        finally:
            if without:
                self.cookies = kept
        return (request.reads or self.user.observe)(reply) if reply.status else None

    async def ask(self, host: str, port: int, request: Request) -> Response:
        """Send one request on a connection of its own; ``NO_RESPONSE`` if none came."""
        self._writes += request.writes is not None
        key = key_line(operation(0, 1, self._writes)) if request.writes is not None else b""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = b"X-User: u1\r\nX-Writer: 1\r\n" + (f"Cookie: {cookies}\r\n".encode("latin-1") if cookies else b"")
        data = Encoder(f"{host}:{port}").encode(request, lines, key)
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reply = await _exchange(host, port, data, request.method)
        except (OSError, ProtocolError):  # TimeoutError is one of the former
            return NO_RESPONSE
        self._take(reply)
        return reply

    def _take(self, reply: Response) -> None:
        jar = Cookies()
        jar.update([f"{name}={value}".encode() for name, value in self.cookies.items()])
        jar.update(reply.head.cookies)
        pairs = jar.header_line.removeprefix(b"Cookie: ").strip().decode("latin-1")
        self.cookies = dict(pair.split("=", 1) for pair in pairs.split("; ") if pair)


async def _exchange(host: str, port: int, data: bytes, method: str) -> Response:
    reader, writer = await asyncio.open_connection(host, port)
    with contextlib.closing(writer):
        writer.write(data)
        response_reader = ResponseReader(HeadCache())
        while received := await reader.read(_CHUNK_BYTES):
            if (reply := response_reader.feed(received, method)) is not None:
                return reply
        return response_reader.end(method) or NO_RESPONSE
