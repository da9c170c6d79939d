"""Function as a service: the cart of ``cart.py``, where a process that is started for a call answers it.

A process answers one call at a time. A call that finds no idle process starts one: a cold start, which the reply
reports as ``X-Cold-Start`` in milliseconds. After its call a process is kept warm for later ones if fewer than
``--option warm=N`` are idle, else it ends. With 0, the default, every call has a cold start. A function keeps nothing,
so its state has to be with the client or in a store. Its effects are not journalled.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict

from aiohttp import web

from targets.apps import AppContext, cart
from targets.common.calls import Answer, Call, FunctionStart
from targets.common.settings import Settings, SettingsError
from targets.http.errors import UnavailableError
from targets.http.routes import Routes

OPTIONS: tuple[str, ...] = ("warm", *cart.OPTIONS)
KEEPS_SESSIONS = True

#: Seconds within which a process has to start, and to answer a call.
CALL_TIMEOUT_S = 10.0
#: How many processes there are at once; further calls wait.
MAX_PROCESSES = 32
_MAX_LINE_BYTES = 1 << 20  # bytes of a line


class Instance:
    """One process of the function."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, start: FunctionStart) -> "Instance":
        """Start a process, and wait until it is ready for its first call."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "targets.server.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MAX_LINE_BYTES,
        )  # fmt: skip
        instance = cls(process)
        try:
            await instance.ask(asdict(start))
        except BaseException:
            await instance.end()
            raise
        return instance

    async def ask(self, message: Mapping[str, object]) -> bytes:
        """Send one line, and return the line that the process answers.

        Raises:
            UnavailableError: the process died, or did not answer in time.
        """
        assert self._process.stdin and self._process.stdout  # noqa: S101 - both are pipes
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                line = await self._process.stdout.readline()
        except (OSError, TimeoutError) as problem:
            raise UnavailableError("the function's process does not answer") from problem
        if not line:
            raise UnavailableError("the function's process died")
        return line

    async def end(self) -> None:
        """Kill the process; it holds nothing that has to be saved."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Pool:
    """The processes. At most ``warm`` of them are kept while they are idle."""

    def __init__(self, start: FunctionStart, warm: int) -> None:
        self._start, self._warm = start, warm
        self._idle: list[Instance] = []
        self._capacity = asyncio.Semaphore(MAX_PROCESSES)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Have one process answer a request."""
        call = Call(request.method, request.raw_path, dict(request.headers), (await request.read()).decode())
        async with self._capacity, self._instance() as (instance, cold_ms):
            answer = Answer(**json.loads(await instance.ask(asdict(call))))
        response = web.Response(body=answer.body.encode(), status=answer.status, headers=answer.headers)
        if cold_ms is not None:
            response.headers["X-Cold-Start"] = f"{cold_ms:.1f}"
        return response

    @contextlib.asynccontextmanager
    async def _instance(self) -> AsyncIterator[tuple[Instance, float | None]]:
        """An idle process, or a new one with the time of its start in ms. One whose call fails is not used again."""
        cold_ms = None
        if self._idle:
            instance = self._idle.pop()
        else:
            began = asyncio.get_running_loop().time()
            instance = await Instance.start(self._start)
            cold_ms = 1e3 * (asyncio.get_running_loop().time() - began)
        try:
            yield instance, cold_ms
        except BaseException:
            await instance.end()
            raise
        if len(self._idle) < self._warm:
            self._idle.append(instance)
        else:
            await instance.end()

    @contextlib.asynccontextmanager
    async def ending_all(self) -> AsyncIterator[None]:
        """A scope at whose end every idle process is killed."""
        try:
            yield
        finally:
            await asyncio.gather(*(instance.end() for instance in self._idle))


def create_routes(context: AppContext) -> Routes:
    """The cart's routes, which processes answer.

    Raises:
        SettingsError: ``warm`` is not a number, or the state would be lost with the process.
    """
    settings = context.settings
    if not settings.store and settings.state != "token":
        raise SettingsError(
            f"a function's process keeps nothing, so it does not go with the state {settings.state}: "
            "keep the state with the client or in a store"
        )
    pool = Pool(_start(settings), _warm(settings))
    context.background.append(pool.ending_all)
    return {path: dict.fromkeys(methods, pool.handle) for path, methods in cart.create_routes(context).items()}


def _warm(settings: Settings) -> int:
    text = settings.options.text("warm", "0")
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PROCESSES:
        raise SettingsError(f"--option warm={text} is not a number from 0 to {MAX_PROCESSES}")
    return int(text)


def _start(settings: Settings) -> FunctionStart:
    options = {key: value for key, value in settings.options.values.items() if key != "warm"}
    return FunctionStart(
        "cart", settings.state, settings.replica, settings.boot, settings.store, settings.secret, options
    )
