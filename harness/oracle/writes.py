"""An issued write, and the search for the writes in doubt that a reply shows."""

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

from harness.oracle.models import NOTHING, Sum
from harness.oracle.operations import MASK

#: The limit of sums tried for one reply; those of 12 writes in doubt fit (2^12).
MAX_TRIES = 5000


class Write(NamedTuple):
    """An issued write: its number, its token, what it adds, and the value for the model."""

    i: int
    token: int
    weight: Sum
    value: object = None


def find_appeared(doubts: Sequence[Write], difference: Sum) -> tuple[Write, ...] | None:
    """The writes in doubt that together account for the difference; None if none do, or the search takes too long."""
    if difference == NOTHING:
        return ()
    for size in _possible_sizes(doubts, difference):
        for subset in combinations(doubts, size):
            if _adds_up(subset, difference):
                return subset
    return None


def _possible_sizes(doubts: Sequence[Write], difference: Sum) -> list[int]:
    """How many writes may account for the difference."""
    count = len(doubts)
    each_adds_one = all(write.weight.n == 1 for write in doubts)
    sizes = [size for size in range(1, count + 1) if size == difference.n or not each_adds_one]
    return [size for size in sizes if comb(count, size) <= MAX_TRIES]


def _adds_up(writes: Sequence[Write], difference: Sum) -> bool:
    if sum(write.weight.n for write in writes) != difference.n:
        return False
    return sum(write.weight.digest for write in writes) & MASK == difference.digest
