"""Writes the progress of a run to a file, so that another process can follow it."""

from pathlib import Path

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.live import LIVE_FILE, ArmStart, LiveLine, append_line
from harness.runner.progress import Progress


class LiveFile(Progress):
    """Appends to ``live.jsonl`` in a run's directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Append the start of an arm."""
        append_line(self._directory, LiveLine(started=ArmStart(design, arm, index, total, duration, warmup)))

    def snapshot(self, snapshot: Snapshot) -> None:
        """Append the latest figures of the load process."""
        append_line(self._directory, LiveLine(snapshot=snapshot))

    def event(self, event: Event) -> None:
        """Append what happened."""
        append_line(self._directory, LiveLine(event=event))

    def arm_ended(self, line: str) -> None:
        """Append the outcome of an arm."""
        append_line(self._directory, LiveLine(ended=line))

    def remove(self) -> None:
        """Remove the file: the run is complete."""
        (self._directory / LIVE_FILE).unlink(missing_ok=True)
