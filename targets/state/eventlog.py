"""In memory, with every change first appended to a log on the replica's volume, which a restart replays.

The log keeps events, and the state is their sum. A write is acknowledged once its event is in the log, as safe as
``--option fsync`` says:

- ``always``    the disk has it: neither a crash nor a power cut loses it (concurrent writes share an ``fsync``)
- ``interval``  the kernel has it: a crash of the service loses nothing, a power cut up to 100 ms
- ``never``     the kernel has it: a power cut loses what the kernel had not written yet

A read can show a write that is on its way to the disk. Events carry checksums: a torn tail is cut off at the next
start, and logged. The log is never compacted, so a replay takes longer with every write. Everything is lost with the
volume. ``--option ballast=N`` writes N events without a client at the first start, to measure what a replay costs.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from targets.common.session import SessionState
from targets.common.settings import Settings
from targets.http.errors import ConflictError
from targets.state import TTL
from targets.state.memory import Memory, add_ballast
from targets.storage.records import FSYNC, Log

OPTIONS: tuple[str, ...] = ("ttl", "fsync", "ballast")
KEEPS_SESSIONS = True

#: The log's name on the volume.
FILE = "events"


class EventLog:
    """A memory behind a log of its changes."""

    def __init__(self, volume: Path, ttl: float = TTL, fsync: str = "always", ballast: int = 0) -> None:
        # the wall clock: sessions have to expire at the right time in the next process too
        self._memory, self._log = Memory(ttl, time.time), Log(volume / FILE, fsync)
        self._ttl, self._ballast = ttl, ballast

    async def open(self) -> None:
        """Replay the log."""
        is_new = True
        for text in self._log.replay():
            is_new, event = False, json.loads(text)
            _, before = self._memory.find(event["handle"])
            self._memory.put(event["handle"], apply_event(before, event), event["expires"])
        if is_new:
            await self._write_ballast()

    async def close(self) -> None:
        """Close the log, and forget everything."""
        await self._log.close()
        await self._memory.close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired."""
        return await self._memory.read(handle)

    async def create(self, session: SessionState) -> str:
        """Append its first event, then keep it.

        Raises:
            UnavailableError: the log cannot be written.
        """
        self._memory.purge()
        handle = os.urandom(16).hex()
        await self._keep(handle, None, session)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Append the event that leads to this session, if the kept one is the version before it, then keep it.

        Raises:
            ConflictError: it is not; nothing was appended.
            UnavailableError: the log cannot be written.
        """
        before = await self._memory.read(handle)
        if before is None or before.version + 1 != session.version:
            raise ConflictError("the session is gone, or was changed by another write")
        await self._keep(handle, before, session)
        return handle

    async def _keep(self, handle: str, before: SessionState | None, after: SessionState) -> None:
        expires = time.time() + self._ttl
        self._log.write(_line(handle, expires, before, after))
        self._memory.put(handle, after, expires)
        await self._log.flush()

    async def _write_ballast(self) -> None:
        add_ballast(self._memory, self._ballast)
        for handle, (expires, session) in self._memory.snapshot().items():
            self._log.write(_line(handle, expires, None, session))
        await self._log.flush()


def _line(handle: str, expires: float, before: SessionState | None, after: SessionState) -> str:
    event = {"handle": handle, "expires": expires, **make_event(before, after)}
    return json.dumps(event, separators=(",", ":"))


def make_event(before: SessionState | None, after: SessionState) -> dict[str, Any]:
    """The event between two states: all of a new session, otherwise its changes."""
    new = after.to_dict()
    if before is None:
        return new
    old = before.to_dict()
    changes = {
        part: {key: value for key, value in new[part].items() if old[part].get(key) != value}
        for part in ("writers", "items")
    }
    gone = [item for item in before.items if item not in after.items]
    return {"version": after.version, **changes, "gone": gone, "recent": after.recent}


def apply_event(before: SessionState | None, event: Mapping[str, Any]) -> SessionState:
    """The state after an event; the reverse of ``make_event``."""
    if before is None:
        return SessionState.from_dict(event)
    old = before.to_dict()
    items = {item: count for item, count in old["items"].items() if item not in event["gone"]}
    parts = {"writers": {**old["writers"], **event["writers"]}, "items": {**items, **event["items"]}}
    return SessionState.from_dict({**old, **parts, "version": event["version"], "recent": event["recent"]})


def create_store(settings: Settings) -> EventLog:
    """A memory behind a log, with the options ``ttl``, ``fsync`` and ``ballast``.

    Raises:
        SettingsError: there is no volume.
    """
    options = settings.options
    ttl, fsync = options.seconds("ttl", TTL), options.text("fsync", "always", FSYNC)
    return EventLog(settings.volume_for("the state eventlog"), ttl, fsync, ballast=options.whole("ballast", 0))
