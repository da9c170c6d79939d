"""One session driven by hand: its requests sent one by one over asyncio, to any address, with its cookies."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from harness.common.errors import UsageError
from harness.load.http.client import Client, Request, Sleep
from harness.load.http.cookie_jar import CookieJar
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.http.site import Site
from harness.load.http.wire import Encoder, HeadCache, ProtocolError, ResponseReader, key_line
from harness.load.sessions.behaviour import Behaviour, SessionSteps, steps_of
from harness.load.sessions.carriers import CarriedIds, Carrier, Header, carriers_of
from harness.load.sessions.seen_ids import find_ids
from harness.oracle.operations import operation

_REPLY_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 16


class NotPlayableError(UsageError):
    """A session does something that only the load process can do."""


@dataclass(frozen=True)
class SeenId:
    """What may be a session's id outside of cookies, and what would carry it."""

    carrier: Carrier

    @property
    def label(self) -> str:
        """In words: ``header Mcp-Session-Id``."""
        return self.carrier.label

    @property
    def source(self) -> str:
        """As a scenario declares it: ``Header("Mcp-Session-Id")``."""
        return f'{type(self.carrier).__name__}("{next(iter(vars(self.carrier).values()))}")'

    @property
    def header(self) -> str:
        """The name of the header, if it travels in one of its own."""
        return self.carrier.name if isinstance(self.carrier, Header) else ""


class ManualSession:
    """A user's session outside of any load. ``jar`` may be read, and replaced by another.

    ``replies`` are all that came so far, ``acknowledged`` counts the writes, and ``last_seen`` is what the last look
    showed.
    """

    def __init__(self, user: Behaviour, number: int = 1, carries: Sequence[SeenId] = ()) -> None:
        """``carries`` is used in place of what the user declares, if that is nothing."""
        self.declared = tuple(SeenId(carrier) for carrier in carriers_of(user))
        self.user = user
        self.client = Client(number)
        self.jar = CookieJar()
        self.replies: list[Response] = []
        self.acknowledged = 0
        self.last_seen: object = None
        self.carried = CarriedIds([seen.carrier for seen in self.declared or carries])
        self._writes = 0

    async def play(
        self,
        host: str,
        port: int,
        writes: int,
        max_steps: int,
        check: Callable[[str, int], None] = lambda request, status: None,
    ) -> None:
        """Play requests of the session until ``writes`` writes were acknowledged.

        ``check`` is called with each (``GET /count``) and the status of its reply; it may raise, to end this.
        """
        requests = 0
        async with contextlib.aclosing(self._exchanges(host, port, self.user.session(self.client))) as exchanges:
            async for request, reply in exchanges:
                requests += 1
                self.acknowledged += request.writes is not None and reply.ok
                check(f"{request.method} {request.path}", reply.status)
                if self.acknowledged >= writes or requests >= max_steps:
                    break

    def find_ids(self) -> tuple[SeenId, ...]:
        """What in its replies may be an id, outside of cookies; the likeliest first."""
        return tuple(map(SeenId, find_ids(self.replies)))

    async def look(self, host: str, port: int, without: str = "") -> object:
        """What the final read shows, with all cookies or without one of them; None if it shows nothing."""
        kept, shown = self.jar, None
        if without:
            self.jar = kept.copy()
            self.jar.discard(without)
        try:
            async for request, reply in self._exchanges(host, port, steps_of(self.user.final(self.client))):
                try:
                    shown = (request.reads or self.user.observe)(reply) if reply.status else None
                except Exception:  # as in a load, nothing is known of what cannot be read
                    shown = None
        finally:
            if without:
                self.jar = kept
        self.last_seen = shown
        return shown

    async def _exchanges(
        self, host: str, port: int, steps: SessionSteps
    ) -> AsyncGenerator[tuple[Request, Response], None]:
        """Play these steps; yields each request with its reply.

        Raises:
            NotPlayableError: a step is no request.
            UsageError: the scenario's own code raised.
        """
        reply: Response | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            except Exception as problem:
                raise UsageError(
                    f"a session raised {problem!r}"[:300], "harness run logs this, with the line"
                ) from problem
            if isinstance(step, Request):
                reply = await self.ask(host, port, step)
                self.replies.append(reply)
                yield step, reply
            elif isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                reply = None
            else:
                raise NotPlayableError(
                    f"a session that yields a {type(step).__name__} cannot be played by hand",
                    "harness run drives such sessions",
                )

    async def ask(self, host: str, port: int, request: Request) -> Response:
        """Send one request on a connection of its own; ``NO_RESPONSE`` if none came."""
        self._writes += request.writes is not None
        key = key_line(operation(0, self.client.number, self._writes)) if request.writes is not None else b""
        site, path = Site(host), request.path
        owner = b"X-User: %b\r\nX-Writer: %d\r\n" % (self.client.user.encode(), self.client.number)
        lines = owner + self.jar.header_line(site, path, time.monotonic_ns())
        if not request.fresh:
            lines, request = lines + self.carried.lines, self.carried.place(request)
        data = Encoder(f"{host}:{port}").encode(request, lines, key)
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reply = await _exchange(host, port, data, request.method)
        except (OSError, ProtocolError):  # TimeoutError is one of the former
            return NO_RESPONSE
        self.jar.update(reply.head.cookies, site, path, time.monotonic_ns(), reply.head.date)
        if reply.ok:
            list(self.carried.take(reply))
        return reply


async def _exchange(host: str, port: int, data: bytes, method: str) -> Response:
    reader, writer = await asyncio.open_connection(host, port)
    with contextlib.closing(writer):
        writer.write(data)
        response_reader = ResponseReader(HeadCache())
        while received := await reader.read(_CHUNK_BYTES):
            if (reply := response_reader.feed(received, method)) is not None:
                return reply
        return response_reader.end(method) or NO_RESPONSE
