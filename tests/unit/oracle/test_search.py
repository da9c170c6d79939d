from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.oracle.operations import MASK, operation, token
from harness.oracle.search import Change, Question, Sums, explain, find_cheapest

CONTENT, DOUBTS, OTHERS = range(1, 21), range(21, 26), range(26, 29)
WEIGHTS = {i: (1, token(operation(3, 1, i))) for i in range(1, 30)}


def explain_change(added: Sequence[int], gone: Sequence[int], weights: dict[int, Sums] | None = None) -> Change | None:
    """What the search says of a state to which some writes were added, and from which some are gone."""
    weights = weights or WEIGHTS
    count = sum(weights[i][0] for i in added) - sum(weights[i][0] for i in gone)
    digest = sum(weights[i][1] for i in added) - sum(weights[i][1] for i in gone)
    return explain(Question(CONTENT, DOUBTS, OTHERS, weights, (count, digest & MASK)))


def change(added: Sequence[int], gone: Sequence[int]) -> Change:
    return tuple(sorted([(i, 1) for i in added] + [(i, -1) for i in gone]))


@pytest.mark.parametrize("doubted", [[], [21], [22, 25]])
@pytest.mark.parametrize(
    ("added", "gone"),
    [
        ([], []),
        ([], [7]),
        ([], [1, 2, 3]),
        ([], [18, 19, 20]),
        ([], list(CONTENT)),
        ([4], []),
        ([28], []),
        ([], [3, 9]),
        ([4, 27], []),
        ([4], [10]),
        ([4], [17, 18, 19]),
    ],
)
def test_up_to_two_causes_are_named_beside_writes_in_doubt(
    doubted: list[int], added: list[int], gone: list[int]
) -> None:
    assert explain_change([*doubted, *added], gone) == change([*doubted, *added], gone)


@given(st.sets(st.sampled_from(DOUBTS)), st.integers(0, 19), st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_any_stretch_is_named(doubted: set[int], start: int, length: int) -> None:
    gone = list(CONTENT)[start : start + length]
    assert explain_change(sorted(doubted), gone) == change(sorted(doubted), gone)


@given(st.integers(0, 78), st.integers(2, 80), st.sampled_from([-1, 1, 2, 3]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_stretch_is_named_in_a_long_session_with_few_doubts(
    start: int, length: int, times: int, appeared: bool
) -> None:
    weights = {i: (1, token(operation(3, 1, i))) for i in range(1, 82)}
    stretch = range(1, 81)[start : start + length]
    added = {**dict.fromkeys(stretch, times), **({81: 1} if appeared else {})}
    count, digest = (sum(weights[i][part] * n for i, n in added.items()) for part in (0, 1))
    question = Question(range(1, 81), [81], [], weights, (count, digest & MASK))
    assert explain(question) == tuple(sorted(added.items()))


def test_equal_stretches_of_a_long_session_are_all_found() -> None:
    weights = {i: (1, token(operation(3, 1, i % 40))) for i in range(1, 81)}
    count, digest = (-sum(weights[i][part] for i in (5, 6, 7)) for part in (0, 1))
    question = Question(range(1, 81), [], [], weights, (count, digest & MASK))
    assert find_cheapest(question) == {change([], [5, 6, 7]), change([], [45, 46, 47])}


def test_a_write_in_doubt_that_was_applied_twice_is_named() -> None:
    assert explain_change([23, 23], []) == ((23, 2),)


@pytest.mark.parametrize(
    ("added", "gone"),
    [
        ([], [2, 8, 14]),
        ([1, 5, 9], []),
        ([1, 2], [9]),
        ([1, 1, 5, 5], [9, 12]),
        ([3, 3, 3], []),
        (list(CONTENT), []),
        ([*CONTENT, *CONTENT], []),
        ([], [2, 3, 4, 9, 10, 11]),
    ],
)
def test_several_causes_are_named(added: list[int], gone: list[int]) -> None:
    expected = Counter(added)
    expected.subtract(gone)
    assert explain_change(added, gone) == tuple(sorted(expected.items()))


def test_a_foreign_write_is_not_guessed() -> None:
    assert explain_change([29], []) is None


def test_two_explanations_of_one_size_are_none() -> None:
    undone = WEIGHTS | {20: (-1, -WEIGHTS[4][1] & MASK)}  # write 20 took out what write 4 had added
    assert explain_change([4], [], undone) is None


def ask(difference: Sums, **more: object) -> Change | None:
    known: dict[str, object] = {"content": (1, 2, 3), "doubts": (), "others": (), "weights": WEIGHTS, **more}
    return explain(Question(difference=difference, **known))  # type: ignore[arg-type]  # by their names


def weight(*writes: int) -> Sums:
    return len(writes), sum(WEIGHTS[write][1] for write in writes) & MASK


def less(*writes: int) -> Sums:
    count, digest = weight(*writes)
    return -count, -digest & MASK


def test_no_difference_is_no_change() -> None:
    assert ask((0, 0)) == () and ask((0, 0), content=()) == ()


@pytest.mark.parametrize(("times", "named"), [(1, True), (2, True), (3, True), (4, False)])
def test_one_write_applied_up_to_three_times_too_often_is_one_cause(times: int, named: bool) -> None:
    weights = {1: (1, 1), 2: (1, 1 << 20), 3: (1, 1 << 40)}
    question = Question((1, 2, 3), (), (), weights, (times, times << 20))
    assert explain(question, 1) == (((2, times),) if named else None)
    assert explain(question) == ((2, times),), "more times are two causes"


def test_where_a_write_applied_again_changes_nothing_nothing_repeats() -> None:
    assert ask(weight(2), repeats=False) is None
    assert ask(weight(5), repeats=False, others=(5,)) == ((5, 1),)
    assert ask(less(2), repeats=False) == ((2, -1),)
    assert ask(less(1, 2, 3), repeats=False) == ((1, -1), (2, -1), (3, -1))
    assert ask(weight(1, 2), repeats=False) is None


def test_a_write_that_is_not_there_cannot_go() -> None:
    assert ask(less(5), doubts=(5,)) is None and ask(less(5), others=(5,)) is None
    assert ask(less(2, 2)) is None
    assert ask(less(2, 2), content=(1, 2, 2, 3)) == ((2, -2),)


def test_a_doubt_that_is_there_already_does_not_appear_again_for_nothing() -> None:
    assert ask(weight(2), doubts=(2, 5)) == ((2, 1),)
    assert explain(Question((1, 2), (2, 5), (), WEIGHTS, weight(2)), -1) is None
    assert explain(Question((1, 2), (2, 5), (), WEIGHTS, weight(5)), -1) == ((5, 1),)


@pytest.mark.parametrize(
    ("content", "difference", "causes"),
    [
        (range(1, 11), less(8, 9, 10), 0),
        (range(1, 11), less(1, 2, 3), 0),
        (range(1, 11), weight(8, 9, 10), 0),
        (range(1, 11), less(4), 1),
        (range(1, 11), less(4, 5, 6), 1),
        (range(1, 11), weight(4, 5, 6), 1),
        (range(1, 11), less(2, 5), 2),
        (range(1, 11), less(2, 5, 6), 2),
        (range(1, 11), less(2, 3, 6, 7), 2),
        (range(1, 11), less(2, 4, 6), 3),
        (range(1, 11), less(2, 4, 7, 8), 3),
        (range(1, 11), less(1, 3, 5, 8), 4),
        (range(1, 9), less(1, 3, 5, 7), 4),
    ],
)
def test_a_change_is_found_with_as_many_causes_as_it_has(content: Sequence[int], difference: Sums, causes: int) -> None:
    question = Question(content, (), (), WEIGHTS, difference)
    found = explain(question, causes)
    assert found is not None and explain(question, causes - 1) is None
    count = sum(WEIGHTS[write][0] * times for write, times in found)
    digest = sum(WEIGHTS[write][1] * times for write, times in found) & MASK
    assert (count, digest) == difference


def test_an_end_that_is_gone_is_tried_first_only_where_each_write_counts_one() -> None:
    weights = {**WEIGHTS, 3: (0, 77)}
    assert explain(Question((1, 2, 3), (), (), weights, (-1, -(WEIGHTS[2][1] + 77) & MASK)), 0) is None
    assert explain(Question((1, 2, 3), (), (), weights, (-1, -(WEIGHTS[2][1] + 77) & MASK)), 1) == ((2, -1), (3, -1))


def test_doubts_that_appeared_cost_nothing_beside_any_cause() -> None:
    difference = weight(21, 23)[0] - 2, (weight(21, 23)[1] - weight(1, 2)[1]) & MASK
    assert ask(difference, doubts=(21, 22, 23)) == ((1, -1), (2, -1), (21, 1), (23, 1))


def test_two_stretches_are_two_causes() -> None:
    content = range(1, 21)
    gone = (*range(3, 8), *range(12, 17))
    assert explain(Question(content, (), (), WEIGHTS, less(*gone)), 2) == tuple((write, -1) for write in gone)


def test_a_stretch_that_is_applied_again_is_one_cause_however_often() -> None:
    for times in (1, 2, 3):
        count, digest = weight(1, 2)
        assert ask((times * count, times * digest & MASK)) == ((1, times), (2, times))


def long_question(size: int, *gone: int) -> Question:
    """So many writes, from which some are gone."""
    weights = {i: (1, token(operation(3, 2, i))) for i in range(1, size + 1)}
    return Question(range(1, size + 1), (), (), weights, (-len(gone), -sum(weights[i][1] for i in gone) & MASK))


@pytest.mark.parametrize(("size", "found"), [(86, True), (87, False)])
def test_three_causes_are_found_among_86_writes(size: int, found: bool) -> None:
    assert explain(long_question(size, 3, 30, 60)) == (((3, -1), (30, -1), (60, -1)) if found else None)


@pytest.mark.parametrize(("size", "found"), [(17, True), (18, False)])
def test_five_causes_are_found_among_17_writes(size: int, found: bool) -> None:
    gone = (2, 5, 8, 11, 14)
    assert explain(long_question(size, *gone)) == (tuple((write, -1) for write in gone) if found else None)


@pytest.mark.parametrize(("first", "found"), [(7, False), (8, True)])
def test_stretches_are_looked_for_among_the_last_173_writes(first: int, found: bool) -> None:
    question = long_question(180, first, first + 1)
    assert explain(question, 1) == (((first, -1), (first + 1, -1)) if found else None)


@pytest.mark.parametrize(("doubts", "found"), [(8, True), (11, False)])
def test_of_two_causes_beside_doubts_300_000_combinations_are_tried(doubts: int, found: bool) -> None:
    """40 writes and 11 in doubt have 193 single causes and 2,048 sets of doubts."""
    weights = {i: (1, 1 << i) for i in range(1, 52)}
    question = Question(range(1, 41), range(41, 41 + doubts), (), weights, (-1, (1 << 41) - (1 << 9) - (1 << 3) & MASK))
    assert explain(question, 2) == (((3, -1), (9, -1), (41, 1)) if found else None)


def list_causes(question: Question, *, ends: bool) -> Iterator[Counter[int]]:
    """What each single cause adds to each write; of ``ends``, only what reaches from the start or to the end."""
    content, size = list(question.content), len(question.content)
    times = (-1, 1, 2, 3) if question.repeats else (-1,)
    for start, end in combinations(range(size + 1), 2):
        for n in times:
            if not ends or end == size or (start == 0 and n == -1):
                yield Counter(dict.fromkeys(content[start:end], n))
    if not ends:
        for write in {*question.doubts, *question.others} - {*content}:
            yield from (Counter({write: n}) for n in (times[1:] or (1,)))


def try_everything(question: Question) -> tuple[int, frozenset[Change]]:
    """The fewest causes whose sum with some doubts is the difference, and all such changes; ends of the content cost 0.

    Tries every combination of up to two causes.
    """
    doubts = [write for write in question.doubts if write not in question.content]
    weighs_one = all(question.weights[write][0] == 1 for write in (*question.content, *doubts, *question.others))
    causes, ends = (list(list_causes(question, ends=ends)) for ends in (False, True))
    fewest, *more = (combinations_with_replacement(causes, n) for n in range(3))
    levels = (fewest, combinations_with_replacement(ends if weighs_one else [], 1), *more)
    for cost, level in enumerate(levels, -1):
        found = set()
        for parts, size in product(level, range(len(doubts) + 1)):
            for appeared in combinations(doubts, size):
                net: Counter[int] = Counter(appeared)
                for part in parts:
                    for write, times in part.items():
                        net[write] += times
                is_possible = all(question.content.count(write) + times >= 0 for write, times in net.items())
                if is_possible and weigh(net, question.weights) == question.difference:
                    found.add(tuple(sorted((write, times) for write, times in net.items() if times)))
        if found:
            return cost, frozenset(found)
    return 99, frozenset()


def weigh(change: Counter[int], weights: Mapping[int, Sums]) -> Sums:
    """The sum of a change."""
    count = sum(weights[write][0] * times for write, times in change.items())
    return count, sum(weights[write][1] * times for write, times in change.items()) & MASK


SPECIAL: list[dict[int, Sums]] = [
    {},
    {3: (-1, -WEIGHTS[1][1] & MASK)},
    {1: (0, 0)},
]  # a removal, and what changes nothing


@given(st.data(), st.integers(1, 3), st.booleans(), st.sampled_from(SPECIAL))
@settings(max_examples=40, deadline=None)
def test_the_cheapest_changes_are_those_that_trying_everything_finds(
    data: st.DataObject, size: int, repeats: bool, special: dict[int, Sums]
) -> None:
    weights = WEIGHTS | special
    question = Question(range(1, size + 1), (size, 5), (7,), weights, (0, 0), repeats)
    change = Counter(data.draw(st.sets(st.just(5))))
    for cause in data.draw(st.lists(st.sampled_from([*list_causes(question, ends=False)]), max_size=2)):
        change.update(cause)
    question = replace(question, difference=weigh(change, weights))
    cost, changes = try_everything(question)
    for most_causes in (-1, 0, 1, 2):
        assert find_cheapest(question, most_causes) == (changes if cost <= most_causes else frozenset())
