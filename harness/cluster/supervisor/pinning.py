"""Which cores each role may use."""

from collections.abc import Collection, Mapping

MIN_CORES = 4


def cpus_by_role(cores: Collection[int]) -> Mapping[str, tuple[int, ...]]:
    """Reserve the highest cores for the driver (two of eight or more, else one); the measured parts get the others.

    With fewer than four cores nothing is pinned: halving such a small machine would distort more than sharing it does.
    A role that is not in the mapping may run anywhere.
    """
    if len(cores) < MIN_CORES:
        return {}
    ordered = sorted(cores)
    reserved = 2 if len(ordered) >= 2 * MIN_CORES else 1
    measured = tuple(ordered[:-reserved])
    return {
        "driver": tuple(ordered[-reserved:]),
        "replica": measured,
        "balancer": measured,
        "store": measured,
        "proxy": measured,
    }
