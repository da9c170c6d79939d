"""Records on a disk: one line each, with a checksum, so that a torn tail is recognised.

A line is the CRC-32 of the text as eight hex digits, a space, the text, and a line feed. Bytes after the last intact
line were being written when the writer died, or the disk lost them: opening the file to append cuts them off, and logs
that.

The file's ``fsync`` is what an append promises:

- ``always``    it returns once the disk has the record (``fsync``); concurrent appends share the next ``fsync``
- ``interval``  it returns once the kernel has it, which outlives the process; the disk gets it every 100 ms
- ``never``     it returns once the kernel has it; the kernel decides when the disk gets it (30 s by default)
"""

import asyncio
import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from targets.common.periodic import PeriodicTask
from targets.common.settings import SettingsError
from targets.http.errors import UnavailableError

FSYNC = ("always", "interval", "never")
#: Seconds between two fsyncs of ``interval``.
SYNC_INTERVAL_S = 0.1
_LOG = logging.getLogger("targets")


def frame(text: str) -> bytes:
    """A record as its line in the file."""
    body = text.encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read_intact(path: Path) -> Iterator[tuple[str, int]]:
    """The records of a file up to the first that is not intact, each with the offset of its end."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            checksum, _, body = line.rstrip(b"\n").partition(b" ")
            if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
                return
            end += len(line)
            yield body.decode(), end


def write_file(path: Path, records: Iterable[str]) -> None:
    """Write these records to a file, which has another name until the disk has all of it."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        for text in records:
            file.write(frame(text))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Flush the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Log:
    """An append-only file of records. Read it (``replay``) before the first append."""

    def __init__(self, path: Path, fsync: str = "always") -> None:
        self._path, self._fsync = path, fsync
        self._descriptor = -1
        self._running: asyncio.Task[None] | None = None  # the fsync under way
        self._next: asyncio.Task[None] | None = None  # the fsync that covers new records
        self._syncing: PeriodicTask | None = None

    def replay(self) -> Iterator[str]:
        """All records, oldest first. Afterwards a torn tail is cut off, and the file is open for appending.

        Raises:
            SettingsError: the file cannot be read or written.
        """
        end = 0
        try:
            if self._path.exists():
                for text, until in read_intact(self._path):
                    end = until
                    yield text
            self._open(end)
        except OSError as problem:
            raise SettingsError(f"cannot keep the log {self._path}: {problem.strerror}") from problem

    def _open(self, end: int) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        torn = os.fstat(self._descriptor).st_size - end
        if torn:
            os.ftruncate(self._descriptor, end)
            _LOG.warning("%s: cut off a torn tail of %d bytes", self._path.name, torn)
        os.fsync(self._descriptor)
        sync_directory(self._path.parent)
        if self._fsync == "interval":
            self._syncing = PeriodicTask(SYNC_INTERVAL_S, self._sync)

    def write(self, text: str) -> None:
        """Hand a record to the kernel, so that it outlives this process.

        Raises:
            UnavailableError: it cannot be written, such as on a full disk; no part of it stays in the file.
        """
        line = frame(text)
        before = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) == len(line):
                return
            reason = "the disk is full"
        except OSError as problem:
            reason = str(problem.strerror)
        os.ftruncate(self._descriptor, before)
        raise UnavailableError(f"the log cannot be written: {reason}")

    async def append(self, text: str) -> None:
        """Write a record, and return when it is as safe as ``fsync`` says.

        Raises:
            UnavailableError: it cannot be written.
        """
        self.write(text)
        await self.flush()

    async def flush(self) -> None:
        """Wait until all written records are as safe as ``fsync`` says.

        Raises:
            UnavailableError: the disk fails.
        """
        if self._fsync != "always":
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._sync_after(self._running))
        try:
            await asyncio.shield(self._next)
        except OSError as problem:
            raise UnavailableError(f"the disk does not accept the log: {problem.strerror}") from problem

    async def _sync_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None  # records that are written from here on need another fsync
        await self._sync()

    async def _sync(self) -> None:
        await asyncio.to_thread(os.fsync, self._descriptor)

    async def close(self) -> None:
        """Flush the file to the disk, and close it."""
        syncing = [self._syncing.end()] if self._syncing else []
        under_way = [task for task in (self._running, self._next) if task is not None]
        await asyncio.gather(*syncing, *under_way, return_exceptions=True)
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
