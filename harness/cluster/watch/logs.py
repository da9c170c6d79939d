"""Limits the logs of user-supplied programs: only the beginning and the end of a long log are kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from harness.common.background import background

MAX_BYTES = 8 << 20  # a log longer than this is cut
KEPT_BYTES = 1 << 20  # of the beginning, and of the end
_CHECK_INTERVAL_S = 0.25


@contextlib.asynccontextmanager
async def bound_logs(logs: Sequence[Path]) -> AsyncIterator[None]:
    """Keep the logs small for the length of a scope. Their programs have to append to them (O_APPEND)."""
    try:
        async with background(_watch(logs)):
            yield
    finally:
        for log in logs:
            shorten(log)


async def _watch(logs: Sequence[Path]) -> None:
    while True:
        await asyncio.sleep(_CHECK_INTERVAL_S)
        for log in logs:
            shorten(log)


def shorten(log: Path) -> None:
    """Reduce a log that is too long to its first and last megabyte, with a line in between that reports the rest."""
    with contextlib.suppress(OSError):  # the log does not exist yet, or the disk is full: neither ends a run
        size = log.stat().st_size
        if size <= MAX_BYTES:
            return
        with log.open("r+b") as file:
            file.seek(size - KEPT_BYTES)
            end = file.read()
            file.seek(KEPT_BYTES)
            file.write(b"\n[... %d bytes left out ...]\n" % (size - KEPT_BYTES - len(end)))
            file.truncate()
        with log.open("ab") as file:  # append, since the program may write at the same time
            file.write(end)
