"""A service's state as a tally for the ledger: how many writes are in it, and the sum of their tokens.

A model translates: ``weigh`` returns what a write would add to the tally, ``measure`` the tally of the state in a
reply. Everything else (lost, rolled back, stale, duplicated, foreign) follows from the sums, in the same way for all
models. Each model has its limits:

=========  ================  ==========================================================================================
model      session's memory  does not see
=========  ================  ==========================================================================================
tally      O(1)              the order of writes
counter    O(1)              which write is lost or duplicated; a lost one next to a recovered or duplicated one
register   O(1)              overwritten writes; it treats values older than the last eight as foreign
set        O(n)              an item added twice; an addition repeated and a removal undone look alike
log        O(n)              which one of several entries with an equal value
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
        """The sum of both."""
        return Sum(self.n + other.n, (self.digest + other.digest) & MASK)

    def minus(self, other: "Sum") -> "Sum":
        """This sum minus the other."""
        return Sum(self.n - other.n, (self.digest - other.digest) & MASK)


NOTHING = Sum(0, 0)


class MeasuredState(NamedTuple):
    """A state as a tally, and anything wrong with it that sums do not show."""

    sum: Sum
    anomaly: Anomaly = Anomaly.NONE


class Model(Protocol):
    """Translates the state of one session. Values and states are what the scenario writes and reads."""

    name: str

    def weigh(self, token: int, value: object) -> Sum:
        """What the write issued now adds when it is applied."""

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Learn that the write is acknowledged; ``whole`` is the state with nothing missing, including this write."""

    def discard(self, token: int, value: object) -> None:
        """Learn that the write was certainly not applied."""

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """The tally of a state; ``whole`` is the state with nothing missing.

        Raises:
            TypeError: the state has a type that the model does not read.
        """


ModelFactory = Callable[[], Model]


@dataclass(frozen=True)
class Removed:
    """A write that removes an item from a set."""

    item: object


def foreign_token(value: object) -> int:
    """A token for content that no write of this session put there."""
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8, person=b"foreign").digest(), "big")


class TallyModel:
    """The state of the built-in targets: their replies carry the tally."""

    name = "tally"

    def weigh(self, token: int, value: object) -> Sum:
        """One write with its token."""
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Nothing to remember."""

    def discard(self, token: int, value: object) -> None:
        """Nothing to remember."""

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """A pair of count and digest."""
        if not isinstance(state, tuple) or len(state) != 2:
            raise TypeError(f"a tally is (count, digest), not {state!r}")
        return MeasuredState(Sum(*state))


class CounterModel(TallyModel):
    """A number that every applied write raises by one."""

    name = "counter"

    def weigh(self, token: int, value: object) -> Sum:
        """One write, without a token: the number does not show which write it was."""
        return Sum(1, 0)

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """An integer."""
        if not isinstance(state, int):
            raise TypeError(f"a counter is an integer, not {state!r}")
        return MeasuredState(Sum(state, 0))


class RegisterModel:
    """The last written value. It stands for the history up to that write: an older value is a rollback to it.

    An empty state (such as ``""`` or 0) was never written; ``None`` means that the state is unknown.
    """

    name = "register"
    _MAX_KNOWN = 8

    def __init__(self) -> None:
        #: Values seen or acknowledged, oldest first, each with the history that it stands for.
        self._known: list[tuple[object, Sum]] = []
        self._open: list[tuple[object, int]] = []  # values whose write is not acknowledged

    def weigh(self, token: int, value: object) -> Sum:
        """One write with its token."""
        self._open = [*self._open[-63:], (value, token)]
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Let the value stand for everything written so far."""
        self._open = [pair for pair in self._open if pair[1] != token]
        self._keep(value, whole)

    def discard(self, token: int, value: object) -> None:
        """Keep the value recognisable: if it appears, that is a defect."""

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """The history that the value stands for."""
        if self._known and self._known[-1][0] == state:
            return MeasuredState(whole)
        for value, token in reversed(self._open):
            if value == state:
                self._open.remove((value, token))
                self._keep(value, whole.plus(Sum(1, token)))
                return MeasuredState(self._known[-1][1])
        for value, history in reversed(self._known):
            if value == state:
                return MeasuredState(history)
        return MeasuredState(whole.plus(Sum(0, foreign_token(state))) if state else NOTHING)

    def _keep(self, value: object, history: Sum) -> None:
        self._known = [*self._known[1 - self._MAX_KNOWN :], (value, history)]


class SetModel:
    """A set: a write adds its value, or removes an item if the value is ``Removed(item)``."""

    name = "set"

    def __init__(self) -> None:
        #: For every item the writes that may have added it; the last one counts.
        self._tokens: dict[object, list[int]] = {}
        self._present: set[object] = set()

    def weigh(self, token: int, value: object) -> Sum:
        """The token of a new item, or minus the token of a removed one; nothing for an item that is already there."""
        if isinstance(value, Removed):
            is_present = value.item in self._present
            return Sum(-1, -self._tokens[value.item][-1] & MASK) if is_present else NOTHING
        if value in self._present:
            return NOTHING
        self._tokens.setdefault(value, []).append(token)
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Record that the item is now there, or gone."""
        if isinstance(value, Removed):
            self._present.discard(value.item)
        else:
            self._present.add(value)

    def discard(self, token: int, value: object) -> None:
        """Forget that the item may be there: if it appears nevertheless, it is foreign."""
        if token in self._tokens.get(value, ()):
            self._tokens[value].remove(token)

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """A collection of items."""
        items = set(_iterable(state, "set"))
        self._present = {item for item in items if self._tokens.get(item)}
        tokens = (self._tokens[item][-1] if item in self._present else foreign_token(item) for item in items)
        return MeasuredState(Sum(len(items), sum(tokens) & MASK))


class LogModel:
    """A log: every applied write appends its value. The order of acknowledged entries is also checked."""

    name = "log"

    def __init__(self) -> None:
        self._acknowledged: dict[object, list[int]] = {}
        self._open: dict[object, list[int]] = {}
        self._order: dict[int, int] = {}  # acknowledged token -> its place

    def weigh(self, token: int, value: object) -> Sum:
        """One write with its token."""
        self._open.setdefault(value, []).append(token)
        return Sum(1, token)

    def acknowledge(self, token: int, value: object, whole: Sum) -> None:
        """Record the place of the entry."""
        self._open[value].remove(token)
        self._acknowledged.setdefault(value, []).append(token)
        self._order[token] = len(self._order)

    def discard(self, token: int, value: object) -> None:
        """Forget that the entry may be there: if it appears nevertheless, it is foreign."""
        self._open[value].remove(token)

    def measure(self, state: object, whole: Sum) -> MeasuredState:
        """A sequence of entries, oldest first."""
        occurrences: dict[object, int] = {}
        tokens = []
        for value in _iterable(state, "log"):
            own = self._acknowledged.get(value, []) + self._open.get(value, [])
            index = occurrences[value] = occurrences.get(value, -1) + 1
            tokens.append(own[min(index, len(own) - 1)] if own else foreign_token(value))
        places = [self._order[token] for token in dict.fromkeys(tokens) if token in self._order]
        in_order = places == sorted(places)
        return MeasuredState(Sum(len(tokens), sum(tokens) & MASK), Anomaly.NONE if in_order else Anomaly.UNEXPLAINED)


def _iterable(state: object, name: str) -> Iterable[object]:
    if not isinstance(state, Iterable) or isinstance(state, str | bytes):
        raise TypeError(f"a {name} is a collection, not {state!r}")
    return state


class StatelessModel(TallyModel):
    """A service that keeps no session state: each reply is independent, and there is nothing to lose."""

    name = "stateless"


#: The model that all ledgers of built-in targets share: it has no memory.
TALLY = TallyModel()


def tally() -> Model:
    """The model of the built-in targets."""
    return TALLY


stateless: ModelFactory = StatelessModel
counter: ModelFactory = CounterModel
register: ModelFactory = RegisterModel
items: ModelFactory = SetModel
log: ModelFactory = LogModel
