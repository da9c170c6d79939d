"""What a service's state is, told to the ledger as a tally: how many writes are in it, and the sum of their tokens.

A model is the translation. ``weigh`` says what a write would add to the tally, ``measure`` what tally a shown state
amounts to; everything else (lost, rolled back, stale, duplicate, foreign) follows from the sums, the same for all.
What a model cannot see, it says:

=========  ================  ==========================================================================================
model      memory a session  blind to
=========  ================  ==========================================================================================
tally      O(1)              the order of writes
counter    O(1)              which write is gone or twice; one lost beside one recovered or duplicated
register   O(1)              writes that were overwritten; values older than the last eight it takes for foreign
set        O(n)              an item added twice; an addition repeated and a removal undone look alike
log        O(n)              which of several entries with an equal value
=========  ================  ==========================================================================================
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, Protocol

from harness.observations.requests import Anomaly
from harness.oracle.operations import MASK


class Sum(NamedTuple):
    """``n`` writes and the sum mod 2^64 of their tokens."""

    n: int
    digest: int

    def plus(self, other: "Sum") -> "Sum":
        """Both together."""
        return Sum(self.n + other.n, (self.digest + other.digest) & MASK)

    def minus(self, other: "Sum") -> "Sum":
        """This without the other."""
        return Sum(self.n - other.n, (self.digest - other.digest) & MASK)


NOTHING = Sum(0, 0)


class Measure(NamedTuple):
    """A shown state as a tally, and what is wrong with it that sums do not show."""

    sum: Sum
    anomaly: Anomaly = Anomaly.NONE


class Model(Protocol):
    """One session's translation of its state. Values and states are what the scenario writes and reads."""

    name: str

    def weigh(self, token: int, value: object) -> Sum:
        """What the write issued now adds when it is applied."""

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """The write is acknowledged; ``whole`` is the state with nothing missing, this write included."""

    def discard(self, token: int, value: object) -> None:
        """The write was certainly not applied."""

    def measure(self, state: object, whole: Sum) -> Measure:
        """The tally of a shown state; ``whole`` is the state with nothing missing.

        Raises:
            TypeError: the state is not of the kind that the model reads.
        """


ModelFactory = Callable[[], Model]


@dataclass(frozen=True)
class Removed:
    """A write that takes an item out of a set."""

    item: object


def foreign_token(value: object) -> int:
    """A token for what no write of this session put there."""
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8, person=b"foreign").digest(), "big")


class TallyModel:
    """The built-in targets: the reply is the tally."""

    name = "tally"

    def weigh(self, token: int, value: object) -> Sum:
        """One write, one token."""
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Nothing to remember."""

    def discard(self, token: int, value: object) -> None:
        """Nothing to remember."""

    def measure(self, state: object, whole: Sum) -> Measure:
        """A pair of count and digest."""
        if not isinstance(state, tuple) or len(state) != 2:
            raise TypeError(f"a tally is (count, digest), not {state!r}")
        return Measure(Sum(*state))


class CounterModel(TallyModel):
    """A number that every applied write raises by one."""

    name = "counter"

    def weigh(self, token: int, value: object) -> Sum:
        """One write; which one leaves no mark."""
        return Sum(1, 0)

    def measure(self, state: object, whole: Sum) -> Measure:
        """An integer."""
        if not isinstance(state, int):
            raise TypeError(f"a counter is a whole number, not {state!r}")
        return Measure(Sum(state, 0))


class RegisterModel:
    """The last written value. It stands for the history up to that write: an older value is a rollback to it.

    An empty state (``None`` inside a known reply is not known; ``""``, 0 or the like) is one never written.
    """

    name = "register"
    _KEPT = 8

    def __init__(self) -> None:
        #: Values seen or acknowledged, oldest first, with the history that each stands for.
        self._known: list[tuple[object, Sum]] = []
        self._open: list[tuple[object, int]] = []  # values whose write is not acknowledged

    def weigh(self, token: int, value: object) -> Sum:
        """One write, one token."""
        self._open = [*self._open[-63:], (value, token)]
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """The value stands for all that has been written."""
        self._open = [pair for pair in self._open if pair[1] != token]
        self._keep(value, whole)

    def discard(self, token: int, value: object) -> None:
        """The value stays recognisable: should it appear, it is a defect."""

    def measure(self, state: object, whole: Sum) -> Measure:
        """The history that the value stands for."""
        if self._known and self._known[-1][0] == state:
            return Measure(whole)
        for value, token in reversed(self._open):
            if value == state:
                self._open.remove((value, token))
                self._keep(value, whole.plus(Sum(1, token)))
                return Measure(self._known[-1][1])
        for value, history in reversed(self._known):
            if value == state:
                return Measure(history)
        return Measure(whole.plus(Sum(0, foreign_token(state))) if state else NOTHING)

    def _keep(self, value: object, history: Sum) -> None:
        self._known = [*self._known[1 - self._KEPT :], (value, history)]


class SetModel:
    """A set: a write adds its value, or takes it out where the value is ``Removed(item)``."""

    name = "set"

    def __init__(self) -> None:
        #: Of every item, the writes that may have added it; the last one counts.
        self._tokens: dict[object, list[int]] = {}
        self._present: set[object] = set()

    def weigh(self, token: int, value: object) -> Sum:
        """An item that is there already adds nothing; one taken out takes its token along."""
        if isinstance(value, Removed):
            there = value.item in self._present
            return Sum(-1, -self._tokens[value.item][-1] & MASK) if there else NOTHING
        if value in self._present:
            return NOTHING
        self._tokens.setdefault(value, []).append(token)
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """The item is there now, or gone."""
        if isinstance(value, Removed):
            self._present.discard(value.item)
        else:
            self._present.add(value)

    def discard(self, token: int, value: object) -> None:
        """Forget that it might be there: should the item appear nevertheless, it is foreign."""
        if token in self._tokens.get(value, ()):
            self._tokens[value].remove(token)

    def measure(self, state: object, whole: Sum) -> Measure:
        """A collection of items."""
        items = set(_iterable(state, "set"))
        self._present = {item for item in items if self._tokens.get(item)}
        tokens = (self._tokens[item][-1] if item in self._present else foreign_token(item) for item in items)
        return Measure(Sum(len(items), sum(tokens) & MASK))


class LogModel:
    """A log: every applied write appends its value. The order of acknowledged entries is checked as well."""

    name = "log"

    def __init__(self) -> None:
        self._acknowledged: dict[object, list[int]] = {}
        self._open: dict[object, list[int]] = {}
        self._order: dict[int, int] = {}  # acknowledged token -> its place

    def weigh(self, token: int, value: object) -> Sum:
        """One write, one token."""
        self._open.setdefault(value, []).append(token)
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """The entry has its place."""
        self._open[value].remove(token)
        self._acknowledged.setdefault(value, []).append(token)
        self._order[token] = len(self._order)

    def discard(self, token: int, value: object) -> None:
        """Forget that it might be there: should the entry appear nevertheless, it is foreign."""
        self._open[value].remove(token)

    def measure(self, state: object, whole: Sum) -> Measure:
        """A sequence of entries, oldest first."""
        taken: dict[object, int] = {}
        tokens = []
        for value in _iterable(state, "log"):
            mine = self._acknowledged.get(value, []) + self._open.get(value, [])
            nth = taken[value] = taken.get(value, -1) + 1
            tokens.append(mine[min(nth, len(mine) - 1)] if mine else foreign_token(value))
        places = [self._order[token] for token in dict.fromkeys(tokens) if token in self._order]
        kept = places == sorted(places)
        return Measure(Sum(len(tokens), sum(tokens) & MASK), Anomaly.NONE if kept else Anomaly.UNEXPLAINED)


def _iterable(state: object, name: str) -> Iterable[object]:
    if not isinstance(state, Iterable) or isinstance(state, str | bytes):
        raise TypeError(f"a {name} is a collection, not {state!r}")
    return state


class StatelessModel(TallyModel):
    """A service that keeps nothing of a session: its replies stand alone, and there is nothing to lose."""

    name = "stateless"


#: What every ledger of a built-in target shares: it has no memory.
TALLY = TallyModel()


def tally() -> Model:
    """The model of the built-in targets."""
    return TALLY


stateless: ModelFactory = StatelessModel
counter: ModelFactory = CounterModel
register: ModelFactory = RegisterModel
items: ModelFactory = SetModel
log: ModelFactory = LogModel
