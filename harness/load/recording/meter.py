"""The CPU that the load process uses, second by second, and the core that it uses it on."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SECOND_NS = 1_000_000_000
#: From so much of a core on a second counts as a busy one.
BUSY = 0.9
_CORE = 36  # the place of the core in /proc/self/stat, counted from behind the name
_STAT = Path("/proc/self/stat")


def core_in_use() -> int | None:
    """The core that this process ran on last; None where the system does not tell."""
    try:
        return int(_STAT.read_text().rpartition(")")[2].split()[_CORE])
    except OSError:
        return None


class CpuMeter:
    """Looks once a second, from ``start`` on. Its memory does not grow: shares are kept to the hundredth."""

    def __init__(
        self,
        at: Callable[[int, Callable[[int], None]], None],
        used: Callable[[], float] = time.process_time,
        core: Callable[[], int | None] = core_in_use,
    ) -> None:
        self._at = at
        self._used = used
        self._core = core
        self._before = (0, 0.0)
        self._shares: Counter[int] = Counter()  # seconds by the hundredths of a core that were used in them
        self._cores: Counter[tuple[bool, int]] = Counter()  # seconds by whether they were busy, and by the core
        self._rounds = 0

    def start(self, now: int) -> None:
        """Begin anew: the load begins now."""
        self._shares.clear()
        self._cores.clear()
        self._rounds += 1
        self._wait(now, self._rounds)

    def _wait(self, now: int, of: int) -> None:
        self._before = now, self._used()
        self._at(now + SECOND_NS, lambda later: self._look(of))

    def _look(self, of: int) -> None:
        if of != self._rounds:
            return  # begun anew since
        now, (then, used) = time.monotonic_ns(), self._before
        share = (self._used() - used) / max(1, now - then) * 1e9
        self._shares[round(100 * share)] += 1
        where = self._core()
        if where is not None:
            self._cores[share >= BUSY, where] += 1
        self._wait(now, of)

    @property
    def median(self) -> float | None:
        """What it used of a core in the middle one of its seconds; None before the first is over."""
        half, seen = self._shares.total() / 2, 0
        for share, count in sorted(self._shares.items()):
            seen += count
            if seen >= half:
                return share / 100
        return None

    @property
    def core(self) -> int | None:
        """The core on which it spent most of its busy seconds; where it had none, most of all."""
        of_kind = [(count, core) for (busy, core), count in self._cores.items() if busy]
        counted = of_kind or [(count, core) for (_, core), count in self._cores.items()]
        return max(counted)[1] if counted else None
