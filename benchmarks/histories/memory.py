"""How a service shows a content: as a tally, a number, the last value, a set or a log."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.histories.world import Content


@dataclass(frozen=True)
class Removal:
    """The value of a write that removes an item from a set."""

    item: str


def as_set(values: Sequence[object]) -> frozenset[object]:
    """The items that are there after these writes."""
    items: set[object] = set()
    for value in values:
        if isinstance(value, Removal):
            items.discard(value.item)
        else:
            items.add(value)
    return frozenset(items)


def draw_nothing(rng: random.Random) -> object:
    """The value of a write that has none."""
    return None


def draw_word(rng: random.Random) -> object:
    """One of few values, so that they repeat; or one of many."""
    return rng.choice("abcde") if rng.random() < 0.5 else f"w{rng.randrange(10**6)}"


def draw_item(rng: random.Random) -> object:
    """An item to add or to remove, of few."""
    item = rng.choice("abcdefgh")
    return Removal(item) if rng.random() < 0.35 else item


@dataclass(frozen=True)
class Memory:
    """What a service keeps: how the values of its writes are drawn, and what a reply shows of a content."""

    name: str
    draw: Callable[[random.Random], object]
    show: Callable[[Sequence[int], Sequence[object]], object]


def _visible(content: Sequence[int], values: Sequence[object]) -> object:
    return Counter(content)


def _number(content: Sequence[int], values: Sequence[object]) -> object:
    return len(content)


def _last(content: Sequence[int], values: Sequence[object]) -> object:
    return values[-1] if values else ""


def _items(content: Sequence[int], values: Sequence[object]) -> object:
    return as_set(values)


def _entries(content: Sequence[int], values: Sequence[object]) -> object:
    return tuple(values)


MEMORIES: Mapping[str, Memory] = {
    memory.name: memory
    for memory in (
        Memory("tally", draw_nothing, _visible),
        Memory("counter", draw_nothing, _number),
        Memory("register", draw_word, _last),
        Memory("set", draw_item, _items),
        Memory("log", draw_word, _entries),
    )
}


def show(memory: Memory, content: Content, values: Mapping[int, object]) -> object:
    """What a client can see of a content."""
    return memory.show(content, [values[number] for number in content])
