from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.oracle.operations import MASK, operation, token
from harness.oracle.search import Change, Question, Sums, explain

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
def test_any_stretch_is_named(doubted: set[int], start: int, length: int) -> None:
    gone = list(CONTENT)[start : start + length]
    assert explain_change(sorted(doubted), gone) == change(sorted(doubted), gone)


def test_a_write_in_doubt_that_was_applied_twice_is_named() -> None:
    assert explain_change([23, 23], []) == ((23, 2),)


@pytest.mark.parametrize(("added", "gone"), [([], [2, 8, 14]), ([1, 5, 9], []), ([29], []), ([1, 2], [9])])
def test_three_causes_or_a_foreign_write_are_not_guessed(added: list[int], gone: list[int]) -> None:
    assert explain_change(added, gone) is None


def test_two_explanations_of_one_size_are_none() -> None:
    undone = WEIGHTS | {20: (-1, -WEIGHTS[4][1] & MASK)}  # write 20 took out what write 4 had added
    assert explain_change([4], [], undone) is None
