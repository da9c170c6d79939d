"""In memory, with regular checkpoints on the replica's volume, from which a restart continues.

A write is acknowledged once **this process** has it. A checkpoint has it after at most ``--option every=1s`` and the
time of writing: a crash loses the writes acknowledged since the last complete checkpoint, an orderly stop none.
Checkpoints are written in the background from a copy, under another name until the disk has the whole file. The last
two are kept. If the last one is torn, the one before it is restored: that loses a second interval, and is logged.
Without the volume everything is lost, as with the state memory.

``--option ballast=N`` adds N sessions without a client at the first start, to measure what size costs a restart.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from targets.common.periodic import PeriodicTask
from targets.common.session import SessionState
from targets.common.settings import Settings
from targets.state import TTL
from targets.state.memory import Memory, add_ballast
from targets.storage import records

OPTIONS: tuple[str, ...] = ("ttl", "every", "ballast")
KEEPS_SESSIONS = True

#: Seconds between two checkpoints by default.
DEFAULT_INTERVAL_S = 1.0
_KEPT_CHECKPOINTS = 2
_END_MARK = "whole"
_LOG = logging.getLogger("targets")


class Checkpoint:
    """A memory that is written to ``volume`` every ``every`` seconds, if it has changed."""

    def __init__(self, volume: Path, ttl: float = TTL, every: float = DEFAULT_INTERVAL_S, ballast: int = 0) -> None:
        # the wall clock: sessions have to expire at the right time in the next process too
        self._memory = Memory(ttl, time.time)
        self._volume, self._every, self._ballast = volume, every, ballast
        self._number, self._changed = 0, False
        self._writing: PeriodicTask | None = None

    async def open(self) -> None:
        """Restore the newest complete checkpoint."""
        for path in reversed(_checkpoints(self._volume)):
            self._number = max(self._number, _number(path))
            if (restored := _read_checkpoint(path)) is not None:
                for handle, (expires, session) in restored.items():
                    self._memory.put(handle, session, expires)
                break
            _LOG.warning("%s is torn: the checkpoint before it is restored", path.name)
        else:
            add_ballast(self._memory, self._ballast)
            await self.checkpoint()
        self._writing = PeriodicTask(self._every, self._write_changes)

    async def close(self) -> None:
        """Write the last changes, and forget everything."""
        if self._writing is not None:
            await self._writing.end()
            self._writing = None
            await self._write_changes()
        await self._memory.close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired."""
        return await self._memory.read(handle)

    async def create(self, session: SessionState) -> str:
        """Keep it in memory."""
        self._changed = True
        return await self._memory.create(session)

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it in memory, if it is still the one that was read.

        Raises:
            ConflictError: it is not.
        """
        self._changed = True
        return await self._memory.write(handle, session)

    async def checkpoint(self) -> None:
        """Write all sessions; returns when the disk has them."""
        self._changed, entries = False, self._memory.snapshot()
        self._number += 1
        path = self._volume / f"checkpoint-{self._number:08}"
        lines = (
            json.dumps([handle, expires, session.to_dict()], separators=(",", ":"))
            for handle, (expires, session) in entries.items()
        )
        end = json.dumps([_END_MARK, len(entries)])
        await asyncio.to_thread(records.write_file, path, chain(lines, [end]))
        for old in _checkpoints(self._volume)[:-_KEPT_CHECKPOINTS]:
            old.unlink()

    async def _write_changes(self) -> None:
        if not self._changed:
            return
        try:
            await self.checkpoint()
        except OSError as problem:  # a full disk: the sessions are still in memory, for the next attempt
            self._changed = True
            _LOG.warning("a checkpoint cannot be written: %s", problem.strerror)


def _read_checkpoint(path: Path) -> Mapping[str, tuple[float, SessionState]] | None:
    """The content of a checkpoint; None if it is not complete."""
    entries: dict[str, tuple[float, SessionState]] = {}
    for text, _ in records.read_intact(path):
        match json.loads(text):
            case [_, count] if count == len(entries):
                return entries
            case [handle, expires, session]:
                entries[handle] = (expires, SessionState.from_dict(session))
    return None


def _checkpoints(volume: Path) -> list[Path]:
    """The checkpoint files, the oldest first."""
    return sorted(path for path in volume.glob("checkpoint-*") if path.suffix == "")


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def create_store(settings: Settings) -> Checkpoint:
    """A memory with checkpoints, and the options ``ttl``, ``every`` and ``ballast``.

    Raises:
        SettingsError: there is no volume.
    """
    options = settings.options
    ttl, every = options.seconds("ttl", TTL), options.seconds("every", DEFAULT_INTERVAL_S)
    return Checkpoint(settings.volume_for("the state checkpoint"), ttl, every, ballast=options.whole("ballast", 0))
