"""A service's state as a tally for the ledger: how many writes are in it, and the sum of their tokens.

A model translates: ``weigh`` returns what a write would add to the tally, ``measure`` the tally of the state in a
reply. Everything else (lost, rolled back, stale, duplicated, foreign) follows from the sums, in the same way for all
models. Each model has its limits:

=========  ================  ==========================================================================================
model      session's memory  does not see
=========  ================  ==========================================================================================
tally      O(1)              the order of writes
counter    O(1)              which write is lost or duplicated; a lost one next to a recovered or duplicated one
register   O(1)              overwritten writes; it treats values older than the last 64 as foreign
set        O(n)              an item added twice; an addition repeated and a removal undone look alike
log        O(n)              which one of several entries with an equal value, but for its place
=========  ================  ==========================================================================================
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, Protocol

from harness.observations.requests import Anomaly
from harness.oracle.observed import MAX_COUNT
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
#: What a write adds, in parts: the removal of an item takes back each of its additions.
Parts = tuple[Sum, ...]
Tokens = tuple[int, ...]
Places = list[int | None]


def add_up(parts: Parts) -> Sum:
    """The sum of all parts."""
    return Sum(sum(part.n for part in parts), sum(part.digest for part in parts) & MASK)


class Applied(NamedTuple):
    """A write in doubt that a state shows to be applied by now, with what it added."""

    token: int
    parts: Parts
    has_twin: bool = False  # another entry has the same value: that one may have been repeated instead


class MeasuredState(NamedTuple):
    """A state as a tally, and anything wrong with it that sums do not show."""

    sum: Sum
    anomaly: Anomaly = Anomaly.NONE
    applied: tuple[Applied, ...] = ()


class Model(Protocol):
    """Translates the state of one session. Values and states are what the scenario writes and reads."""

    name: str

    def weigh(self, token: int, value: object) -> Parts:
        """What the write issued now adds when it is applied."""

    def acknowledge(self, token: int, value: object, whole: Sum) -> Sum:
        """Learn that the write is acknowledged; ``whole`` is the state with nothing missing, including this write.

        Returns what the present state has beyond the weight of the write: what the write took away may be missing.
        """

    def discard(self, token: int, value: object) -> None:
        """Learn that the write was certainly not applied."""

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """The tally of a state; ``renewed`` if its session was created again, as far as the reply says.

        Raises:
            TypeError: the state is not what the model reads.
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

    def weigh(self, token: int, value: object) -> Parts:
        """One write with its token."""
        return (Sum(1, token),)

    def acknowledge(self, token: int, value: object, whole: Sum) -> Sum:
        """Nothing to remember."""
        return NOTHING

    def discard(self, token: int, value: object) -> None:
        """Nothing to remember."""

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """A pair of count and digest."""
        if not isinstance(state, tuple) or len(state) != 2:
            raise TypeError(f"a tally is (count, digest), not {state!r}")
        return MeasuredState(Sum(*state))


class CounterModel(TallyModel):
    """A number that every applied write raises by one."""

    name = "counter"

    def weigh(self, token: int, value: object) -> Parts:
        """One write, without a token: the number does not show which write it was."""
        return (Sum(1, 0),)

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """An integer."""
        if not isinstance(state, int) or isinstance(state, bool):
            raise TypeError(f"a counter is an integer, not {state!r}")
        if abs(state) >= MAX_COUNT:
            raise TypeError(f"a counter is below {MAX_COUNT}, not {state}")
        return MeasuredState(Sum(state, 0))


class RegisterModel:
    """The last written value. It stands for the history up to that write: an older value is a rollback to it.

    An empty state (such as ``""`` or 0) was never written; ``None`` means that the state is unknown.
    """

    name = "register"
    _MAX_KNOWN = 64

    def __init__(self) -> None:
        #: Values seen or acknowledged, oldest first, each with the history that it stands for.
        self._known: list[tuple[object, Sum]] = []
        self._open: list[tuple[object, int]] = []  # values whose write is not settled, or in doubt
        self._failed: list[tuple[object, int]] = []
        self._failed_last = False  # whether the latest write that is settled failed
        self._whole = NOTHING  # the history up to the latest write or the latest value in doubt that appeared

    def weigh(self, token: int, value: object) -> Parts:
        """One write with its token."""
        self._failed = [pair for pair in self._failed if pair[1] != token]
        self._open = [*self._open[1 - self._MAX_KNOWN :], (value, token)]
        return (Sum(1, token),)

    def acknowledge(self, token: int, value: object, whole: Sum) -> Sum:
        """Let the value stand for everything written so far."""
        self._open = [pair for pair in self._open if pair[1] != token]
        self._keep(value, whole)
        self._whole, self._failed_last = whole, False
        return NOTHING

    def discard(self, token: int, value: object) -> None:
        """Keep the value recognisable: if it appears, that is a defect."""
        self._open = [pair for pair in self._open if pair[1] != token]
        self._failed = [*self._failed[1 - self._MAX_KNOWN :], (value, token)]
        self._failed_last = True

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """The history that the value stands for."""
        if self._known and self._known[-1][0] == state:
            return MeasuredState(self._known[-1][1])
        for value, token in self._open:
            if value == state:
                self._open.remove((value, token))
                self._whole = self._whole.plus(Sum(1, token))
                self._keep(value, self._whole)
                return MeasuredState(self._whole)
        failed = next((token for value, token in reversed(self._failed) if value == state), None)
        known = next((history for value, history in reversed(self._known) if value == state), None)
        if known is not None and not (self._failed_last and self._failed[-1] == (state, failed)):
            return MeasuredState(known)
        if failed is not None:
            return MeasuredState(self._whole.plus(Sum(1, failed)))
        return MeasuredState(self._whole.plus(Sum(0, foreign_token(state))) if state else NOTHING)

    def _keep(self, value: object, history: Sum) -> None:
        self._known = [*self._known[1 - self._MAX_KNOWN :], (value, history)]


class SetModel:
    """A set: a write adds its value, or removes an item if the value is ``Removed(item)``.

    An item stands for all its additions since it was last removed or lost, because it does not show which of them put
    it there. What a write in doubt adds depends on when it is applied, so it is weighed again when its effect is shown.
    """

    name = "set"
    _MAX_EARLIER = 16

    def __init__(self) -> None:
        self._held: dict[object, Tokens] = {}  # the items with nothing missing, each with the tokens of its additions
        self._missing: frozenset[object] = frozenset()  # of these, what the latest state lacked
        self._surplus: frozenset[object] = frozenset()  # what it held besides
        self._shown: set[object] = set()  # the latest state
        self._fresh: dict[object, Tokens] = {}  # what was added since then
        self._lost: dict[object, Tokens] = {}  # what was held when the state was empty, or created again
        self._latest: dict[object, Tokens] = {}  # the latest additions of every item, removed ones included
        self._denied: dict[object, Tokens] = {}  # the additions that failed, by item, while it was not there
        self._open: dict[int, object] = {}  # the values of writes that are not settled, or in doubt
        self._refused: dict[object, int] = {}  # the removals that failed, by item, while it was not added since
        self._recent: list[object] = []  # the values of the writes acknowledged since the latest state was shown
        self._expected: frozenset[object] = frozenset()  # the latest state with them
        self._earlier: list[frozenset[object]] = []  # what was expected before, the newest last

    def weigh(self, token: int, value: object) -> Parts:
        """The token of an item, or minus those of a removed one; nothing if that is not there."""
        self._open[token] = value
        return self._effect(token, value)

    def _effect(self, token: int, value: object) -> Parts:
        if not isinstance(value, Removed):
            return (Sum(1, token),)
        added = (*self._lost.get(value.item, ()), *self._held.get(value.item, ()))
        return tuple(Sum(-1, -mark & MASK) for mark in added)

    def acknowledge(self, token: int, value: object, whole: Sum) -> Sum:
        """Record that the item is now there, or gone."""
        self._open.pop(token, None)
        self._earlier = [*self._earlier[1 - self._MAX_EARLIER :], self._expected]
        self._expected = self._add(self._expected, [value])
        self._recent.append(value)
        missed: Tokens = ()
        if isinstance(value, Removed):
            held = self._held.get(value.item, ()) if value.item in self._missing else ()
            missed = (*self._lost.get(value.item, ()), *held)
        self._apply(token, value)
        return Sum(len(missed), sum(missed) & MASK)

    def _apply(self, token: int, value: object) -> None:
        item = value.item if isinstance(value, Removed) else value
        self._missing -= {item}
        self._surplus -= {item}
        self._denied.pop(item, None)
        if isinstance(value, Removed):
            self._held.pop(item, None)
            self._lost.pop(item, None)
            self._fresh.pop(item, None)
        else:
            self._held[item] = self._latest[item] = (*self._held.get(item, ()), token)
            self._fresh[item] = (*self._fresh.get(item, ()), token)
            self._refused.pop(item, None)

    def discard(self, token: int, value: object) -> None:
        """Forget that the write may have an effect; keep its item recognisable: if it appears, that is a defect."""
        self._open.pop(token, None)
        if isinstance(value, Removed):
            self._refused[value.item] = token
        else:
            self._denied.setdefault(value, (token,))

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """A collection of items."""
        items = set(_iterable(state, "set"))
        began_again, is_earlier = self._began_again(items), self._is_earlier(items)
        if began_again:  # all items are lost but those that are new or were in that earlier state
            kept = items if is_earlier else items & self._fresh.keys()
            before = self._held
            self._held = {item: self._fresh.get(item, tokens) for item, tokens in before.items() if item in kept}
            gone = {
                item: tuple(t for t in tokens if t not in self._held.get(item, ())) for item, tokens in before.items()
            }
            self._lost = _join(self._lost, {item: tokens for item, tokens in gone.items() if tokens})
        is_earlier &= not (began_again or renewed)
        applied = () if is_earlier else self._apply_doubts(items, began_again)
        if (items - self._held.keys()) & self._lost.keys():
            self._held, self._lost = _join(self._lost, self._held), {}
        known = (self._held, {} if is_earlier else self._denied, self._latest)
        tokens = [
            token for item in items for token in next((of[item] for of in known if item in of), (foreign_token(item),))
        ]
        self._missing, self._surplus = frozenset(self._held.keys() - items), frozenset(items - self._held.keys())
        self._shown, self._fresh = items, {}
        self._expected, self._recent = frozenset(items), []
        return MeasuredState(Sum(len(tokens), sum(tokens) & MASK), applied=applied)

    @staticmethod
    def _add(items: Set[object], values: Sequence[object]) -> frozenset[object]:
        """The items after writes of these values."""
        held = set(items)
        for value in values:
            if isinstance(value, Removed):
                held.discard(value.item)
            else:
                held.add(value)
        return frozenset(held)

    def _is_earlier(self, items: Set[object]) -> bool:
        """Whether an earlier state is back, with what was written since or without, and no doubts explain it."""
        effects = {*self._open.values(), *map(Removed, self._refused)}
        if all(value in effects for value in (*(items - self._expected), *map(Removed, self._expected - items))):
            return False
        return any(items in (earlier, self._add(earlier, self._recent)) for earlier in self._earlier)

    def _began_again(self, items: Set[object]) -> bool:
        """Whether all items may be new, and something is missing that was there and that no doubt explains alone."""
        added = {value for value in self._open.values() if not isinstance(value, Removed)}
        removed = {value.item for value in self._open.values() if isinstance(value, Removed)}
        missing = self._shown & self._held.keys() - items
        return items <= self._fresh.keys() | added and bool(missing - removed or len(missing) > 1)

    def _apply_doubts(self, items: Set[object], began_again: bool) -> tuple[Applied, ...]:
        """Apply the writes in doubt that the state shows to be applied: one for each item that differs.

        A removal that failed is applied too, if nothing else explains that its item is gone: that is a defect.
        """
        added = {value for value in self._open.values() if not isinstance(value, Removed)}
        returning = self._lost.keys() if (items - self._held.keys()) & self._lost.keys() - added else frozenset()
        refused = [(token, Removed(item)) for item, token in self._refused.items()]
        applied = []
        for token, value in [*self._open.items(), *refused]:
            is_removal = isinstance(value, Removed)
            item = value.item if isinstance(value, Removed) else value
            known = item in returning or item in self._missing or item in self._surplus  # with others, or before
            differs = (item in self._held) != (item in items) and not known
            if differs and is_removal == (item in self._held) and not (is_removal and began_again):
                applied.append(Applied(token, self._effect(token, value)))
                self._apply(token, value)
                self._open.pop(token, None)
        return tuple(applied)


def _join(one: Mapping[object, Tokens], other: Mapping[object, Tokens]) -> dict[object, Tokens]:
    return {item: (*one.get(item, ()), *other.get(item, ())) for item in {**one, **other}}


class LogModel:
    """A log: every applied write appends its value. The order of the entries is also checked.

    A state is aligned with what the log may hold: the state shown before and what was added since, what was added since
    alone, a state from before, or all that should be there. What is left over are writes in doubt, if their values fit:
    those are placed where the state shows them, at any place after what had been acknowledged when they were sent.
    """

    name = "log"
    _MAX_EARLIER = 12

    def __init__(self) -> None:
        self._values: dict[int, object] = {}  # of every entry, by its token
        self._whole: list[int] = []  # the tokens of the entries with nothing missing, in order
        self._shown: list[int] = []  # the latest state, with what should not be there
        self._fresh: list[int] = []  # what was added since then
        self._earlier: list[Tokens] = [()]  # the states before, the newest first
        self._open: dict[int, tuple[object, int]] = {}  # of writes not settled or in doubt: value, entry before it
        self._failed: dict[object, tuple[int, int]] = {}  # the latest of each value: token, entry before it

    def weigh(self, token: int, value: object) -> Parts:
        """One write with its token."""
        self._open[token] = value, self._whole[-1] if self._whole else 0
        return (Sum(1, token),)

    def acknowledge(self, token: int, value: object, whole: Sum) -> Sum:
        """Append the entry, unless it was seen already."""
        if self._open.pop(token, None) is not None:
            self._values[token] = value
            self._whole.append(token)
            self._fresh.append(token)
        return NOTHING

    def discard(self, token: int, value: object) -> None:
        """Forget that the entry may be there: if it appears nevertheless, that is a defect."""
        _, after = self._open.pop(token, (value, 0))
        self._failed[value] = token, after

    def measure(self, state: object, renewed: bool) -> MeasuredState:
        """A sequence of entries, oldest first."""
        shown = list(_iterable(state, "log"))
        if len(shown) > _MOST_STRANGERS + len(self._values) + len(self._open) + len(self._failed):
            return MeasuredState(Sum(len(shown), foreign_token(len(shown))))
        moved = False
        applied: tuple[Applied, ...] = ()
        tokens: list[int | None] = [*self._shown, *self._fresh]
        if shown != [self._values[token] for token in tokens if token]:
            tokens = self._align(shown, renewed)
            applied = self._apply_doubts(shown, tokens)
            moved = self._identify(shown, tokens)
        self._remember([token or 0 for token in tokens])
        digest = sum(self._shown) & MASK
        return MeasuredState(Sum(len(shown), digest), Anomaly.UNEXPLAINED if moved else Anomaly.NONE, applied)

    def _remember(self, tokens: list[int]) -> None:
        """Keep the state that was just shown, and the one before it, with and without what was added since."""
        expected = [*self._shown, *self._fresh]
        if tokens[: len(expected)] != expected:
            kept = dict.fromkeys((tuple(self._shown), tuple(expected), *self._earlier))
            self._earlier = [*kept][: self._MAX_EARLIER]
        self._shown, self._fresh = tokens, []

    def _align(self, shown: Sequence[object], renewed: bool) -> list[int | None]:
        """For each shown entry its token in the likeliest origin of the state; None if it was not in that."""
        present, fresh = (*self._shown, *self._fresh), tuple(self._fresh)
        was_reset = renewed or len(present) - len(shown) >= _MOST_DROPPED
        earlier = [origin for before in self._earlier for origin in ((*before, *fresh), before)]
        origins = (tuple(self._shown), *earlier, present, fresh, tuple(self._whole))
        found = []
        for origin in dict.fromkeys((fresh, *origins) if was_reset else origins):
            places = align([self._values[token] for token in origin], shown)
            tokens = [None if place is None else origin[place] for place in places]
            kept = {-1, *places}
            stretches = sum(place not in kept and place - 1 in kept for place in range(len(origin)))
            causes = (origin != present) + stretches + self._count_strangers(shown, tokens)
            found.append((causes, tokens.count(None), tokens))
        return min(found, key=lambda explanation: explanation[:2])[2]

    def _count_strangers(self, shown: Sequence[object], tokens: Sequence[int | None]) -> int:
        """Twice the entries that are neither in an origin nor in doubt, and those in doubt without what preceded."""
        doubts = [(value, int(after not in (0, *tokens))) for value, after in self._open.values()]
        strangers = 0
        for value in (value for value, token in zip(shown, tokens, strict=True) if token is None):
            fitting = next((doubt for doubt in doubts if doubt[0] == value), None)
            strangers += 2 if fitting is None else fitting[1]
            if fitting is not None:
                doubts.remove(fitting)
        return strangers

    def _apply_doubts(self, shown: Sequence[object], tokens: list[int | None]) -> tuple[Applied, ...]:
        """Recognise entries in doubt among those without a token, and place them where they are shown."""
        applied = []
        for index, value in enumerate(shown):
            if tokens[index] is not None:
                continue
            later = {*tokens[index:]}
            fits = (t for t, (own, after) in self._open.items() if own == value and after not in later)
            token = next(fits, None)
            if token is not None:
                del self._open[token]
                previous = next((t for t in reversed(tokens[:index]) if t in self._whole), None)
                self._whole.insert(0 if previous is None else self._whole.index(previous) + 1, token)
                tokens[index], self._values[token] = token, value
                has_twin = shown.count(value) > 1 and value not in self._failed  # else one that failed may be there
                applied.append(Applied(token, (Sum(1, token),), has_twin))
        return tuple(applied)

    def _identify(self, shown: Sequence[object], tokens: list[int | None]) -> bool:
        """Give a token to the entries that should not be there; returns whether one should be at another place."""
        moved = False
        for index, value in enumerate(shown):
            if tokens[index] is None:
                same = [token for token in self._whole if self._values[token] == value]
                missing = [token for token in same if token not in tokens]
                returned = [token for token in missing if self._fits(token, tokens[:index], tokens[index + 1 :])]
                beside = (tokens[place] for place in (index - 1, index + 1) if shown[place : place + 1] == [value])
                failed = self._failed_token(value, tokens[:index], tokens[index + 1 :], same)
                present = (token for token in reversed(tokens) if token in same)
                found = next(filter(None, (*returned, *beside, failed, *present, *missing)), foreign_token(value))
                moved |= found in missing and found not in returned
                tokens[index], self._values[found] = found, value
        return moved

    def _fits(self, token: int, before: Sequence[int | None], after: Sequence[int | None]) -> bool:
        """Whether an entry that should be there is missing just here."""
        place = self._whole.index(token)
        return not {*self._whole[:place]} & {*after} and not {*self._whole[place:]} & {*before}

    def _failed_token(
        self, value: object, before: Sequence[int | None], after: Sequence[int | None], same: Sequence[int]
    ) -> int:
        """The token of a write that failed and may have been applied here; 0 if there is none."""
        token, previous = self._failed.get(value, (0, 0))
        later = self._whole[self._whole.index(previous) + 1 if previous else 0 :]
        may_be_another = bool({*later} & {*same} and {*before} & {*same})
        return 0 if token in (*before, *after) or previous in after or may_be_another else token


def align(expected: Sequence[object], shown: Sequence[object]) -> Places:
    """For each shown entry the place of the expected one that it is, in order and as many as possible."""
    start = end = 0
    shorter = min(len(expected), len(shown))
    while start < shorter and expected[start] == shown[start]:
        start += 1
    while end < shorter - start and expected[-1 - end] == shown[-1 - end]:
        end += 1
    rest, left = expected[start : len(expected) - end], shown[start : len(shown) - end]
    middle = [place if place is None else place + start for place in _align_middle(rest, left)]
    return [*range(start), *middle, *range(len(expected) - end, len(expected))]


def _align_middle(rest: Sequence[object], left: Sequence[object]) -> Places:
    """The same of what has neither a common start nor a common end."""
    if len(rest) * len(left) > _MAX_ALIGNED:
        rest = rest[: _MAX_ALIGNED // len(left)]
    best = [[0] * (len(left) + 1) for _ in range(len(rest) + 1)]
    for i in range(len(rest) - 1, -1, -1):
        for j in range(len(left) - 1, -1, -1):
            same = rest[i] == left[j]
            best[i][j] = best[i + 1][j + 1] + 1 if same else max(best[i + 1][j], best[i][j + 1])
    places: Places = [None] * len(left)
    i = j = 0
    while i < len(rest) and j < len(left):
        if rest[i] == left[j]:
            places[j] = i
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return places


#: A log with so many entries more than were ever written is another one: to find out which is which takes too long.
_MOST_STRANGERS = 300
#: A log that lacks fewer entries may have dropped them; one that lacks so many was reset, if that explains it.
_MOST_DROPPED = 2
#: So many pairs of entries are compared at most.
_MAX_ALIGNED = 250_000


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
