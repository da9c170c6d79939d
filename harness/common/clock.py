"""The run's clock: seconds from T0, on CLOCK_MONOTONIC, which all processes of a machine share."""

import time


class Clock:
    """Counts from T0 once it is set. T0 may lie a little ahead; times before it are negative."""

    def __init__(self, t0_ns: int | None = None) -> None:
        self.t0_ns = t0_ns

    @property
    def started(self) -> bool:
        """Whether T0 is known."""
        return self.t0_ns is not None

    def seconds(self) -> float:
        """Seconds from T0.

        Raises:
            RuntimeError: T0 is not set.
        """
        return self.at(time.monotonic_ns())

    def at(self, monotonic_ns: int) -> float:
        """A moment of CLOCK_MONOTONIC in seconds from T0.

        Raises:
            RuntimeError: T0 is not set.
        """
        if self.t0_ns is None:
            raise RuntimeError("the clock has no T0 yet")
        return (monotonic_ns - self.t0_ns) / 1e9
