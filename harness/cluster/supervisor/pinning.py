"""Which cores each role may use."""

from collections.abc import Collection, Mapping

ENOUGH_CORES = 4


def cpus_by_role(cores: Collection[int]) -> Mapping[str, tuple[int, ...]]:
    """Keep the driver on cores of its own (the highest; two from eight on) and all it measures on the others.

    Below four cores nothing is pinned: halving so small a machine would distort more than sharing it does.
    A role that is not named may run anywhere.
    """
    if len(cores) < ENOUGH_CORES:
        return {}
    ordered = sorted(cores)
    own = 2 if len(ordered) >= 2 * ENOUGH_CORES else 1
    measured = tuple(ordered[:-own])
    return {
        "driver": tuple(ordered[-own:]),
        "replica": measured,
        "balancer": measured,
        "store": measured,
        "proxy": measured,
    }
