"""What is done again and again besides answering."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class PeriodicTask:
    """A action done every ``seconds``, from its start to the next one's, until it is ended."""

    def __init__(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        self._seconds, self._deed = seconds, action
        self._over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """Do it no more; what is under way is done to its end."""
        self._over.set()
        await self._task

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        due = now() + self._seconds
        while not await self._is_over_before(due):
            due = max(due + self._seconds, now())
            await self._deed()

    async def _is_over_before(self, due: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._over.wait()
        return self._over.is_set()
