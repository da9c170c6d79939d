import os
from collections.abc import Callable

import pytest

from harness.load.recording.meter import SECOND_NS, CpuMeter, core_in_use


class Seconds:
    """A process that uses a given share of a core in each second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.used, self.core = 0, 0.0, 0
        self.calls: list[tuple[int, Callable[[int], None]]] = []
        self.meter = CpuMeter(lambda t, call: self.calls.append((t, call)), lambda: self.used, lambda: self.core)
        monkeypatch.setattr("harness.load.recording.meter.time.monotonic_ns", lambda: self.now)

    def spend(self, *shares: tuple[float, int]) -> None:
        for share, core in shares:
            due, call = self.calls.pop(0)
            self.now, self.used, self.core = due, self.used + share, core
            call(due)


def test_the_median_second_and_the_core_of_the_busy_seconds_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds(monkeypatch)
    seconds.meter.start(0)
    assert (seconds.meter.median, seconds.meter.core) == (None, None)
    seconds.spend((0.2, 0), (0.3, 0), (0.25, 0))
    assert (seconds.meter.median, seconds.meter.core) == (0.25, 0)
    seconds.spend((0.97, 3), (0.99, 3), (0.95, 1), (1.2, 3))
    assert (seconds.meter.median, seconds.meter.core) == (0.95, 3)


def test_a_second_that_was_late_counts_by_its_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds(monkeypatch)
    seconds.meter.start(0)
    due, call = seconds.calls.pop()
    seconds.now, seconds.used = due + SECOND_NS, 1.0
    call(seconds.now)
    assert seconds.meter.median == 0.5


def test_a_restart_discards_earlier_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds(monkeypatch)
    seconds.meter.start(0)
    seconds.spend((0.9, 0))
    stale = seconds.calls.pop()
    seconds.meter.start(seconds.now)
    stale[1](seconds.now)
    assert len(seconds.calls) == 1, "the earlier round has ended"
    seconds.spend((0.1, 2))
    assert (seconds.meter.median, seconds.meter.core) == (0.1, 2)


def test_the_core_in_use_is_one_that_may_be_used() -> None:
    assert core_in_use() in {None, *range(os.cpu_count() or 1)}
