"""The cores of a benchmark."""

import os

from harness.common.errors import EnvironmentLacksError


def two_cores() -> tuple[int, int]:
    """A core for the server and one for the driver.

    Raises:
        EnvironmentLacksError: there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise EnvironmentLacksError(
            "the server and the driver need one core each", "run it on a machine with two cores"
        )
    return cores[-1], cores[0]
