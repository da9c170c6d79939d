"""Which cores a benchmark has."""

import os

from harness.common.errors import EnvironmentLacksError


def two_cores() -> tuple[int, int]:
    """A core for the server and one for the driver.

    Raises:
        EnvironmentLacksError: there is one only.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise EnvironmentLacksError("the server and the driver need a core each", "run it where there are two")
    return cores[-1], cores[0]
