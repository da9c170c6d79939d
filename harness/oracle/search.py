"""Explains a difference between two sums of writes: which writes appeared, which are gone, which are there too often.

Tokens are 64-bit hashes, so a sum identifies its writes: other writes have the same sum with a probability of 2^-64 per
try. An explanation is a multiset of changes, and its cost the number of its causes. A cause is a stretch of neighbours
gone, a stretch applied again as a whole, one write gone, or one write applied once, twice or three times too often;
writes in doubt that appeared cost nothing. The cheapest explanation is accepted if it is the only one of its cost.

The sums of all causes are kept in dictionaries, so that a combination of two halves is found by trying one half and
looking the other one up. That makes up to five causes affordable in short sessions. ``_MAX_TRIES`` limits the work: a
difference that needs more than that stays without an explanation.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, product

from harness.oracle.operations import MASK

Sums = tuple[int, int]  # count, digest
Change = tuple[tuple[int, int], ...]  # write -> how often it was added (or taken away, if negative)
#: Part of an explanation: the writes from one place of the content to another, and how often each was added.
Run = tuple[int, int, int]
Causes = Mapping[Sums, Sequence[tuple[Run, ...]]]  # by the sum of what they add

MOST_CAUSES = 5  # of one change
_MAX_TRIES = 300_000
_MAX_CAUSES = 60_000  # kept in one dictionary
_MAX_NEIGHBOURS = 173  # among so many, there are a quarter of that number of stretches, and each has four causes
REPEATS = (1, 2, 3)  # surplus applications of one write that count as one cause


@dataclass(frozen=True)
class Question:
    """A state of known ``content`` (writes in order, repeats allowed) became one that differs by ``difference``.

    ``doubts`` may have appeared legally; ``others`` (failed, or gone before) may also have appeared. Where a write
    that is applied again changes nothing, as in a set, nothing ``repeats``.
    """

    content: Sequence[int]
    doubts: Sequence[int]
    others: Sequence[int]
    weights: Mapping[int, Sums]
    difference: Sums
    repeats: bool = True


def explain(question: Question, most_causes: int = MOST_CAUSES) -> Change | None:
    """The cheapest change that accounts for the difference; None if there is none, or several of the same cost."""
    found = find_cheapest(question, most_causes)
    return next(iter(found)) if len(found) == 1 else None


def find_cheapest(question: Question, most_causes: int = MOST_CAUSES) -> frozenset[Change]:
    """All changes that account for the difference at the lowest cost; none if that is too high."""
    causes = _PossibleCauses(question)
    for combinations in _LEVELS[: most_causes + 2]:
        found = frozenset(change for halves in combinations for change in causes.combine(*halves))
        if found:
            return found
    return frozenset()


#: What is combined, by cost (the end of the content gone is tried first). The second of two halves is looked up.
_LEVELS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("nothing", "nothing"),),
    (("nothing", "ends"),),
    (("nothing", "singles"), ("nothing", "lone_stretches")),
    (("singles", "singles"), ("singles", "stretches"), ("stretches", "stretches")),
    (("singles", "pairs"), ("pairs", "stretches")),
    (("pairs", "pairs"),),
    (("pairs", "triples"),),
)


@dataclass
class _PossibleCauses:
    """The causes that one question allows, by the sum of what they change. Runs are places in ``_pool``."""

    question: Question
    nothing: Causes = field(default_factory=lambda: {(0, 0): [()]})
    _held: Counter[int] = field(init=False)
    _pool: Sequence[int] = field(init=False)
    _size: int = field(init=False)  # so many of the pool are held

    def __post_init__(self) -> None:
        question = self.question
        self._held = Counter(question.content)
        others = dict.fromkeys([*question.doubts, *question.others])
        self._pool = [*question.content, *(write for write in others if write not in self._held)]
        self._size = len(question.content)

    def combine(self, first: str, second: str) -> Iterator[Change]:
        """The changes made of one cause of each kind and any writes in doubt that together are the difference."""
        n, d = self.question.difference
        tried: Causes = getattr(self, first)
        if len(tried) * len(self._appeared) > _MAX_TRIES:
            return
        looked_up: Causes = getattr(self, second)
        for (count, digest), halves in tried.items():
            for (more, also), doubts in self._appeared.items():
                others = looked_up.get((n - count - more, (d - digest - also) & MASK), ())
                for runs in product(halves, others, doubts):
                    change = self._net(chain(*runs))
                    if all(times + self._held[write] >= 0 for write, times in change):
                        yield change

    def _net(self, runs: Iterable[Run]) -> Change:
        """What the runs add to each write."""
        net: Counter[int] = Counter()
        for start, end, times in runs:
            for write in self._pool[start:end]:
                net[write] += times
        return tuple(sorted((write, times) for write, times in net.items() if times))

    @cached_property
    def _appeared(self) -> Causes:
        """Every set of writes in doubt that are not there yet."""
        found: dict[Sums, list[tuple[Run, ...]]] = {(0, 0): [()]}
        for place in range(self._size, self._size + len(set(self.question.doubts) - self._held.keys())):
            count, digest = self.question.weights[self._pool[place]]
            for (n, d), runs in list(found.items()):
                found.setdefault((n + count, d + digest & MASK), [(*runs[0], (place, place + 1, 1))])
        return found

    @cached_property
    def singles(self) -> Causes:
        """One write gone, or applied too often."""
        gone = [((place, place + 1, -1),) for place in range(self._size)]
        if not self.question.repeats:
            return self._by_sum([*gone, *(((place, place + 1, 1),) for place in range(self._size, len(self._pool)))])
        return self._by_sum([*gone, *(((place, place + 1, n),) for place in range(len(self._pool)) for n in REPEATS)])

    @cached_property
    def ends(self) -> Causes:
        """Everything from some place on gone or applied again, or everything before it gone.

        They are tried before other causes of the same cost only where no other sum is equal: where each write counts.
        """
        if any(self.question.weights[write][0] != 1 for write in self._pool):
            return {}
        size, repeats = self._size, REPEATS if self.question.repeats else ()
        gone = [((place, size, -1),) for place in range(size)] + [((0, place, -1),) for place in range(1, size)]
        return self._by_sum([*gone, *(((place, size, n),) for place in range(size) for n in repeats)])

    @cached_property
    def stretches(self) -> Causes:
        """At least two neighbours gone, or applied again together."""
        places = [(start, end) for start in self._starts for end in range(start + 2, self._size + 1)]
        return self._by_sum([((start, end, n),) for start, end in places for n in self._times])

    @cached_property
    def lone_stretches(self) -> Causes:
        """Those that with any writes in doubt are the difference: two totals that differ by it, one of them looked up.

        That takes far less time than all stretches do, unless there are many sets of writes in doubt.
        """
        if 2 * len(self._appeared) > self._size:
            return self.stretches
        n, d = self.question.difference
        wanted = [(n - count, (d - digest) & MASK) for count, digest in self._appeared]
        found: dict[Sums, list[tuple[Run, ...]]] = {}
        for times in self._times:
            totals = [(count * times, digest * times & MASK) for count, digest in self._totals]
            starts: dict[Sums, list[int]] = {}
            for start in self._starts:
                starts.setdefault(totals[start], []).append(start)
            for (count, digest), end in product(wanted, range(self._starts.start + 2, self._size + 1)):
                total, sums = totals[end]
                for start in starts.get((total - count, (sums - digest) & MASK), ()):
                    if start + 2 <= end:
                        found.setdefault((count, digest), []).append(((start, end, times),))
        return found

    @property
    def _starts(self) -> range:
        """Where a stretch may begin."""
        return range(max(0, self._size - _MAX_NEIGHBOURS), self._size)

    @property
    def _times(self) -> Sequence[int]:
        """How often a stretch may have been added."""
        return (-1, *REPEATS) if self.question.repeats else (-1,)

    @cached_property
    def pairs(self) -> Causes:
        """Two single causes."""
        singles = list(chain(*self.singles.values()))
        if len(singles) ** 2 > 2 * _MAX_CAUSES:
            return {}
        return self._by_sum([(*one, *other) for index, one in enumerate(singles) for other in singles[:index]])

    @cached_property
    def triples(self) -> Causes:
        """Three single causes."""
        singles = list(chain(*self.singles.values()))
        if len(singles) ** 3 > 6 * _MAX_CAUSES:
            return {}
        return self._by_sum([(*pair, *single) for pair in chain(*self.pairs.values()) for single in singles])

    @cached_property
    def _totals(self) -> Sequence[Sums]:
        """The sum of the first n writes of the pool, for each n."""
        totals = [(0, 0)]
        for write in self._pool:
            count, digest = self.question.weights[write]
            totals.append((totals[-1][0] + count, totals[-1][1] + digest))
        return totals

    def _by_sum(self, causes: Iterable[tuple[Run, ...]]) -> Causes:
        totals = self._totals
        found: dict[Sums, list[tuple[Run, ...]]] = {}
        for cause in causes:
            count = digest = 0
            for start, end, times in cause:
                count += (totals[end][0] - totals[start][0]) * times
                digest += (totals[end][1] - totals[start][1]) * times
            found.setdefault((count, digest & MASK), []).append(cause)
        return found
