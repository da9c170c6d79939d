"""Several views of one run."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.runner.progress import Progress


class CompositeProgress(Progress):
    """Forwards every call to several views."""

    def __init__(self, parts: Sequence[Progress]) -> None:
        self._parts = parts

    def __enter__(self) -> Self:
        for part in self._parts:
            part.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in reversed(self._parts):
            part.__exit__(kind, problem, trace)

    def say(self, line: str) -> None:
        """Forward the call."""
        for part in self._parts:
            part.say(line)

    def stage(self, what: str) -> None:
        """Forward the call."""
        for part in self._parts:
            part.stage(what)

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Forward the call."""
        for part in self._parts:
            part.arm_started(design, arm, index, total, duration, warmup=warmup)

    def trial_started(self, search: str, index: int, total: int, duration: float, expected: float) -> None:
        """Forward the call."""
        for part in self._parts:
            part.trial_started(search, index, total, duration, expected)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Forward the call."""
        for part in self._parts:
            part.snapshot(snapshot)

    def event(self, event: Event) -> None:
        """Forward the call."""
        for part in self._parts:
            part.event(event)

    def arm_ended(self, line: str) -> None:
        """Forward the call."""
        for part in self._parts:
            part.arm_ended(line)
