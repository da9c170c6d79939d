"""An exact model of a first-come, first-served queue with one server, for the truth server and the simulation."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

MS = 1_000_000


@dataclass(frozen=True)
class Stalls:
    """The server stalls for ``length`` ns once per ``period`` ns, starting at ``origin`` (CLOCK_MONOTONIC, ns)."""

    origin: int = 0
    period: int = 0
    length: int = 0

    def end_of(self, t: int) -> int:
        """``t``, or the end of the stall that contains it."""
        begin = self._begin_at_or_before(t)
        return begin + self.length if begin is not None and t < begin + self.length else t

    def delay(self, begin: int, end: int) -> int:
        """The end of work that begins at ``begin`` (outside a stall) and would end at ``end`` without stalls."""
        if not self.length:
            return end
        next_stall = self.origin + self.period * max(0, math.ceil((begin - self.origin) / self.period))
        while next_stall < end:
            end += self.length
            next_stall += self.period
        return end

    def _begin_at_or_before(self, t: int) -> int | None:
        if not self.length or t < self.origin:
            return None
        return t - (t - self.origin) % self.period


class Queue:
    """Serves one request after another; times are in ns."""

    def __init__(self, stalls: Stalls = Stalls()) -> None:
        self._stalls = stalls
        self._free_at = 0

    def finish(self, arrival: int, service: int) -> int:
        """Serve the next request; returns when its service ends."""
        begin = self._stalls.end_of(max(arrival, self._free_at))
        self._free_at = self._stalls.delay(begin, begin + service)
        return self._free_at


def _constant(_: random.Random) -> float:
    return 2.0


def _bimodal(rng: random.Random) -> float:
    return 11.0 if rng.random() < 0.1 else 1.0


def _lognormal(rng: random.Random) -> float:
    return rng.lognormvariate(math.log(2.0) - 0.5, 1.0)  # sigma 1; the mean is exp(mu + 1/2) = 2


#: Service times in milliseconds; each mean is 2, so one server has a capacity of 500 requests per second.
SERVICES: dict[str, Callable[[random.Random], float]] = {
    "constant": _constant,
    "bimodal": _bimodal,
    "lognormal": _lognormal,
}
CAPACITY = 500.0


class Service:
    """The service times of a kind; the same seed gives the same sequence."""

    def __init__(self, kind: str, seed: int) -> None:
        self._draw, self._rng = SERVICES[kind], random.Random(seed)

    def next(self) -> int:
        """The service time of the next request, in ns."""
        return round(self._draw(self._rng) * MS)
