"""The process of a function: ``python -m targets.worker`` answers one call at a time, read from its standard input.

The first line is a ``Start``, every further one a ``Call``; each call is answered by one line, an ``Answer``, all in
JSON. It says ``{}`` once it is ready, and ends with its input. From call to call it keeps its place's client alone.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from targets.imports import quick_imports

with quick_imports():
    from aiohttp import web
    from multidict import CIMultiDict

    from targets import catalog
    from targets.apps import Parts
    from targets.journal import Journal
    from targets.service import Service, at_work
    from targets.settings import Options, Settings

#: What of an answer is for the client; the rest is the front's own.
_TOLD = ("Content-Type", "Set-Cookie", "Retry-After")


@dataclass(frozen=True)
class Start:
    """What the function is, told once."""

    app: str
    state: str
    replica: str
    boot: str
    store: str
    secret: str
    options: Mapping[str, str]

    async def serve(self) -> None:
        """Answer calls until there are no more."""
        settings = Settings(self.replica, self.boot, self.store, self.secret, Options(self.options), state=self.state)
        app, state = catalog.chosen(self.app, self.state, settings.options)
        place, journal = state.place(settings), Journal(None, settings)
        parts = Parts(place, journal, settings)
        service = Service(settings, app.app(parts), place)
        async with at_work(place, parts.work):
            _say({})
            while line := await asyncio.to_thread(sys.stdin.readline):
                _say(asdict(await Call(**json.loads(line)).answered(service)))


@dataclass(frozen=True)
class Call:
    """A request, as far as apps read one."""

    method: str
    raw_path: str
    head: Mapping[str, str]
    body: str

    @property
    def headers(self) -> CIMultiDict[str]:
        """By name, in whatever case."""
        return CIMultiDict(self.head)

    async def read(self) -> bytes:
        """The body."""
        return self.body.encode()

    async def answered(self, service: Service) -> "Answer":
        """What the service says to it."""
        reply = await service.handle(self)  # type: ignore[arg-type]  # it has all that apps read of a request
        told = {name: reply.headers[name] for name in _TOLD if name in reply.headers}
        body = reply.body if isinstance(reply, web.Response) and isinstance(reply.body, bytes) else b""
        return Answer(reply.status, told, body.decode())


@dataclass(frozen=True)
class Answer:
    """A reply, as far as the client is told it."""

    status: int
    headers: Mapping[str, str]
    body: str


def _say(told: object) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(Start(**json.loads(sys.stdin.readline())).serve())
