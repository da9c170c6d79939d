"""Measures the CPU use of the load process in each second, and on which core it runs."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SECOND_NS = 1_000_000_000
#: A second with at least this share of a core is busy.
BUSY_SHARE = 0.9
_CORE_FIELD = 36  # the index of the core in /proc/self/stat, counted after the process name
_STAT = Path("/proc/self/stat")


def core_in_use() -> int | None:
    """The core that this process ran on last; None if the system does not report it."""
    try:
        return int(_STAT.read_text().rpartition(")")[2].split()[_CORE_FIELD])
    except OSError:
        return None


class CpuMeter:
    """Samples once per second after ``start``. Its memory is bounded: shares are rounded to hundredths."""

    def __init__(
        self,
        call_at: Callable[[int, Callable[[int], None]], None],
        cpu_time: Callable[[], float] = time.process_time,
        core: Callable[[], int | None] = core_in_use,
    ) -> None:
        self._call_at = call_at
        self._cpu_time = cpu_time
        self._core = core
        self._last = (0, 0.0)  # ns, CPU seconds
        self._shares: Counter[int] = Counter()  # seconds, by hundredths of a core used
        self._cores: Counter[tuple[bool, int]] = Counter()  # seconds, by busy and core
        self._generation = 0

    def start(self, now: int) -> None:
        """Discard earlier samples: the load begins now."""
        self._shares.clear()
        self._cores.clear()
        self._generation += 1
        self._schedule(now, self._generation)

    def _schedule(self, now: int, generation: int) -> None:
        self._last = now, self._cpu_time()
        self._call_at(now + SECOND_NS, lambda later: self._sample(generation))

    def _sample(self, generation: int) -> None:
        if generation != self._generation:
            return  # started again since
        now, (last, cpu_time) = time.monotonic_ns(), self._last
        share = (self._cpu_time() - cpu_time) / max(1, now - last) * 1e9
        self._shares[round(100 * share)] += 1
        core = self._core()
        if core is not None:
            self._cores[share >= BUSY_SHARE, core] += 1
        self._schedule(now, generation)

    @property
    def median(self) -> float | None:
        """The median share of a core used per second; None before the first second is over."""
        half, seen = self._shares.total() / 2, 0
        for share, count in sorted(self._shares.items()):
            seen += count
            if seen >= half:
                return share / 100
        return None

    @property
    def core(self) -> int | None:
        """The core of most busy seconds, or of most seconds if none was busy; None if unknown."""
        busy_cores = [(count, core) for (busy, core), count in self._cores.items() if busy]
        cores = busy_cores or [(count, core) for (_, core), count in self._cores.items()]
        return max(cores)[1] if cores else None
