"""One server and its queue, first come first served, exactly: what the truth server obeys and what is simulated."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

MS = 1_000_000


@dataclass(frozen=True)
class Stalls:
    """The server stands still for ``length`` ns at every ``every`` ns from ``origin`` on (CLOCK_MONOTONIC)."""

    origin: int = 0
    every: int = 0
    length: int = 0

    def end_of(self, t: int) -> int:
        """``t``, or the end of the stall that it lies in."""
        begin = self._begin_at_or_before(t)
        return begin + self.length if begin is not None and t < begin + self.length else t

    def delayed(self, begin: int, end: int) -> int:
        """When work is done that begins at ``begin`` (in no stall) and would be done at ``end``."""
        if not self.length:
            return end
        following = self.origin + self.every * max(0, math.ceil((begin - self.origin) / self.every))
        while following < end:
            end += self.length
            following += self.every
        return end

    def _begin_at_or_before(self, t: int) -> int | None:
        if not self.length or t < self.origin:
            return None
        return t - (t - self.origin) % self.every


class Queue:
    """Serves one after the other; times in ns."""

    def __init__(self, stalls: Stalls = Stalls()) -> None:
        self._stalls = stalls
        self._free = 0

    def finish(self, arrival: int, service: int) -> int:
        """When the next request, which arrives then and takes so long, is done."""
        begin = self._stalls.end_of(max(arrival, self._free))
        self._free = self._stalls.delayed(begin, begin + service)
        return self._free


def _constant(_: random.Random) -> float:
    return 2.0


def _bimodal(chance: random.Random) -> float:
    return 11.0 if chance.random() < 0.1 else 1.0


def _lognormal(chance: random.Random) -> float:
    return chance.lognormvariate(math.log(2.0) - 0.5, 1.0)  # sigma 1; the mean is exp(mu + 1/2) = 2


#: Service times in milliseconds; the mean of each is 2, so that one server's capacity is 500 a second.
SERVICES: dict[str, Callable[[random.Random], float]] = {
    "constant": _constant,
    "bimodal": _bimodal,
    "lognormal": _lognormal,
}
CAPACITY = 500.0


class Service:
    """The service times of a kind, in ns: the same sequence for the same seed."""

    def __init__(self, kind: str, seed: int) -> None:
        self._draw, self._chance = SERVICES[kind], random.Random(seed)

    def next(self) -> int:
        """How long the next request takes."""
        return round(self._draw(self._chance) * MS)
