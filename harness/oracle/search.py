"""Explains a difference between two sums of writes: which writes appeared, which are gone, which are there twice.

Tokens are 64-bit hashes, so a sum identifies its writes: other writes have the same sum with a probability of 2^-64 per
try. Explanations are tried by their number of causes (not counting writes in doubt that appeared): none, one (a stretch
of neighbours gone, or one write too many), two. The explanation with the fewest causes is accepted if it is unique. A
table holds the sums of all subsets of the writes in doubt (at most 2^12); the rest of a difference is looked up there.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.oracle.operations import MASK

Sums = tuple[int, int]  # count, digest
Change = tuple[tuple[int, int], ...]  # write -> how often it was added (or taken away, if negative)

_MAX_PAIRED = 400  # pairs are tried among at most this many writes
_MAX_TRIES = 200_000


@dataclass(frozen=True)
class Question:
    """A state of known ``content`` (writes in order, repeats allowed) became one that differs by ``difference``.

    ``doubts`` may have appeared legally; ``others`` (failed, or gone before) may also have appeared, as a defect.
    """

    content: Sequence[int]
    doubts: Sequence[int]
    others: Sequence[int]
    weights: Mapping[int, Sums]
    difference: Sums


def explain(question: Question) -> Change | None:
    """The simplest change that accounts for the difference; None if there is none, or several equally simple ones."""
    table = _subsets(question)
    for causes in ((_appeared,), (_window_gone, _one_added), (_pair_gone, _pair_added, _window_gone_one_added)):
        changes = {_net(added, gone) for cause in causes for added, gone in cause(question, table)}
        if changes:
            return changes.pop() if len(changes) == 1 else None
    return None


Table = Mapping[Sums, tuple[int, ...]]
Candidates = Iterator[tuple[Sequence[int], Sequence[int]]]  # added, gone


def _net(added: Sequence[int], gone: Sequence[int]) -> Change:
    net = Counter(added)
    net.subtract(gone)
    return tuple(sorted((write, n) for write, n in net.items() if n))


def _subsets(question: Question) -> Table:
    table: dict[Sums, tuple[int, ...]] = {(0, 0): ()}
    for write in question.doubts:
        count, digest = question.weights[write]
        for (n, d), subset in list(table.items()):
            table.setdefault((n + count, d + digest & MASK), (*subset, write))
    return table


def _appeared(question: Question, table: Table) -> Candidates:
    if question.difference in table:
        yield table[question.difference], ()


def _windows(question: Question, table: Table, extra: int) -> Iterator[tuple[Sums, Sequence[int]]]:
    """The sums of neighbouring writes, for each length that the count allows with ``extra`` writes added."""
    sums = [(0, 0)]
    for write in question.content:
        count, digest = question.weights[write]
        sums.append((sums[-1][0] + count, sums[-1][1] + digest & MASK))
    size = len(question.content)
    if all(question.weights[write][0] == 1 for write in question.content):
        lengths = sorted({count + extra - question.difference[0] for count, _ in table} & set(range(1, size + 1)))
    else:
        lengths = list(range(1, size + 1)) if size <= _MAX_PAIRED // 3 else []
    for length in lengths:
        for start in range(size - length + 1):
            low, high = sums[start], sums[start + length]
            yield (high[0] - low[0], high[1] - low[1] & MASK), question.content[start : start + length]


def _window_gone(question: Question, table: Table) -> Candidates:
    n, d = question.difference
    for (count, digest), window in _windows(question, table, 0):
        subset = table.get((n + count, d + digest & MASK))
        if subset is not None:
            yield subset, window


def _pool(question: Question) -> list[int]:
    return list(dict.fromkeys([*question.content, *question.doubts, *question.others]))


def _one_added(question: Question, table: Table) -> Candidates:
    n, d = question.difference
    for write in _pool(question):
        count, digest = question.weights[write]
        subset = table.get((n - count, d - digest & MASK))
        if subset is not None:
            yield (*subset, write), ()


def _pair_gone(question: Question, table: Table) -> Candidates:
    n, d = question.difference
    for pair, (count, digest) in _pairs(question, question.content):
        subset = table.get((n + count, d + digest & MASK))
        if subset is not None:
            yield subset, pair


def _pair_added(question: Question, table: Table) -> Candidates:
    n, d = question.difference
    for pair, (count, digest) in _pairs(question, _pool(question)):
        subset = table.get((n - count, d - digest & MASK))
        if subset is not None:
            yield (*subset, *pair), ()


def _pairs(question: Question, writes: Sequence[int]) -> Iterator[tuple[tuple[int, int], Sums]]:
    if len(writes) > _MAX_PAIRED:
        return
    weights = question.weights
    for first, second in combinations(writes, 2):
        yield (first, second), (weights[first][0] + weights[second][0], weights[first][1] + weights[second][1])


def _window_gone_one_added(question: Question, table: Table) -> Candidates:
    n, d = question.difference
    pool = _pool(question)
    if len(pool) * len(table) > _MAX_TRIES:
        return
    windows = dict(_windows(question, table, 1))
    for write in pool:
        count, digest = question.weights[write]
        for (subset_count, subset_digest), subset in table.items():
            window = windows.get((subset_count + count - n, subset_digest + digest - d & MASK))
            if window is not None:
                yield (*subset, write), window
