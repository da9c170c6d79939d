"""Which writes in doubt account for what a reply shows beyond those acknowledged."""

from collections.abc import Sequence
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.oracle.models import NOTHING, Sum
from harness.oracle.writes import Write, find_appeared


def doubts(*weights: int) -> list[Write]:
    """Writes that add so many each, with digests that no two sets share."""
    return [Write(i, 1 << i, Sum(weight, 1 << i)) for i, weight in enumerate(weights)]


def total(*writes: Write) -> Sum:
    return Sum(sum(write.weight.n for write in writes), sum(write.weight.digest for write in writes))


def test_no_difference_takes_no_write() -> None:
    assert find_appeared(doubts(1, 1), NOTHING) == ()


def test_writes_that_add_one_each_are_as_many_as_the_difference() -> None:
    writes = doubts(1, 1, 1, 1)
    assert find_appeared(writes, total(writes[1], writes[3])) == (writes[1], writes[3])
    assert find_appeared(writes, total(*writes)) == tuple(writes)


def test_a_single_write_may_add_several() -> None:
    writes = doubts(2, 2, 3)
    assert find_appeared(writes, total(writes[0])) == (writes[0],)
    assert find_appeared(writes, total(writes[1], writes[2])) == (writes[1], writes[2])
    mixed = doubts(1, 2)
    assert find_appeared(mixed, total(mixed[1])) == (mixed[1],)


def test_what_no_set_of_them_adds_up_to_is_none() -> None:
    writes = doubts(1, 1, 1)
    assert find_appeared(writes, Sum(1, 999)) is None, "another digest"
    assert find_appeared(writes, Sum(2, 1)) is None, "another count"
    assert find_appeared(writes, Sum(4, 7)) is None, "more than there are"
    assert find_appeared(writes, Sum(-1, 0)) is None
    assert find_appeared([], Sum(1, 1)) is None


def test_digests_are_summed_modulo_two_to_the_64() -> None:
    writes = [Write(0, 1, Sum(1, (1 << 64) - 1)), Write(1, 2, Sum(1, 2))]
    assert find_appeared(writes, Sum(2, 1)) == tuple(writes)


def test_a_search_that_would_take_too_long_is_given_up() -> None:
    many = doubts(*[1] * 40)
    assert find_appeared(many, total(many[3])) == (many[3],)
    assert find_appeared(many, total(*many[:20])) is None


def test_five_thousand_sets_are_tried_and_no_more() -> None:
    fourteen, fifteen = doubts(*[1] * 14), doubts(*[1] * 15)
    assert find_appeared(fourteen, total(*fourteen[:7])) == tuple(fourteen[:7]), "3,432 sets of seven"
    assert find_appeared(fifteen, total(*fifteen[:6])) is None, "5,005 sets of six"


def test_a_single_write_may_take_away() -> None:
    removal = Write(0, 1, Sum(-1, 5))
    assert find_appeared([removal], Sum(-1, 5)) == (removal,)
    assert find_appeared([removal, *doubts(1)], Sum(0, 6)) == (removal, *doubts(1))


@given(st.lists(st.tuples(st.sampled_from([1, 1, 2, -1]), st.integers(1, 3)), max_size=5), st.integers(-1, 6))
@settings(max_examples=60, deadline=None)
def test_the_first_of_the_smallest_sets_is_found_if_there_is_any(weights: Sequence[tuple[int, int]], n: int) -> None:
    writes = [Write(i, 0, Sum(*weight)) for i, weight in enumerate(weights)]
    subsets = chain.from_iterable(combinations(writes, size) for size in range(len(writes) + 1))
    by_sum: dict[Sum, tuple[Write, ...]] = {}
    for subset in subsets:
        by_sum.setdefault(total(*subset), subset)
    for digest in range(10):
        assert find_appeared(writes, Sum(n, digest)) == by_sum.get(Sum(n, digest))
