"""Replays a session from its history: which writes were in the state at each divergence and at the final read."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, Divergence, SessionHistory
from harness.oracle.operations import MASK, operation, token
from harness.oracle.search import Change, Question, Sums, explain

Content = Sequence[int]  # writes by number, in order; a write that was applied twice appears twice


@dataclass(frozen=True)
class ReplayedDivergence:
    """A divergence with the writes that should have been in the state (``before``) and those that were (``after``).

    Either is None if it is unknown.
    """

    divergence: Divergence
    before: Content | None
    after: Content | None

    @property
    def vanished(self) -> frozenset[int]:
        """Writes that should have been in the state but were not."""
        if self.before is None or self.after is None:
            return frozenset()
        return frozenset(self.before) - frozenset(self.after)

    @property
    def leaves_birth(self) -> bool:
        """Whether a birth with acknowledged writes gave way to another."""
        return self.divergence.changes_birth and self.divergence.under > 0

    @property
    def empties_state(self) -> bool:
        """Whether the state started empty under the same birth: everything before some write is gone."""
        if self.divergence.changes_birth:
            return False
        if self.divergence.anomaly is Anomaly.LOST:
            return True
        left = frozenset(self.before or ()) - self.vanished
        return len(self.vanished) > 1 and all(max(self.vanished) < write for write in left)

    @property
    def repeated(self) -> int:
        """How many surplus applications were added."""
        if self.before is None or self.after is None:
            return 0
        before, after = Counter(self.before), Counter(self.after)
        return sum(max(0, count - max(1, before[write])) for write, count in after.items())


class ReplayedWrites:
    """A session's writes by their outcome as the client saw it; numbers from 1."""

    def __init__(self, history: SessionHistory, refused: Set[int]) -> None:
        self._history = history
        doubted = [*history.in_doubt, *(i for _, i in history.recovered)]
        self.refused = frozenset(i for i in doubted if refused and self._operation(i) in refused)
        self.open = tuple(i for i in history.in_doubt if i not in self.refused)
        self.doubted = frozenset(doubted)

    def _operation(self, i: int) -> int:
        return operation(self._history.seed, self._history.writer, i)

    @cached_property
    def failed(self) -> frozenset[int]:
        """Writes that were certainly not applied."""
        runs = self._history.failed
        return frozenset(i for first, last in runs for i in range(first, last + 1)) | self.refused

    @cached_property
    def acknowledged(self) -> tuple[int, ...]:
        """Writes that must be there and change the state, in order; valid if the ledger forgot no others."""
        others = self.failed | self.doubted
        numbers = range(1, self._history.issued + 1)
        return tuple(i for i in numbers if i not in others and self.weights[i] != (0, 0))

    @cached_property
    def weights(self) -> Mapping[int, Sums]:
        """What each write adds to the state's sums."""
        has_no_tokens = self._history.model == "counter"
        numbers = range(1, self._history.issued + 1)
        weights = {i: (1, 0 if has_no_tokens else token(self._operation(i))) for i in numbers}
        return weights | {i: (count, digest) for i, count, digest in self._history.weights}

    def sums(self, content: Content) -> Sums:
        """The sums of a state."""
        weights = [self.weights[i] for i in content]
        return sum(count for count, _ in weights), sum(digest for _, digest in weights) & MASK


class Replay:
    """The replayed divergences of a session, and the content of its last state (None if it is unknown)."""

    def __init__(self, history: SessionHistory, writes: ReplayedWrites) -> None:
        self._history, self._writes = history, writes
        self.explained_as_whole = False  # whether the last state was explained without the divergences
        self.divergences: list[ReplayedDivergence] = []
        for divergence in history.divergences:
            before = self._grow(divergence.issued, divergence.t_ns)
            after = self._explain_divergence(divergence, before)
            self.divergences.append(ReplayedDivergence(divergence, before, after))
        self.content = self._explain_last_state()

    def _grow(self, issued: int, until: float) -> Content | None:
        """The state after the last divergence, plus the writes acknowledged and recovered since."""
        last = self.divergences[-1] if self.divergences else None
        content: Content | None = last.after if last else ()
        if content is None or self._history.forgot or (last is None and self._history.divergences_dropped):
            return None
        since, known = (last.divergence.t_ns, last.divergence.issued) if last else (-1, 0)
        acknowledged = self._writes.acknowledged
        new = acknowledged[bisect_left(acknowledged, known + 1) : bisect_left(acknowledged, issued + 1)]
        recovered = [i for t_ns, i in self._history.recovered if since < t_ns < until]
        return sorted([*content, *new, *recovered])

    def _explain_divergence(self, divergence: Divergence, before: Content | None) -> Content | None:
        """The state shown: a known one plus writes in doubt if that fits, else one with missing or repeated writes."""
        doubts = self._doubts(divergence.t_ns, divergence.issued)
        for content in self._possible_origins(divergence, before):
            after = self._explain_by_doubts(content, divergence.state, doubts)
            if after is not None:
                return after
        if before is None:
            return None
        others = self._others(before, doubts, divergence.issued)
        return self._explain_by_any(before, others, divergence.state, doubts)

    def _possible_origins(self, divergence: Divergence, before: Content | None) -> Iterator[Content]:
        """The states that may have been the origin: the expected one, an empty one, one that the session had before."""
        if before is not None:
            yield before
        new = sorted(divergence.own_write.intersection(self._writes.acknowledged))
        if divergence.changes_birth or divergence.anomaly is Anomaly.LOST:
            yield new
        for earlier in reversed(self.divergences):
            if earlier.before is not None and earlier.divergence.birth_before == divergence.birth_after:
                yield sorted([*(i for i in earlier.before if i not in earlier.divergence.own_write), *new])

    def _explain_last_state(self) -> Content | None:
        content = self._grow(self._history.issued, float("inf"))
        final = self._history.final
        if final is None or (content is not None and self._writes.sums(content) == final.state):
            return content
        if self._history.forgot:
            return None
        doubts = self._doubts(-1, self._history.issued)
        others = self._others(self._writes.acknowledged, doubts, self._history.issued)
        content = self._explain_by_any(self._writes.acknowledged, others, final.state, doubts)
        self.explained_as_whole = content is not None
        return content

    def _doubts(self, t_ns: int, issued: int) -> list[int]:
        """The writes that may have appeared by this time: at most ``MAX_DOUBTS``."""
        recovered = [i for t, i in self._history.recovered if t >= t_ns and i not in self._writes.refused]
        doubts = [*self._writes.open, *recovered]
        return [i for i in doubts if i <= issued] if len(doubts) <= MAX_DOUBTS else recovered[:MAX_DOUBTS]

    def _others(self, content: Content, doubts: Sequence[int], issued: int) -> list[int]:
        """The writes issued so far that are neither in the state nor in doubt."""
        known = {*content, *doubts}
        possible = {*self._writes.failed, *self._writes.doubted, *self._writes.acknowledged}
        return sorted(i for i in possible - known if i <= issued)

    def _difference(self, content: Content, state: Sums) -> Sums:
        count, digest = self._writes.sums(content)
        return state[0] - count, state[1] - digest & MASK

    def _explain_by_doubts(self, content: Content, state: Sums, doubts: Sequence[int]) -> Content | None:
        """The content of the state in a reply, if it is this content plus some of the writes in doubt."""
        difference = self._difference(content, state)
        if difference == (0, 0):
            return content
        if self._history.model == "counter":
            return _explain_by_count(content, doubts, difference[0]) if 0 < difference[0] <= len(doubts) else None
        change = explain(Question((), doubts, (), self._writes.weights, difference))
        if not change or any(times != 1 or i not in doubts for i, times in change):
            return None
        return _apply(change, content)

    def _explain_by_any(self, content: Content, others: Content, state: Sums, doubts: Sequence[int]) -> Content | None:
        """The content of the state in a reply, if a single explanation leads to it from this content."""
        difference = self._difference(content, state)
        if difference == (0, 0):
            return content
        if self._history.model == "counter":
            return _explain_by_count(content, doubts, difference[0])
        change = explain(Question(content, doubts, others, self._writes.weights, difference))
        return None if change is None else _apply(change, content)


def _apply(change: Change, content: Content) -> Content:
    held = Counter(content)
    for i, times in change:
        held[i] += times
    return sorted(held.elements())


def _explain_by_count(content: Content, doubts: Sequence[int], count: int) -> Content:
    """A counter does not show which writes: assume that the newest are gone, and that the oldest in doubt appeared."""
    if count < 0:
        return content[: len(content) + count]
    appeared = doubts[:count]
    return sorted([*content, *appeared, *([content[-1]] if content else []) * (count - len(appeared))])
