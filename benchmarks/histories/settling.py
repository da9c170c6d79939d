"""Which writes in doubt a content needs to show what a client saw: those are applied, and others not yet."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import islice

from benchmarks.histories.memory import Memory, Removal, as_set
from benchmarks.histories.world import Content

_MOST_ORDERS = 4  # in which the entries of a log are tried

Values = Mapping[int, object]
Settling = Callable[[Values, Content, Sequence[int], object], Iterator[Content]]


def settle(memory: Memory, values: Values, content: Content, doubted: Set[int], wanted: object) -> Iterator[Content]:
    """The contents that show what is ``wanted`` and differ by writes in doubt only; none if these do not suffice."""
    return _SETTLINGS[memory.name](values, content, sorted(doubted - {*content}), wanted)


def _settle_tally(values: Values, content: Content, doubts: Sequence[int], wanted: object) -> Iterator[Content]:
    assert isinstance(wanted, Counter)  # noqa: S101 - what this memory shows
    held = Counter(content)
    more = wanted - held
    if not held - wanted and all(write in doubts and times == 1 for write, times in more.items()):
        yield (*content, *more)


def _settle_counter(values: Values, content: Content, doubts: Sequence[int], wanted: object) -> Iterator[Content]:
    assert isinstance(wanted, int)  # noqa: S101 - what this memory shows
    missing = wanted - len(content)
    if 0 <= missing <= len(doubts):
        yield (*content, *doubts[:missing])


def _settle_register(values: Values, content: Content, doubts: Sequence[int], wanted: object) -> Iterator[Content]:
    if wanted == (values[content[-1]] if content else ""):
        yield content
    else:
        yield from [(*content, write) for write in doubts if values[write] == wanted][:1]


def _settle_set(values: Values, content: Content, doubts: Sequence[int], wanted: object) -> Iterator[Content]:
    assert isinstance(wanted, frozenset)  # noqa: S101 - what this memory shows
    held = as_set([values[write] for write in content])
    needed = [Removal(str(item)) if item in held else item for item in held ^ wanted]
    found = [next((write for write in doubts if values[write] == value), 0) for value in needed]
    if all(found):
        yield (*content, *sorted(found))


def _settle_log(values: Values, content: Content, doubts: Sequence[int], wanted: object) -> Iterator[Content]:
    assert isinstance(wanted, tuple)  # noqa: S101 - what this memory shows
    yield from islice(_interleave(values, content, doubts, wanted), _MOST_ORDERS)


def _interleave(
    values: Values, content: Content, doubts: Sequence[int], wanted: tuple[object, ...]
) -> Iterator[Content]:
    """The entries of a log in their order, with some in doubt anywhere between them."""
    if not wanted or len(content) > len(wanted):
        if not wanted and not content:
            yield ()
        return
    if content and values[content[0]] == wanted[0]:
        for rest in _interleave(values, content[1:], doubts, wanted[1:]):
            yield (content[0], *rest)
    if len(content) < len(wanted):
        for write in doubts:
            if values[write] == wanted[0]:
                for rest in _interleave(values, content, [other for other in doubts if other != write], wanted[1:]):
                    yield (write, *rest)


_SETTLINGS: Mapping[str, Settling] = {
    "tally": _settle_tally,
    "counter": _settle_counter,
    "register": _settle_register,
    "set": _settle_set,
    "log": _settle_log,
}
