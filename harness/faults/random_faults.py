"""Random faults, the same for the same seed: a timeline for a soak test."""

import random
from collections.abc import Iterator

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.deploy import Start, Terminate
from harness.faults.kill import Kill, Restart
from harness.faults.pause import Pause, Resume
from harness.scenario.faults import At, Fault

_PAIRS = ((Kill, Restart), (Pause, Resume), (Terminate, Start))


def random_faults(  # noqa: PLR0917 - a window, and the faults in it
    seed: int, begin: str, end: str, replicas: int, every: str = "3s", lasting: str = "1s"
) -> tuple[At, ...]:
    """Replicas killed, paused or drained at random, from ``begin`` to ``end``, at mean intervals of ``every``.

    One fault at a time, so that each effect has one cause: it lasts up to ``lasting`` and is over before the next.

    Raises:
        UsageError: there is no room for a fault.
    """
    first, last, gap, longest = (parse_seconds(text) for text in (begin, end, every, lasting))
    if not 0 < longest < gap or first + longest >= last or replicas < 1:
        raise UsageError("random_faults needs lasting < every, and room for one fault between begin and end")
    return tuple(_draw(random.Random(seed), (first, last), replicas, gap, longest))


def _draw(
    generator: random.Random, window: tuple[float, float], replicas: int, gap: float, longest: float
) -> Iterator[At]:
    begin, last = window
    while begin + longest < last:
        fault, end = generator.choice(_PAIRS)
        replica = generator.randrange(replicas)
        yield _at(begin, fault(replica))
        yield _at(begin + generator.uniform(0.5, 1.0) * longest, end(replica))
        begin += generator.uniform(longest, 2 * gap - longest)


def _at(t: float, fault: Fault) -> At:
    return At(f"{t:.3f}s", fault)
