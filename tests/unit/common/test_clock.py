import time

import pytest

from harness.common.clock import Clock


def test_a_clock_without_t0_tells_no_time() -> None:
    clock = Clock()
    assert not clock.started
    with pytest.raises(RuntimeError, match="T0"):
        clock.seconds()


def test_seconds_count_from_t0_and_are_negative_before_it() -> None:
    clock = Clock(time.monotonic_ns() - 2_000_000_000)
    assert clock.seconds() >= 2.0
    assert Clock(time.monotonic_ns() + 3_600_000_000_000).seconds() < 0


def test_start_sets_t0_ahead() -> None:
    clock = Clock()
    before = time.monotonic_ns()
    assert clock.start(ahead=3600.0) - before >= 3_600_000_000_000
    assert clock.started
    assert clock.seconds() < 0
