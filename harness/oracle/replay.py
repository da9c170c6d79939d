"""A session told again from its Testimony: which writes were in the state, shift by shift, up to the final read."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, Divergence, SessionHistory
from harness.oracle.operations import MASK, operation, token
from harness.oracle.search import Change, Question, Sums, explain

Content = Sequence[int]  # writes by number, in order; one that was applied twice stands twice


@dataclass(frozen=True)
class ReplayedDivergence:
    """A shift with the state before it (all that should have been there) and after; None where it is not known."""

    shift: Divergence
    before: Content | None
    after: Content | None

    @property
    def vanished(self) -> frozenset[int]:
        """Writes that were there before, or should have been, and were not after."""
        if self.before is None or self.after is None:
            return frozenset()
        return frozenset(self.before) - frozenset(self.after)

    @property
    def leaves(self) -> bool:
        """Whether a birth with acknowledged writes gave way to another."""
        return self.shift.birth_before != self.shift.birth_after and self.shift.under > 0

    @property
    def empties(self) -> bool:
        """Whether the state began anew under its birth: nothing is left of all before some write."""
        if self.shift.birth_before != self.shift.birth_after:
            return False
        if self.shift.anomaly is Anomaly.LOST:
            return True
        left = frozenset(self.before or ()) - self.vanished
        return len(self.vanished) > 1 and all(max(self.vanished) < write for write in left)

    @property
    def repeated(self) -> int:
        """How many applications too many came in."""
        if self.before is None or self.after is None:
            return 0
        before, after = Counter(self.before), Counter(self.after)
        return sum(max(0, n - max(1, before[write])) for write, n in after.items())


class ReplayedWrites:
    """What became of each write by what the client was told; numbers from 1."""

    def __init__(self, testimony: SessionHistory, refused: Set[int]) -> None:
        self._testimony = testimony
        doubted = [*testimony.in_doubt, *(i for _, i in testimony.recovered)]
        self.refused = frozenset(i for i in doubted if refused and self._op(i) in refused)
        self.open = tuple(i for i in testimony.in_doubt if i not in self.refused)
        self.doubted = frozenset(doubted)

    def _op(self, i: int) -> int:
        return operation(self._testimony.seed, self._testimony.writer, i)

    @cached_property
    def failed(self) -> frozenset[int]:
        """Those that were certainly not applied."""
        runs = self._testimony.failed
        return frozenset(i for first, last in runs for i in range(first, last + 1)) | self.refused

    @cached_property
    def acknowledged(self) -> tuple[int, ...]:
        """Those that must be there and leave a mark. Right where no other was forgotten."""
        silent = self.failed | self.doubted
        numbers = range(1, self._testimony.issued + 1)
        return tuple(i for i in numbers if i not in silent and self.weights[i] != (0, 0))

    @cached_property
    def weights(self) -> Mapping[int, Sums]:
        """What each adds to the state's sums."""
        blind = self._testimony.model == "counter"
        numbers = range(1, self._testimony.issued + 1)
        weights = {i: (1, 0 if blind else token(self._op(i))) for i in numbers}
        return weights | {i: (count, digest) for i, count, digest in self._testimony.weights}

    def sums(self, content: Content) -> Sums:
        """The sums of a state."""
        weights = [self.weights[i] for i in content]
        return sum(n for n, _ in weights), sum(d for _, d in weights) & MASK


class Replay:
    """The turns of a session, and its last state."""

    def __init__(self, testimony: SessionHistory, writes: ReplayedWrites) -> None:
        self._testimony, self._writes = testimony, writes
        self.settled = False  # the last state was explained as a whole, whatever the turns left open
        self.turns: list[ReplayedDivergence] = []
        for shift in testimony.divergences:
            before = self._grown(shift.issued, shift.t_ns)
            self.turns.append(ReplayedDivergence(shift, before, self._became(shift, before)))
        self.content = self._last()

    def _grown(self, issued: int, until: float) -> Content | None:
        """The state after the last turn, with what was acknowledged and recovered since."""
        content: Content | None = self.turns[-1].after if self.turns else ()
        if content is None or self._testimony.forgot or (not self.turns and self._testimony.divergences_dropped):
            return None
        since, seen = (self.turns[-1].shift.t_ns, self.turns[-1].shift.issued) if self.turns else (-1, 0)
        acknowledged = self._writes.acknowledged
        new = acknowledged[bisect_left(acknowledged, seen + 1) : bisect_left(acknowledged, issued + 1)]
        recovered = [i for t, i in self._testimony.recovered if since < t < until]
        return sorted([*content, *new, *recovered])

    def _became(self, shift: Divergence, before: Content | None) -> Content | None:
        doubts = self._doubts(shift.t_ns, shift.issued)
        for content in self._known(shift, before):
            after = self._explained(content, (), shift.state, doubts, simple=True)
            if after is not None:
                return after
        if before is None:
            return None
        others = self._others(before, doubts, shift.issued)
        return self._explained(before, others, shift.state, doubts)

    def _known(self, shift: Divergence, before: Content | None) -> Iterator[Content]:
        """States that the session may have gone to: the one expected, none at all, one that it had before."""
        if before is not None:
            yield before
        new = (shift.issued,) if shift.wrote and shift.issued in self._writes.acknowledged else ()
        if shift.birth_before != shift.birth_after or shift.anomaly is Anomaly.LOST:
            yield new
        for turn in reversed(self.turns):
            if turn.before is not None and turn.shift.birth_before == shift.birth_after:
                own = {turn.shift.issued} if turn.shift.wrote else set()
                yield sorted([*(i for i in turn.before if i not in own), *new])

    def _last(self) -> Content | None:
        content = self._grown(self._testimony.issued, float("inf"))
        final = self._testimony.final
        if final is None or (content is not None and self._writes.sums(content) == final.state):
            return content
        if self._testimony.forgot:
            return None
        doubts = self._doubts(-1, self._testimony.issued)
        others = self._others(self._writes.acknowledged, doubts, self._testimony.issued)
        content = self._explained(self._writes.acknowledged, others, final.state, doubts)
        self.settled = content is not None
        return content

    def _doubts(self, t_ns: int, issued: int) -> list[int]:
        recovered = [i for t, i in self._testimony.recovered if t >= t_ns and i not in self._writes.refused]
        doubts = [*self._writes.open, *recovered]
        return [i for i in doubts if i <= issued] if len(doubts) <= MAX_DOUBTS else recovered[:MAX_DOUBTS]

    def _others(self, content: Content, doubts: Sequence[int], issued: int) -> list[int]:
        known = {*content, *doubts}
        possible = {*self._writes.failed, *self._writes.doubted, *self._writes.acknowledged}
        return sorted(i for i in possible - known if i <= issued)

    def _explained(
        self, content: Content, others: Content, state: Sums, doubts: Sequence[int], simple: bool = False
    ) -> Content | None:
        """The content of a shown state, if it can be told from this one; ``simple``: by writes in doubt alone."""
        count, digest = self._writes.sums(content)
        difference = (state[0] - count, state[1] - digest & MASK)
        if difference == (0, 0):
            return content
        if self._testimony.model == "counter":
            if simple and not 0 < difference[0] <= len(doubts):
                return None
            return _by_count(content, doubts, difference[0])
        if simple:
            change = explain(Question((), doubts, (), self._writes.weights, difference))
            change = change if change and all(n == 1 and i in doubts for i, n in change) else None
        else:
            change = explain(Question(content, doubts, others, self._writes.weights, difference))
        return None if change is None else _changed(content, change)


def _changed(content: Content, change: Change) -> Content:
    held = Counter(content)
    for i, n in change:
        held[i] += n
    return sorted(held.elements())


def _by_count(content: Content, doubts: Sequence[int], count: int) -> Content:
    """A counter does not tell which: take the newest for gone, the oldest in doubt for those that appeared."""
    if count < 0:
        return content[: len(content) + count]
    appeared = doubts[:count]
    return sorted([*content, *appeared, *([content[-1]] if content else []) * (count - len(appeared))])
