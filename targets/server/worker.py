"""The process of a function: ``python -m targets.server.worker`` answers one call at a time from its standard input.

The first line is a ``FunctionStart``, every further one a ``Call``, and each call is answered by one line, an
``Answer``, all in JSON. The process prints ``{}`` once it is ready, and ends with its input. Between calls it keeps
only the client of its store.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from targets.server.imports import quick_imports

with quick_imports():
    from aiohttp import web
    from multidict import CIMultiDict

    from targets.apps import AppContext
    from targets.common.calls import Answer, Call, FunctionStart
    from targets.common.settings import Options, Settings
    from targets.server import catalog
    from targets.server.service import Service, open_app
    from targets.storage.journal import Journal

#: The headers of a response that the client receives; the service adds its own to them.
_PASSED_ON = ("Content-Type", "Set-Cookie", "Retry-After")


class _CallRequest:
    """A call in the form in which apps read a request."""

    def __init__(self, call: Call) -> None:
        self.method, self.raw_path = call.method, call.raw_path
        self.headers = CIMultiDict(call.head)
        self._body = call.body.encode()

    async def read(self) -> bytes:
        return self._body


async def serve(start: FunctionStart) -> None:
    """Answer calls until standard input ends."""
    settings = Settings(start.replica, start.boot, start.store, start.secret, Options(start.options), state=start.state)
    app, state = catalog.select(start.app, start.state, settings.options)
    store, journal = state.create_store(settings), Journal(None, settings)
    context = AppContext(store, journal, settings)
    service = Service(settings, app.create_routes(context), store)
    async with open_app(store, context.background):
        print(json.dumps({}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(asdict(await answer(Call(**json.loads(line)), service))), flush=True)


async def answer(call: Call, service: Service) -> Answer:
    """Pass a call to the service, and return its response."""
    response = await service.handle(_CallRequest(call))  # type: ignore[arg-type]  # has all that apps read of a request
    headers = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    return Answer(response.status, headers, body.decode())


if __name__ == "__main__":
    asyncio.run(serve(FunctionStart(**json.loads(sys.stdin.readline()))))
