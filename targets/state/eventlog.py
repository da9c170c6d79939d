"""In memory, with every change first appended to a log on the replica's volume, from which a restart replays it.

What is kept are the events; the state is what they add up to. A write is acknowledged once its event is in the log, as
safe as ``--option fsync`` says:

- ``always``    the disk has it: neither a crash nor a power cut loses it (what comes at once shares an ``fsync``)
- ``interval``  the kernel has it: a crash of the service loses nothing, a power cut up to 100 ms
- ``never``     as that, and a power cut loses what the kernel had not written yet

A read may show a write that is on its way to the disk. Events carry checksums: a torn tail is cut off at the next start
and said. The log is never compacted, so a replay takes the longer the more was ever written; with the volume everything
is lost. ``--option ballast=N`` writes so many events of nobody's at the first start: it shows what a replay costs.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from targets.common.session import SessionState
from targets.common.settings import Settings
from targets.http.errors import Conflict
from targets.state import TTL
from targets.state.memory import Memory, ballast
from targets.storage.records import FSYNC, Log

OPTIONS: tuple[str, ...] = ("ttl", "fsync", "ballast")
KEEPS_SESSIONS = True

#: The log's name on the volume.
FILE = "events"


class EventLog:
    """A memory behind a log of what happened to it."""

    def __init__(self, volume: Path, ttl: float = TTL, fsync: str = "always", load: int = 0) -> None:
        # the wall's clock: what is kept has to expire at the right time in another process too
        self._memory, self._log = Memory(ttl, time.time), Log(volume / FILE, fsync)
        self._ttl, self._load = ttl, load

    async def open(self) -> None:
        """Replay the log."""
        is_new = True
        for text in self._log.replay():
            is_new, event = False, json.loads(text)
            _, before = self._memory.find(event["handle"])
            self._memory.put(event["handle"], applied(before, event), event["expires"])
        if is_new:
            await self._write_ballast()

    async def close(self) -> None:
        """Give the log back, and forget everything."""
        await self._log.close()
        await self._memory.close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, unless it is unknown or expired."""
        return await self._memory.read(handle)

    async def create(self, session: SessionState) -> str:
        """Append its first event, then keep it.

        Raises:
            Unavailable: the log cannot be written.
        """
        self._memory.purge()
        handle = os.urandom(16).hex()
        await self._keep(handle, None, session)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Append the event that leads to it, if it starts from what is kept, then keep it.

        Raises:
            Conflict: it does not; nothing was appended.
            Unavailable: the log cannot be written.
        """
        before = await self._memory.read(handle)
        if before is None or before.version + 1 != session.version:
            raise Conflict("the session is gone, or was changed by another write")
        await self._keep(handle, before, session)
        return handle

    async def _keep(self, handle: str, before: SessionState | None, after: SessionState) -> None:
        expires = time.time() + self._ttl
        self._log.write(_line(handle, expires, before, after))
        self._memory.put(handle, after, expires)
        await self._log.settled()

    async def _write_ballast(self) -> None:
        ballast(self._memory, self._load)
        for handle, (expires, session) in self._memory.kept().items():
            self._log.write(_line(handle, expires, None, session))
        await self._log.settled()


def _line(handle: str, expires: float, before: SessionState | None, after: SessionState) -> str:
    event = {"handle": handle, "expires": expires, **happened(before, after)}
    return json.dumps(event, separators=(",", ":"))


def happened(before: SessionState | None, after: SessionState) -> dict[str, Any]:
    """The event between two states: all of a new session, else what is other in it."""
    plain = after.plain()
    if before is None:
        return plain
    old = before.plain()
    event = {part: _other(old[part], plain[part]) for part in ("writers", "items")}
    gone = [item for item in before.items if item not in after.items]
    return {"version": after.version, **event, "gone": gone, "recent": after.recent}


def applied(before: SessionState | None, event: Mapping[str, Any]) -> SessionState:
    """The state after an event; the reverse of ``happened``."""
    if before is None:
        return SessionState.of_plain(event)
    old = before.plain()
    items = {item: count for item, count in old["items"].items() if item not in event["gone"]}
    parts = {"writers": {**old["writers"], **event["writers"]}, "items": {**items, **event["items"]}}
    return SessionState.of_plain({**old, **parts, "version": event["version"], "recent": event["recent"]})


def _other(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in after.items() if before.get(key) != value}


def place(settings: Settings) -> EventLog:
    """A memory behind a log, with the options ``ttl``, ``fsync`` and ``ballast``.

    Raises:
        SettingsError: there is no volume.
    """
    options = settings.options
    ttl, fsync = options.seconds("ttl", TTL), options.text("fsync", "always", FSYNC)
    return EventLog(settings.volume_for("the state eventlog"), ttl, fsync, load=options.whole("ballast", 0))
