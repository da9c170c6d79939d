"""How the master's clock and a worker's differ, and whether they are the same clock."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClockOffset:
    """How far ahead the master's clock is, and by how much that may be wrong (ns)."""

    ahead: int = 0
    error: int = 0

    @classmethod
    def of(cls, readings: Iterable[tuple[int, int, int]]) -> "ClockOffset":
        """From readings of it: when it was asked for, what it read, when that was known here (Cristian 1989).

        The fastest reading is the most exact one: the clock was read at some moment within it.
        """
        sent, there, back = min(readings, key=lambda reading: reading[2] - reading[0])
        return cls(there - (sent + back) // 2, (back - sent + 1) // 2)


def machine_id() -> str:
    """Distinguishes machines: two processes that read the same here have one monotonic clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else socket.gethostname()
