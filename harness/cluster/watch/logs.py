"""Logs of programs that may say more than a disk holds: the beginning and the end are kept, not what lies between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

MAX_BYTES = 8 << 20  # bytes at which a log is cut
KEPT_BYTES = 1 << 20  # of its beginning, and of its end
_CHECK_INTERVAL_S = 0.25  # seconds


@contextlib.asynccontextmanager
async def bound_logs(logs: Sequence[Path]) -> AsyncIterator[None]:
    """Keep the logs small for the length of a scope. Whoever writes them has to append (O_APPEND)."""
    watching = asyncio.create_task(_watch(logs))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        for log in logs:
            cut(log)


async def _watch(logs: Sequence[Path]) -> None:
    while True:
        await asyncio.sleep(_CHECK_INTERVAL_S)
        for log in logs:
            cut(log)


def cut(log: Path) -> None:
    """Leave the first and the last megabyte of a log that has grown too long, with a line on what lay between."""
    with contextlib.suppress(OSError):  # not there yet, or the disk is full: no reason to end a run
        size = log.stat().st_size
        if size <= MAX_BYTES:
            return
        with log.open("r+b") as file:
            file.seek(size - KEPT_BYTES)
            end = file.read()
            file.seek(KEPT_BYTES)
            file.write(b"\n[... %d bytes left out ...]\n" % (size - KEPT_BYTES - len(end)))
            file.truncate()
        with log.open("ab") as file:  # appends, as the program does that may write at the same time
            file.write(end)
