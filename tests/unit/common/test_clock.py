import time

import pytest

from harness.common.clock import Clock


def test_a_clock_without_t0_has_no_time() -> None:
    clock = Clock()
    assert not clock.started
    with pytest.raises(RuntimeError, match="T0"):
        clock.seconds()


def test_seconds_count_from_t0_and_are_negative_before_it() -> None:
    clock = Clock(time.monotonic_ns() - 2_000_000_000)
    assert clock.seconds() >= 2.0
    assert Clock(time.monotonic_ns() + 3_600_000_000_000).seconds() < 0


def test_a_clock_has_started_once_t0_is_set() -> None:
    clock = Clock()
    clock.t0_ns = time.monotonic_ns() + 3_600_000_000_000
    assert clock.started and clock.seconds() < 0
