"""In memory, with a checkpoint on the replica's volume every so often, from which a restart goes on.

A write is acknowledged once **this process** has it. ``--option every=1s`` later at the latest, and after the time that
writing takes, a checkpoint holds it: a crash loses what was acknowledged since the last whole one, an orderly stop
nothing. Checkpoints are written in the background from a copy, under another name until the disk has all of them; the
last two are kept, so that of a torn one the one before is taken: a second interval is lost then, and it is said.
Without the volume everything is lost, as with the state memory.

``--option ballast=N`` keeps so many sessions of nobody's from the first start on: it shows what size costs a restart.
"""

import asyncio
import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from targets.common.periodic import PeriodicTask
from targets.common.session import SessionState
from targets.common.settings import Settings
from targets.state import TTL
from targets.state.memory import Memory, add_ballast
from targets.storage import records

OPTIONS: tuple[str, ...] = ("ttl", "every", "ballast")
KEEPS_SESSIONS = True

#: Seconds between two checkpoints where nothing is said.
DEFAULT_INTERVAL_S = 1.0
_KEPT_CHECKPOINTS = 2
_WHOLE = "whole"
_LOG = logging.getLogger("targets")


class Checkpoint:
    """A memory that writes itself to ``volume`` every ``every`` seconds, where it has changed."""

    def __init__(self, volume: Path, ttl: float = TTL, every: float = DEFAULT_INTERVAL_S, ballast: int = 0) -> None:
        # the wall's clock: what is kept has to expire at the right time in another process too
        self._memory = Memory(ttl, time.time)
        self._volume, self._every, self._ballast = volume, every, ballast
        self._number, self._changed = 0, False
        self._writing: PeriodicTask | None = None

    async def open(self) -> None:
        """Restore the newest whole checkpoint, then go on from there."""
        for path in reversed(_checkpoints(self._volume)):
            self._number = max(self._number, _number(path))
            if (restored := _read_checkpoint(path)) is not None:
                for handle, (expires, session) in restored.items():
                    self._memory.put(handle, session, expires)
                break
            _LOG.warning("%s is torn: the checkpoint before it is taken", path.name)
        else:
            add_ballast(self._memory, self._ballast)
            await self.checkpoint()
        self._writing = PeriodicTask(self._every, self._write_changes)

    async def close(self) -> None:
        """Write what has changed, and forget everything."""
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
        """Write all that is kept now; returns when the disk has it."""
        self._changed, kept = False, self._memory.snapshot()
        self._number += 1
        path = self._volume / f"checkpoint-{self._number:08}"
        await asyncio.to_thread(records.write_file, path, _lines(kept))
        for old in _checkpoints(self._volume)[:-_KEPT_CHECKPOINTS]:
            old.unlink()

    async def _write_changes(self) -> None:
        if not self._changed:
            return
        try:
            await self.checkpoint()
        except OSError as problem:  # a full disk: the sessions are still here, and the next one is tried
            self._changed = True
            _LOG.warning("a checkpoint cannot be written: %s", problem.strerror)


def _lines(kept: Mapping[str, tuple[float, SessionState]]) -> Iterator[str]:
    for handle, (expires, session) in kept.items():
        yield json.dumps([handle, expires, session.to_dict()], separators=(",", ":"))
    yield json.dumps([_WHOLE, len(kept)])


def _read_checkpoint(path: Path) -> Mapping[str, tuple[float, SessionState]] | None:
    """What a checkpoint holds; None where it is not whole."""
    found: dict[str, tuple[float, SessionState]] = {}
    for text, _ in records.read_intact(path):
        match json.loads(text):
            case [_, count] if count == len(found):
                return found
            case [handle, expires, plain]:
                found[handle] = (expires, SessionState.from_dict(plain))
    return None


def _checkpoints(volume: Path) -> list[Path]:
    """The oldest first."""
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
