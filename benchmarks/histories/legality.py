"""Whether a service that keeps its word could have answered as it did: decided from what the client saw alone.

One automaton per kind of memory reads the events in their order. A write in doubt may be applied at any time after it
was sent, once, or never; an acknowledged write is applied when it is acknowledged, and what is applied stays.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from itertools import combinations

from benchmarks.histories.memory import Memory, Removal
from benchmarks.histories.memory import show as show_content
from benchmarks.histories.world import Event


class Automaton(ABC):
    """The states in which a faithful service may be."""

    def __init__(self, values: Mapping[int, object]) -> None:
        self.values = values
        self.open: set[int] = set()  # in doubt, and not seen so far

    @abstractmethod
    def acknowledge(self, write: int) -> None:
        """A write is acknowledged, perhaps after it was in doubt."""

    @abstractmethod
    def allows(self, shown: object) -> bool:
        """Whether a faithful service may show this; what it implies is taken over."""


class CountAutomaton(Automaton):
    """Of a number: all acknowledged, and some of those in doubt. Every set that these may be is followed at once."""

    def __init__(self, values: Mapping[int, object]) -> None:
        super().__init__(values)
        self._acknowledged = 0
        self._applied: set[frozenset[int]] = {frozenset()}

    def acknowledge(self, write: int) -> None:
        """See the base class."""
        self._acknowledged += 1
        self._applied = {applied - {write} for applied in self._applied}

    def allows(self, shown: object) -> bool:
        """See the base class."""
        assert isinstance(shown, int)  # noqa: S101 - what this memory shows
        extra = shown - self._acknowledged
        possible = {
            applied | {*more}
            for applied in self._applied
            if extra >= len(applied)
            for more in combinations(self.open - applied, extra - len(applied))
        }
        self._applied = possible or self._applied
        return bool(possible)


class TallyAutomaton(Automaton):
    """Of a multiset: each acknowledged write once, and some of those in doubt, more and more of them."""

    def __init__(self, values: Mapping[int, object]) -> None:
        super().__init__(values)
        self._present: set[int] = set()

    def acknowledge(self, write: int) -> None:
        """See the base class."""
        self._present.add(write)

    def allows(self, shown: object) -> bool:
        """See the base class."""
        assert isinstance(shown, Counter)  # noqa: S101 - what this memory shows
        appeared = set(shown) - self._present
        if max(shown.values(), default=1) > 1 or not self._present <= set(shown) or not appeared <= self.open:
            return False
        self._present |= appeared
        self.open -= appeared
        return True


class RegisterAutomaton(Automaton):
    """Of a value: the last acknowledged, or one in doubt that was applied after it."""

    def __init__(self, values: Mapping[int, object]) -> None:
        super().__init__(values)
        self._value: object = ""

    def acknowledge(self, write: int) -> None:
        """See the base class."""
        self._value = self.values[write]

    def allows(self, shown: object) -> bool:
        """See the base class."""
        if shown == self._value:
            return True
        write = next((write for write in sorted(self.open) if self.values[write] == shown), None)
        if write is None:
            return False
        self.open.discard(write)
        self._value = shown
        return True


class SetAutomaton(Automaton):
    """Of items: each is a register of its own, which says whether it is there."""

    def __init__(self, values: Mapping[int, object]) -> None:
        super().__init__(values)
        self.held: set[object] = set()

    def acknowledge(self, write: int) -> None:
        """See the base class."""
        value = self.values[write]
        if isinstance(value, Removal):
            self.held.discard(value.item)
        else:
            self.held.add(value)

    def allows(self, shown: object) -> bool:
        """See the base class."""
        assert isinstance(shown, Set)  # noqa: S101 - what this memory shows
        wanted = [Removal(str(item)) if item in self.held else item for item in self.held ^ set(shown)]
        writes = {next((write for write in sorted(self.open) if self.values[write] == value), 0) for value in wanted}
        if 0 in writes:
            return False
        self.open -= writes
        self.held = set(shown)
        return True


class LogAutomaton(Automaton):
    """Of entries in order: what was shown stays in front; acknowledged ones follow in order, those in doubt anywhere.

    Several assignments of equal values may be possible; all are followed at once.
    """

    def __init__(self, values: Mapping[int, object]) -> None:
        super().__init__(values)
        self._shown: tuple[object, ...] = ()
        #: Of each possibility: the acknowledged writes not in the shown entries yet, and those in doubt that are.
        self._possible: set[tuple[tuple[int, ...], frozenset[int]]] = {((), frozenset())}
        self._acknowledged_before: dict[int, frozenset[int]] = {}
        self._acknowledged: set[int] = set()

    def note_sent(self, write: int) -> None:
        """Remember what must be in front of it."""
        self._acknowledged_before[write] = frozenset(self._acknowledged)

    def acknowledge(self, write: int) -> None:
        """See the base class."""
        self._acknowledged.add(write)
        self._possible = {
            (waiting, used - {write}) if write in used else ((*waiting, write), used)
            for waiting, used in self._possible
        }

    def allows(self, shown: object) -> bool:
        """See the base class."""
        assert isinstance(shown, tuple)  # noqa: S101 - what this memory shows
        if shown[: len(self._shown)] != self._shown:
            return False
        possible = self._possible
        for value in shown[len(self._shown) :]:
            possible = {after for before in possible for after in self._append(value, *before)}
        possible = {(waiting, used) for waiting, used in possible if not waiting}
        if not possible:
            return False
        self._possible, self._shown = possible, shown
        return True

    def _append(
        self, value: object, waiting: tuple[int, ...], used: frozenset[int]
    ) -> Sequence[tuple[tuple[int, ...], frozenset[int]]]:
        """The possibilities after one more entry: the next acknowledged write, or one in doubt."""
        after = []
        if waiting and self.values[waiting[0]] == value:
            after.append((waiting[1:], used))
        for write in self.open - used:
            if self.values[write] == value and not self._acknowledged_before[write] & {*waiting}:
                after.append((waiting, used | {write}))
        return after


_AUTOMATA: Mapping[str, Callable[[Mapping[int, object]], Automaton]] = {
    "tally": TallyAutomaton,
    "counter": CountAutomaton,
    "register": RegisterAutomaton,
    "set": SetAutomaton,
    "log": LogAutomaton,
}


def find_illegal(
    memory: Memory, events: Sequence[Event], values: Mapping[int, object], rejected: Set[int]
) -> list[int]:
    """The places of the replies that no faithful service can have given; what such a one implies is not taken over.

    ``rejected`` writes are known not to have been applied.
    """
    automaton = _AUTOMATA[memory.name](values)
    illegal = []
    for place, event in enumerate(events):
        if event.what == "sent" and isinstance(automaton, LogAutomaton):
            automaton.note_sent(event.write)
        elif event.what == "in_doubt" and event.write not in rejected:
            automaton.open.add(event.write)
        elif event.what == "ok" and event.write:
            automaton.acknowledge(event.write)
            automaton.open.discard(event.write)
        shown = event.shown
        if shown is None or shown.owner != "me":
            continue
        if not automaton.allows(show_content(memory, shown.content, values)):
            illegal.append(place)
    return illegal
