"""The judge against an independent truth: no false alarm, no miss, the right kind. And the truth in known cases."""

import random
from pathlib import Path

import pytest

from benchmarks.histories.bugs import outage
from benchmarks.histories.feed import Feed
from benchmarks.histories.legality import find_illegal
from benchmarks.histories.memory import MEMORIES, Removal
from benchmarks.histories.truth import Truth
from benchmarks.histories.world import CALM, Change, Event, History, Shown, World
from benchmarks.judge import Confusion, compare, confuse, write_into

#: A sample of some hundred histories has few of each kind, so a few that are ambiguous weigh more there.
LEAST_RIGHT_IN_A_SAMPLE = 0.98


def check(confusion: Confusion) -> None:
    assert confusion.false_alarms == [] and confusion.misses == []
    right = sum(count for (truth, judged), count in confusion.cells.items() if truth == judged)
    assert right / confusion.histories >= LEAST_RIGHT_IN_A_SAMPLE, "\n".join(confusion.table())


def find_wrong(seeds: range) -> list[int]:
    """The histories of which the kind or the number of lost writes is not judged as it was."""
    return [each.seed for each in map(compare, seeds) if not (each.is_right and each.is_counted_right)]


def test_five_hundred_histories_are_judged_as_they_were() -> None:
    assert find_wrong(range(100_000, 100_500)) == []


@pytest.mark.slow
@pytest.mark.sampled
def test_a_thousand_more_are_but_for_the_few_in_which_the_client_saw_too_little() -> None:
    assert find_wrong(range(100_500, 101_500)) == [100_753, 100_917, 101_305]


@pytest.mark.slow
@pytest.mark.long
def test_three_thousand_histories_are_judged_as_they_were() -> None:
    check(confuse(3000, seed=200_000))


@pytest.mark.parametrize(
    ("seed", "kind"), [(658, "duplicated"), (2958, "stale"), (3625, "duplicated"), (3863, "stale")]
)
def test_a_kind_that_little_in_a_history_shows_is_found(seed: int, kind: str) -> None:
    """Numbers that caught up, or were too high so often that the first times were forgotten; what only lags."""
    compared = compare(seed)
    assert (compared.kind, compared.judged) == (kind, kind)


def test_the_same_seed_is_the_same_history() -> None:
    assert compare(17) == compare(17)


def seen(*events: tuple[str, int, tuple[int, ...] | None]) -> list[Event]:
    return [
        Event(what, write, None if content is None else Shown("me", "b", content)) for what, write, content in events
    ]


@pytest.mark.parametrize(
    ("memory", "values", "events", "illegal"),
    [
        ("tally", {1: None}, seen(("ok", 1, (1,)), ("ok", 0, (1,))), []),
        ("tally", {1: None}, seen(("ok", 1, (1,)), ("ok", 0, ())), [1]),
        ("tally", {1: None}, seen(("ok", 1, (1, 1))), [0]),
        ("tally", {1: None}, seen(("in_doubt", 1, None), ("ok", 0, ()), ("ok", 0, (1,)), ("ok", 0, ())), [3]),
        ("counter", {1: None, 2: None}, seen(("in_doubt", 1, None), ("ok", 2, (1, 2)), ("ok", 0, (2,))), [2]),
        ("counter", {1: None}, seen(("failed", 1, None), ("ok", 0, (1,))), [1]),
        ("register", {1: "a", 2: "b"}, seen(("ok", 1, (1,)), ("in_doubt", 2, None), ("ok", 0, (1, 2))), []),
        ("register", {1: "a", 2: "b"}, seen(("ok", 1, (1,)), ("ok", 2, (1, 2)), ("ok", 0, (1,))), [2]),
        ("set", {1: "a", 2: Removal("a")}, seen(("ok", 1, (1,)), ("in_doubt", 2, None), ("ok", 0, (1, 2))), []),
        ("set", {1: "a", 2: Removal("a")}, seen(("ok", 1, (1,)), ("ok", 2, (1, 2)), ("ok", 0, (1,))), [2]),
        # A reply that is not legal says nothing: the removal in doubt that one item would need is still in doubt.
        (
            "set",
            {1: "a", 2: "b", 3: Removal("a")},
            seen(("ok", 1, (1,)), ("ok", 2, (1, 2)), ("in_doubt", 3, None), ("ok", 0, ()), ("ok", 0, (1, 2))),
            [3],
        ),
        (
            "log",
            {1: "b", 2: "a"},
            seen(("sent", 1, None), ("in_doubt", 1, None), ("sent", 2, None), ("ok", 2, (2, 1))),
            [],
        ),
        (
            "log",
            {1: "a", 2: "b"},
            seen(("ok", 1, (1,)), ("sent", 2, None), ("in_doubt", 2, None), ("ok", 0, (2, 1))),
            [3],
        ),
    ],
)
def test_what_a_faithful_service_may_show(
    memory: str, values: dict[int, object], events: list[Event], illegal: list[int]
) -> None:
    assert find_illegal(MEMORIES[memory], events, values, frozenset()) == illegal


def test_a_write_that_never_arrived_may_not_appear() -> None:
    events = seen(("in_doubt", 1, None), ("ok", 0, (1,)))
    assert find_illegal(MEMORIES["tally"], events, {1: None}, frozenset({1})) == [1]


UNREAD: tuple[str, int, None] = ("unread", 0, None)


@pytest.mark.parametrize(
    ("memory", "values", "events", "changes", "kind"),
    [
        # Nobody read what was lost with a whole state, and a newer value only looks right.
        ("register", {1: "a", 2: "b"}, seen(("ok", 1, (1,)), ("ok", 0, ()), ("ok", 2, (2,)), UNREAD), (), "unknown"),
        (
            "set",
            {1: "a", 2: "a"},
            seen(("ok", 1, (1,)), ("ok", 0, ()), ("ok", 2, (2,)), UNREAD),
            (Change((1,), ()),),
            "unknown",
        ),
        ("register", {1: "a", 2: "b"}, seen(("ok", 1, (1,)), ("ok", 0, ()), ("ok", 0, (1,)), UNREAD), (), "stale"),
        # What may have been dropped is not a loss of all, and a value that replaced a stale one is none either.
        ("register", {1: "a"}, seen(("ok", 1, ()), ("final", 0, ())), (), "lost_writes"),
        ("register", {1: "a", 2: "b"}, seen(("ok", 1, (1,)), ("ok", 2, (1, 2)), ("final", 0, ())), (), "lost"),
        (
            "register",
            {1: "a", 2: "b", 3: "c"},
            seen(("ok", 1, (1,)), ("ok", 2, (1, 2)), ("ok", 0, (1,)), ("ok", 3, (3,)), ("final", 0, (3,))),
            (),
            "stale",
        ),
        # A copy that lags showed an item as the addition in doubt would have left it: nothing is wrong at the end.
        (
            "set",
            {1: "a", 2: "a", 3: Removal("a")},
            seen(("in_doubt", 1, None), ("ok", 2, (2,)), ("ok", 3, (2, 3)), ("ok", 0, (2,)), ("final", 0, (2, 3))),
            (),
            "stale",
        ),
        # A removal in doubt was applied after the addition, and undone.
        (
            "set",
            {1: Removal("a"), 2: "a"},
            seen(("in_doubt", 1, None), ("ok", 2, (2,)), ("ok", 0, (2, 1)), ("final", 0, (2,))),
            (),
            "rolled_back",
        ),
        # The item was removed before the addition.
        (
            "set",
            {1: "b", 2: Removal("a"), 3: "a"},
            seen(("ok", 1, (1,)), ("in_doubt", 2, None), ("ok", 0, (1, 2)), ("ok", 3, (1, 2)), ("final", 0, (1, 3))),
            (),
            "stale",
        ),
    ],
)
def test_what_happened_follows_from_the_contents(
    memory: str,
    values: dict[int, object],
    events: list[Event],
    changes: tuple[Change, ...],
    kind: str,
) -> None:
    doubted = {event.write for event in events if event.what == "in_doubt"}
    history = History(events, changes, values, doubted, frozenset(), shows_birth=False)
    assert Truth(history, MEMORIES[memory]).kind == kind


def test_twenty_writes_that_never_arrive_are_too_many_to_follow() -> None:
    rng = random.Random(5)
    memory = MEMORIES["tally"]
    feed = Feed(memory, 5, shows_birth=True)
    world = World(rng, CALM, memory.draw, feed.react)
    outage(world)
    world.end()
    assert Truth(world.history(), memory).kind == feed.verdict(world).outcome.value == "unknown"


def test_the_table_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- judge: begin -->\nold\n<!-- judge: end -->\nafter\n")
    write_into(page, confuse(3, seed=0))
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "3 random histories" in text and "| truth" in text
