"""What a run writes while it goes on, for other processes that follow it: ``live.jsonl``, a line per message.

The file is removed once the report is written: the observations hold all of it and more.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.files import decode_json, explain_write_errors

LIVE_FILE = "live.jsonl"
#: What is read of the file in one go. A run writes about half a kilobyte five times per second.
_MOST_BYTES = 8_000_000


@dataclass(frozen=True)
class ArmStart:
    """An arm begins: which one of how many (``index`` counts from 0), its load and warm-up in seconds."""

    design: str
    arm: str  # fault | control
    index: int
    total: int
    duration: float
    warmup: float


@dataclass(frozen=True)
class LiveLine:
    """A line of the file: one of its fields is set. ``ended`` is the outcome of the arm in words."""

    started: ArmStart | None = None
    snapshot: Snapshot | None = None
    event: Event | None = None
    ended: str | None = None


def append_line(directory: Path, line: LiveLine) -> None:
    """Append a line to the file in a run's directory.

    Raises:
        HarnessError: it cannot be written.
    """
    path = directory / LIVE_FILE
    with explain_write_errors(path), path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


class LiveTail:
    """Reads the file while it grows."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LIVE_FILE
        self._offset = 0

    def read(self) -> list[LiveLine]:
        """The complete lines that were added since the last call; none while there is no file.

        Raises:
            ValueError: a line is something else.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole = file.read(_MOST_BYTES).rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        if not whole:
            return []
        self._offset += len(whole) + 1
        return [decode_json(line, LiveLine) for line in whole.split(b"\n")]
