"""Replays a session from its history: which writes were in the state at each divergence and at the final read."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, MAX_SURPLUS, Divergence, Recovery, SessionHistory
from harness.oracle.models import NOTHING, CounterModel, RegisterModel, SetModel
from harness.oracle.operations import MASK, operation, token
from harness.oracle.search import MOST_CAUSES, REPEATS, Change, Question, Sums, explain, find_cheapest

Content = tuple[int, ...]  # writes by number, in order; a write that was applied twice appears twice

#: Stands for what the session held when the ledger began to forget its divergences, if that is not known.
_OPAQUE = 0
#: Stands for a write that nothing is known of: a number is higher than all writes together.
SURPLUS = -1
_MAX_ORIGINS = 12  # earlier states that a state is compared with
_MAX_SEARCHED = 3  # of these, so many are also searched from


@dataclass(frozen=True)
class ReplayedDivergence:
    """A divergence with the writes that should have been in the state (``before``) and those that were (``after``).

    Either is None if it is unknown.
    """

    divergence: Divergence
    before: Content | None
    after: Content | None
    late: frozenset[int] = frozenset()  # writes in doubt that had not been seen before
    removals: Mapping[int, frozenset[int]] = field(default_factory=dict)  # of a set: with the additions that they undo

    @cached_property
    def vanished(self) -> frozenset[int]:
        """Writes that should have been in the state but were not."""
        if self.before is None or self.after is None:
            return frozenset()
        return frozenset(self.before) - frozenset(self.after)

    @property
    def held(self) -> frozenset[int]:
        """What the state held before, without the write that this reply acknowledged."""
        return frozenset(self.before or ()) - self.divergence.own_write

    @property
    def is_restart(self) -> bool:
        """Whether the state began again: all that was in it is gone, and what remains may be newer than that."""
        divergence = self.divergence
        if self.before is None or self.after is None:
            is_new = divergence.changes_birth or divergence.state == NOTHING
            return is_new and divergence.under > 0 and divergence.anomaly is Anomaly.LOST
        went = self.vanished & self.held
        gone = went - _inert(self.removals)
        done = _inert({i: added for i, added in self.removals.items() if i in self.after})
        left = self.held - went - done - self.late
        if (
            gone
            and not divergence.changes_birth
            and any(write < min(gone) for write in {*self.after} - self.late - done)
        ):
            return False  # an older state took its place
        seen = {write for write in gone if write <= divergence.seen}
        newest = max(divergence.seen if seen else 0, max(gone, default=0) if len(seen) < 2 else 0)
        if not gone or any(write <= newest for write in left):
            return False
        if not left and not frozenset(self.after) & divergence.own_write:
            return True
        # The only write of a state was dropped, if nothing else went with it and the same process answers.
        has_moved = divergence.changes_birth or divergence.boot_before != divergence.boot_after
        return has_moved or len(went) > 1 or min(gone) <= divergence.seen


def _inert(removals: Mapping[int, frozenset[int]]) -> frozenset[int]:
    """The removals and the additions that they undo: together they change nothing."""
    return frozenset(removals).union(*removals.values())


class ReplayedWrites:
    """A session's writes by their outcome as the client saw it; numbers from 1."""

    def __init__(self, history: SessionHistory, refused: Set[int]) -> None:
        self._history = history
        doubted = [*history.in_doubt, *(recovery.i for recovery in history.recovered)]
        self.refused = self._exchange(frozenset(i for i in doubted if refused and self._operation(i) in refused))
        self.open = tuple(i for i in history.in_doubt if i not in self.refused)
        self.doubted = frozenset(doubted)
        self.recovered = history.recovered
        #: Refused, but another write with the same value may have appeared in their place.
        excused = self._find_excused({seen.i: seen.alike for seen in history.recovered})
        repeated = frozenset(seen.i for seen in history.recovered if seen.has_twin) & self.refused - excused
        self.refused_removals = self.refused & self._all_removals.keys()  # their items went without them
        self.excused = excused | repeated | self.refused_removals
        self.surplus = len(repeated)  # what appeared in their place was another entry, applied once more
        if history.model == CounterModel.name and self.refused:
            self._recover_others()

    def _exchange(self, refused: frozenset[int]) -> frozenset[int]:
        """Of a set: with a write in doubt instead of an equal one whose effect was seen, for it may be of either."""
        for seen in self._history.recovered if self._history.model == SetModel.name else ():
            others = (i for i in seen.alike if i in self._history.in_doubt and i not in refused)
            if seen.i in refused and (other := next(others, None)):
                refused = refused - {seen.i} | {other}
        return refused

    def _find_excused(self, alike: Mapping[int, Sequence[int]]) -> frozenset[int]:
        """The refused among the recovered writes whose place another one can take, directly or by giving up its own."""
        taken = set(self.refused)

        def can_be_another(i: int) -> bool:
            for other in alike[i]:
                if other not in taken:
                    taken.add(other)
                    if other not in alike or can_be_another(other):
                        return True
            return False

        return frozenset(i for i in alike if i in self.refused and can_be_another(i))

    def _recover_others(self) -> None:
        """Of a number, any write in doubt may be the one that appeared: let it be one that was not refused."""
        recovered: list[Recovery] = []
        waiting = sorted({*self.open, *(seen.i for seen in self._history.recovered)} - self.refused)
        for seen in self._history.recovered:
            other = next((i for i in waiting if i <= seen.issued), None)
            if other is None:
                # What is missing may have come back instead.
                self.surplus += not any(divergence.t_ns < seen.t_ns for divergence in self._history.divergences)
                continue
            waiting.remove(other)
            recovered.append(seen._replace(i=other))
        self.recovered, self.open = tuple(recovered), tuple(waiting)

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

    def acknowledged_between(self, since: int, until: int) -> Content:
        """Those with a number above ``since``, up to ``until``."""
        acknowledged = self.acknowledged
        return acknowledged[bisect_right(acknowledged, since) : bisect_right(acknowledged, until)]

    @cached_property
    def weights(self) -> dict[int, Sums]:
        """What each write adds to the state's sums."""
        has_no_tokens = self._history.model == CounterModel.name
        numbers = range(1, self._history.issued + 1)
        weights = {i: (1, 0 if has_no_tokens else token(self._operation(i))) for i in numbers} | {SURPLUS: (1, 0)}
        own = {i: (0, 0) for i, _, _ in self._history.weights}
        for i, count, digest in self._history.weights:
            own[i] = own[i][0] + count, own[i][1] + digest & MASK
        return weights | own

    @cached_property
    def _all_removals(self) -> Mapping[int, frozenset[int]]:
        """Of a set: each removal with the additions whose item it removed."""
        if self._history.model != SetModel.name:
            return {}
        additions = {digest: i for i, (count, digest) in self.weights.items() if count == 1 and i > 0}
        removed: defaultdict[int, set[int]] = defaultdict(set)
        for i, count, digest in self._history.weights:
            if count < 0 and (added := additions.get(-digest & MASK)):
                removed[i].add(added)
        return {i: frozenset(added) for i, added in removed.items()}

    @cached_property
    def removals(self) -> Mapping[int, frozenset[int]]:
        """Those that were acknowledged or have appeared."""
        never = (self.failed | {*self.open}) - ({seen.i for seen in self.recovered} - self.refused)
        return {i: added for i, added in self._all_removals.items() if i not in never}

    def perhaps_removed(self, gone_at: Mapping[int, int]) -> frozenset[int]:
        """Of a set: the additions whose item a removal in doubt may have removed, if it was there when that was sent.

        ``gone_at`` are the writes that had been issued when an addition was found missing.
        """
        removed = ((i, addition) for i, added in self._all_removals.items() if i in self.open for addition in added)
        return frozenset(addition for i, addition in removed if i <= gone_at.get(addition, i))

    @cached_property
    def undone(self) -> frozenset[int]:
        """Of a set: the additions whose item was removed later; they need not be there."""
        return frozenset().union(*self.removals.values())

    @cached_property
    def _totals(self) -> Sequence[Sums]:
        """The sums of the first n acknowledged writes, for each n."""
        weights = [self.weights[i] for i in self.acknowledged]
        return list(accumulate(weights, lambda a, b: (a[0] + b[0], a[1] + b[1]), initial=(0, 0)))

    def sum_between(self, since: int, until: int) -> Sums:
        """The sums of ``acknowledged_between``."""
        low, high = (self._totals[bisect_right(self.acknowledged, i)] for i in (since, max(since, until)))
        return high[0] - low[0], high[1] - low[1]

    def sums(self, content: Sequence[int]) -> Sums:
        """The sums of a state."""
        weights = [self.weights[i] for i in content]
        return sum(count for count, _ in weights), sum(digest for _, digest in weights) & MASK


@dataclass(frozen=True)
class _Origin:
    """A state that the session had when ``issued`` writes had been issued."""

    content: Content
    issued: int
    sums: Sums
    birth: str


class Replay:
    """The replayed divergences of a session, and the content of its last state (None if it is unknown)."""

    def __init__(self, history: SessionHistory, writes: ReplayedWrites) -> None:
        self._history, self._writes = history, writes
        self._is_count = history.model == CounterModel.name
        self._repeats = history.model not in (SetModel.name, RegisterModel.name)
        self._began = 0  # of a number: the writes issued when it was last lost
        self._origins = [_Origin((), 0, (0, 0), "")]  # the latest is the last
        self.divergences: list[ReplayedDivergence] = []
        if history.divergences_dropped:
            self._begin_at(history.divergences[0])
        for divergence in sorted((*history.healed, *history.divergences), key=lambda divergence: divergence.t_ns):
            self.divergences.append(self._replay(divergence))
        final = history.final
        #: What the session holds as far as is known, whether a final read showed it or not.
        self.latest = self._find_last_state(history.sums.plus(history.offset) if final is None else final.state)
        self.content = None if final is None else self.latest

    def _begin_at(self, divergence: Divergence) -> None:
        """Begin with the state before the oldest divergence that the ledger kept."""
        writes, state = self._writes, _expected(divergence, (0, 0))
        issued = divergence.issued - divergence.wrote
        known = writes.acknowledged_between(0, issued)
        for content in (known, known[len(known) - divergence.under :]):
            if (found := self._with_doubts(content, state, issued)) is not None:
                break
        else:
            count, digest = writes.sums(content)
            writes.weights[_OPAQUE] = state[0] - count, state[1] - digest & MASK
            found = (_OPAQUE, *content)
        self._origins.append(_Origin(found, issued, state, divergence.birth_before))

    def _replay(self, divergence: Divergence) -> ReplayedDivergence:
        own = self._writes.weights[divergence.issued] if divergence.wrote else (0, 0)
        expected = _expected(divergence, own)
        before = None if self._history.forgot else self._find_expected(expected, divergence.issued)
        if before is not None:
            birth = divergence.birth_before
            left = tuple(i for i in before if i not in divergence.own_write)
            self._origins.append(_Origin(left, divergence.issued, self._writes.sums(left), birth))
        after = None if self._history.forgot else self._find_shown(divergence, before)
        if after is not None:
            self._origins.append(_Origin(after, divergence.issued, divergence.state, divergence.birth_after))
        seen = {recovery.i for recovery in self._writes.recovered if recovery.t_ns < divergence.t_ns}
        return ReplayedDivergence(divergence, before, after, self._writes.doubted - seen, self._writes.removals)

    def _find_expected(self, state: Sums, issued: int) -> Content | None:
        """The state that the ledger expected: one that the session had before, with all that was acknowledged since."""
        for origin in self._recent():
            count, digest = self._writes.sum_between(origin.issued, issued)
            grown = origin.sums[0] + count, origin.sums[1] + digest & MASK
            if self._is_count:
                return self._count_to(self._grow(origin, issued), state[0], issued)
            if self._history.model == SetModel.name:
                grown = self._writes.sums(self._grow(origin, issued))
            if grown == state or self._appeared(state, grown, issued, origin.content) is not None:
                return self._with_doubts(self._grow(origin, issued), state, issued)
        return self._with_doubts(self._writes.acknowledged_between(0, issued), state, issued)

    def _grow(self, origin: _Origin, issued: int) -> Content:
        grown = tuple(sorted([*origin.content, *self._writes.acknowledged_between(origin.issued, issued)]))
        return self._complete(grown, issued)

    def _complete(self, content: Content, issued: int) -> Content:
        """The content of a set with each removal that is done, also if its item was missing already."""
        if self._history.model != SetModel.name:
            return content
        held = frozenset(content)
        done = {i: added for i, added in self._writes.removals.items() if i <= issued}
        pairs = [{i, *added} for i, added in done.items() if i in held or not added & held]
        return tuple(sorted(held.union(*pairs)))

    def _recent(self) -> Iterator[_Origin]:
        """The latest different states, newest first."""
        seen: set[Content] = set()
        for origin in reversed(self._origins):
            if origin.content not in seen:
                seen.add(origin.content)
                yield origin
            if len(seen) == _MAX_ORIGINS:
                return

    def _find_shown(self, divergence: Divergence, before: Content | None) -> Content | None:
        """What a reply showed: a known state with writes in doubt if that fits, else the likeliest change of one."""
        if self._is_count:
            return self._find_counted(divergence, before)
        issued, state = divergence.issued, divergence.state
        bases = list(dict.fromkeys(self._bases(divergence, before)))
        for base in bases:
            if (found := self._with_doubts(base, state, issued)) is not None:
                return found
        whole = self._writes.acknowledged_between(0, issued)
        searched = [self._complete(base, issued) for base in (*bases[:1], whole, *bases[:_MAX_SEARCHED])]
        for most_causes in (1, MOST_CAUSES):
            for base in dict.fromkeys(searched):
                if (found := self._search(base, state, issued, most_causes)) is not None:
                    return found
        return None

    def _bases(self, divergence: Divergence, before: Content | None) -> Iterator[Content]:
        """The states that may have been the origin: the expected one, those that the session had, an empty one.

        The empty one comes first if the reply seemed to show a loss.
        """
        own = divergence.own_write.intersection(self._writes.acknowledged)
        if divergence.anomaly is Anomaly.LOST:
            yield tuple(own)
        if before is not None:
            yield before
        for origin in self._recent():
            yield tuple(sorted([*origin.content, *own.difference(origin.content)]))
            yield self._grow(origin, divergence.issued)
        yield tuple(own)

    def _find_counted(self, divergence: Divergence, before: Content | None) -> Content | None:
        """The same where the state shows a number only."""
        own = tuple(divergence.own_write.intersection(self._writes.acknowledged))
        number, issued = divergence.state[0], divergence.issued
        if divergence.changes_birth:
            for origin in self._recent():
                if origin.birth == divergence.birth_after and len(origin.content) + len(own) == number:
                    return tuple(sorted([*origin.content, *own]))
        new = self._writes.acknowledged_between(divergence.seen, issued)
        is_less = before is not None and 0 < number < len(before)
        if divergence.anomaly is Anomaly.LOST or (is_less and number <= len(new)):
            self._began = 0 if divergence in self._history.healed else divergence.issued
            return self._count_to(new[max(0, len(new) - number) :], number, issued, self._writes.open)
        repeats = before is not None and len(before) > len({*before})
        if repeats and is_less and 2 * number <= len(before or ()) and number <= len(new) * REPEATS[-1]:
            self._began = divergence.issued
            return tuple(sorted((new * REPEATS[-1])[:number]))  # a new state, if this service repeats writes
        return self._count_to(before or own, number, issued)

    def _count_to(self, content: Content, number: int, issued: int, first: Sequence[int] = ()) -> Content | None:
        """The content with so many writes: the newest go; doubts, then what is missing, then repeats are added.

        None if there were never so many: what the service shows is something else, such as a time.
        """
        if number <= len(content):
            return content[: max(0, number)]
        if number > issued + MAX_SURPLUS:
            return None
        known = {*content}
        began = self._began if issued > self._began else 0  # without a write since then, an older state is back
        missing = [i for i in self._writes.acknowledged_between(began, issued) if i not in known]
        doubts = [i for i in sorted(self._writes.doubted - self._writes.refused) if i <= issued and i not in known]
        added = [*first, *(i for i in [*doubts, *missing] if i not in first)][: number - len(content)]
        latest = max([*content, *added], default=SURPLUS)
        return tuple(sorted([*content, *added, *[latest] * (number - len(content) - len(added))]))

    def _find_last_state(self, state: Sums) -> Content | None:
        issued = self._history.issued
        if self._history.forgot:
            return None
        content = self._find_expected(state, issued)
        if self._is_count and content is not None:
            return self._exchange(content)
        if content is None:
            content = self._search(self._writes.acknowledged, state, issued, MOST_CAUSES)
        return content

    def _exchange(self, content: Content) -> Content:
        """The content with acknowledged writes instead of others, where both are possible: a number shows neither."""
        acknowledged = self._writes.acknowledged
        if len(content) < len(acknowledged):
            return content  # something is missing in any case
        kept = {*content}.intersection(acknowledged)
        others = sorted((Counter(content) - Counter(kept)).elements(), reverse=True)
        missing = [i for i in acknowledged if i not in kept][: len(others)]
        return tuple(sorted([*kept, *missing, *others[: len(others) - len(missing)]]))

    def _with_doubts(self, content: Content, state: Sums, issued: int) -> Content | None:
        """The content plus the writes in doubt that lead to a state; None if none do."""
        content = self._complete(content, issued)
        change = self._appeared(state, self._writes.sums(content), issued, content)
        return None if change is None else _apply(change, content)

    def _appeared(self, state: Sums, known: Sums, issued: int, content: Content) -> Change | None:
        difference = state[0] - known[0], state[1] - known[1] & MASK
        if difference == (0, 0):
            return ()
        doubts = [i for i in self._doubts(issued) if i not in content]
        if self._repeats and not 0 < difference[0] <= len(doubts):
            return None  # each write counts one
        return explain(Question((), doubts, (), self._writes.weights, difference, self._repeats), -1)

    def _search(self, content: Content, state: Sums, issued: int, most_causes: int) -> Content | None:
        """The content of a state that the likeliest change leads to from this content."""
        writes, (count, digest) = self._writes, self._writes.sums(content)
        doubts = self._doubts(issued)
        possible = {*writes.failed, *writes.doubted, *writes.acknowledged} - {*content, *doubts}
        others = sorted(i for i in possible if i <= issued)
        difference = state[0] - count, state[1] - digest & MASK
        question = Question(content, doubts, others, writes.weights, difference, self._repeats)
        changes = find_cheapest(question, most_causes)
        contents = {self._complete(_apply(change, content), issued) for change in changes}
        if len(contents) > 1:  # what never reached a replica is the last to assume
            contents = {content for content in contents if not writes.refused & {*content}} or contents
        return contents.pop() if len(contents) == 1 else None

    def _doubts(self, issued: int) -> list[int]:
        """The writes in doubt that may have appeared by then: at most ``MAX_DOUBTS``, those that did appear first."""
        recovered = [seen.i for seen in self._writes.recovered if seen.i not in self._writes.refused]
        doubts = [i for i in dict.fromkeys([*recovered, *self._writes.open]) if i <= issued]
        return doubts[:MAX_DOUBTS]


def _expected(divergence: Divergence, own: Sums) -> Sums:
    """The sums that the ledger expected of a reply."""
    (left, mark), (count, digest) = divergence.offset, divergence.sums
    return left + count + own[0], mark + digest + own[1] & MASK


def _apply(change: Change, content: Content) -> Content:
    held = Counter(content)
    for i, times in change:
        held[i] += times
    return tuple(sorted(held.elements()))
