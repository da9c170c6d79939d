"""Which views of a run's progress a command shows."""

import sys
from dataclasses import dataclass
from typing import TextIO

from harness.common.terminal import write
from harness.observations.events import Event
from harness.runner.composite_progress import CompositeProgress
from harness.runner.exporter import Exporter
from harness.runner.progress import PlainProgress, Progress, progress


@dataclass
class EventLines(Progress):
    """A line for every event of a run, with its facts."""

    stream: TextIO

    def event(self, event: Event) -> None:
        """Print it."""
        facts = ", ".join(f"{key} {value}" for key, value in event.detail.items())
        write(self.stream, f"  {event.t:7.3f} s  {event.kind.replace('_', ' ')}: {event.subject} {facts}".rstrip())


def choose(quiet: bool = False, verbose: bool = False, prometheus_port: int | None = None) -> Progress:
    """Nothing if ``quiet``, plain lines and every event if ``verbose``, otherwise what fits the terminal.

    With a port, also live metrics for Prometheus.
    """
    views = [Exporter(prometheus_port)] if prometheus_port is not None else []
    shown = [PlainProgress(sys.stderr), EventLines(sys.stderr)] if verbose else [progress(quiet=quiet)]
    return CompositeProgress([*views, *shown])
