"""How the clocks of two machines differ."""

from collections.abc import Iterable
from dataclasses import dataclass

#: How often a clock is read to compare it.
ROUNDS = 9


@dataclass(frozen=True)
class ClockOffset:
    """How far ahead the clock of the master or the harness is, and by how much that may be wrong (ns)."""

    ahead: int = 0
    error: int = 0

    @classmethod
    def of(cls, readings: Iterable[tuple[int, int, int]]) -> "ClockOffset":
        """From readings of it: when it was asked for, what it read, when that was known here (Cristian 1989).

        The fastest reading is the most exact one: the clock was read at some moment within it.
        """
        sent, there, back = min(readings, key=lambda reading: reading[2] - reading[0])
        return cls(there - (sent + back) // 2, (back - sent + 1) // 2)
