"""Work that is repeated beside the requests."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class PeriodicTask:
    """Runs an action every ``seconds``, counted from start to start, until it is ended."""

    def __init__(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        self._seconds, self._action = seconds, action
        self._ended = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """Stop repeating, and wait for a run that is under way."""
        self._ended.set()
        await self._task

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        due = now() + self._seconds
        while not await self._is_ended_before(due):
            due = max(due + self._seconds, now())
            await self._action()

    async def _is_ended_before(self, due: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._ended.wait()
        return self._ended.is_set()
