"""What each model makes of a write and of a state, one call at a time. A token is a power of two, so sums are sets."""

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import TypeVar

import pytest

from harness.observations.requests import Anomaly
from harness.oracle import models
from harness.oracle.models import (
    NOTHING,
    Applied,
    CounterModel,
    LogModel,
    MeasuredState,
    Model,
    RegisterModel,
    Removed,
    SetModel,
    StatelessModel,
    Sum,
    TallyModel,
    add_up,
    align,
    foreign_token,
)
from harness.oracle.operations import MASK


def one(*tokens: int) -> Sum:
    """So many writes with these tokens."""
    return Sum(len(tokens), sum(tokens) & MASK)


def gone(*tokens: int) -> tuple[Sum, ...]:
    """What a removal takes back."""
    return tuple(Sum(-1, -token & MASK) for token in tokens)


_Model = TypeVar("_Model", bound=Model)


def written(model: _Model, *values: object) -> _Model:
    """Acknowledged writes of these values; the tokens are 1, 2, 4, ..., as are those of further writes."""
    for token, value in zip((1, 2, 4, 8, 16), values, strict=False):
        model.weigh(token, value)
        assert model.acknowledge(token, value, one(*(1 << i for i in range(token.bit_length())))) == NOTHING
    return model


def fail(model: Model, token: int, value: object) -> None:
    model.weigh(token, value)
    model.discard(token, value)


def test_sums_are_taken_modulo_two_to_the_64() -> None:
    assert Sum(2, MASK).plus(Sum(3, 2)) == Sum(5, 1)
    assert Sum(2, 1).minus(Sum(3, 2)) == Sum(-1, MASK)
    assert add_up((Sum(1, MASK), Sum(-2, 3))) == Sum(-1, 2) and add_up(()) == NOTHING == (0, 0)


def test_foreign_content_has_a_token_of_its_own() -> None:
    tokens = {foreign_token(value) for value in ("a", "b", 1, "1")}
    assert len(tokens) == 4 and all(0 < token <= MASK for token in tokens)
    assert foreign_token("a") == foreign_token("a")


@pytest.mark.parametrize(
    ("model", "weight", "state", "total", "wrong"),
    [
        (TallyModel(), Sum(1, 9), (3, 17), Sum(3, 17), [3, (3,), (3, 17, 1), [3, 17]]),
        (StatelessModel(), Sum(1, 9), (3, 17), Sum(3, 17), [3]),
        (CounterModel(), Sum(1, 0), 3, Sum(3, 0), [3.0, "3"]),
        (RegisterModel(), Sum(1, 9), "", NOTHING, []),
        (SetModel(), Sum(1, 9), (), NOTHING, ["tea", b"tea", 3]),
        (LogModel(), Sum(1, 9), (), NOTHING, ["tea", b"tea", 3]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_write_adds_one_and_a_state_is_measured_in_writes(
    model: Model, weight: Sum, state: object, total: Sum, wrong: Sequence[object]
) -> None:
    assert model.measure(state, False) == MeasuredState(total, Anomaly.NONE, ())
    assert model.weigh(9, "a") == (weight,) and model.acknowledge(9, "a", one(9)) == NOTHING
    for other in wrong:
        with pytest.raises(TypeError, match=f"a {model.name} is .* not|a tally is"):
            model.measure(other, False)


def test_models_are_made_by_name_and_the_tally_alone_is_shared() -> None:
    factories = (models.tally, models.counter, models.register, models.items, models.log, models.stateless)
    assert [make().name for make in factories] == ["tally", "counter", "register", "set", "log", "stateless"]
    assert [make() is make() for make in factories] == [True, False, False, False, False, False]


# Registers


def test_a_value_stands_for_the_history_up_to_its_latest_write() -> None:
    model = written(RegisterModel(), "a", "b", "a", "c")
    assert [model.measure(value, False).sum for value in "cba"] == [one(1, 2, 4, 8), one(1, 2), one(1, 2, 4)]
    assert model.measure("", False).sum == model.measure(0, False).sum == NOTHING
    assert model.measure("x", False).sum == one(1, 2, 4, 8).plus(Sum(0, foreign_token("x")))


@pytest.mark.parametrize("kind", ["known", "open", "failed"])
def test_a_register_knows_the_latest_64_of_each_kind_of_value(kind: str) -> None:
    model, total = RegisterModel(), NOTHING
    for number in range(1, 66):
        model.weigh(number, f"v{number}")
        total = total.plus(Sum(1, number)) if kind == "known" else total
        if kind == "known":
            model.acknowledge(number, f"v{number}", total)
        elif kind == "failed":
            model.discard(number, f"v{number}")
    oldest = model.measure("v1", False).sum
    assert oldest == total.plus(Sum(0, foreign_token("v1")))
    assert model.measure("v2", False).sum == (Sum(2, 3) if kind == "known" else Sum(1, 2))


def test_values_in_doubt_that_are_shown_were_written_in_the_order_in_which_they_appeared() -> None:
    model = written(RegisterModel(), "a")
    for token, value in ((2, "b"), (4, "c"), (8, "b")):
        model.weigh(token, value)
    assert model.measure("c", False).sum == one(1, 4)
    assert model.measure("b", False).sum == one(1, 2, 4), "the first of two"
    assert [model.measure(value, False).sum for value in "bca"] == [one(1, 2, 4), one(1, 4), one(1)], "all are known"
    assert model.acknowledge(8, "b", one(1, 2, 4, 8)) == NOTHING
    assert model.measure("b", False).sum == one(1, 2, 4, 8), "it is in doubt no more"


def test_a_value_that_failed_adds_its_write_to_all_that_is_known() -> None:
    model = written(RegisterModel(), "a", "b")
    fail(model, 4, "c")
    fail(model, 8, "c")
    assert model.measure("c", False).sum == one(1, 2, 8), "the latest"
    model.weigh(8, "c")  # retried
    assert model.measure("c", False).sum == one(1, 2, 8)
    assert model.measure("c", False).sum == one(1, 2, 8), "known from now on"
    model.weigh(16, "d")
    assert model.measure("d", False).sum == one(1, 2, 8, 16)


def test_a_known_value_whose_latest_write_failed_is_that_one_until_another_is_settled() -> None:
    model = written(RegisterModel(), "a", "b")
    fail(model, 4, "a")
    assert model.measure("a", False).sum == one(1, 2, 4)
    assert model.measure("b", False).sum == one(1, 2)
    fail(model, 8, "x")
    assert model.measure("a", False).sum == one(1), "the latest failure is another one"
    fail(model, 16, "a")
    model.weigh(32, "c")
    model.acknowledge(32, "c", one(1, 2, 32))
    assert model.measure("a", False).sum == one(1)


# Sets


def test_a_removal_takes_back_every_addition_of_its_item() -> None:
    model = SetModel()
    assert model.weigh(1, "tea") == (one(1),)
    assert model.weigh(2, Removed("tea")) == (), "not there yet"
    model.acknowledge(1, "tea", NOTHING)
    assert model.weigh(4, "tea") == (one(4),), "an item counts with each of its additions"
    model.acknowledge(4, "tea", NOTHING)
    assert model.weigh(8, Removed("tea")) == gone(1, 4) and model.weigh(16, Removed("milk")) == ()
    assert model.acknowledge(8, Removed("tea"), NOTHING) == NOTHING
    assert model.weigh(32, Removed("tea")) == ()


@pytest.mark.parametrize(
    ("state", "total"),
    [
        ({"tea", "milk"}, one(1, 2)),
        (["milk"], one(2)),
        ({"tea", "x"}, one(1, foreign_token("x"))),
        ((), NOTHING),
    ],
)
def test_a_set_is_measured_by_the_tokens_of_its_items(state: Iterable[object], total: Sum) -> None:
    assert written(SetModel(), "tea", "milk").measure(state, False) == MeasuredState(total)


def test_writes_in_doubt_are_applied_once_when_their_effect_is_shown() -> None:
    model = written(SetModel(), "tea")
    for token, value in ((2, "milk"), (4, Removed("tea")), (8, "milk")):
        model.weigh(token, value)
    assert model.measure({"tea"}, False) == MeasuredState(one(1))
    assert model.measure({"tea", "milk"}, False) == MeasuredState(one(1, 2), applied=(Applied(2, (one(2),)),))
    assert model.measure({"milk"}, False) == MeasuredState(one(2), applied=(Applied(4, gone(1)),))
    assert model.measure({"milk"}, False) == MeasuredState(one(2))
    assert model.weigh(16, Removed("milk")) == gone(2), "the second one has not been seen"


def test_an_item_that_failed_is_recognised_when_it_is_shown_and_a_later_addition_goes_before_it() -> None:
    model = written(SetModel(), "tea")
    fail(model, 2, "milk")
    fail(model, 4, "milk")
    fail(model, 8, Removed("tea"))
    assert model.measure({"tea", "milk"}, False) == MeasuredState(one(1, 2)), "the first of two"
    model.weigh(16, "milk")
    model.acknowledge(16, "milk", NOTHING)
    assert model.measure({"tea", "milk"}, False) == MeasuredState(one(1, 16))
    model.weigh(32, Removed("milk"))
    model.acknowledge(32, Removed("milk"), NOTHING)
    assert model.measure({"tea", "milk"}, False) == MeasuredState(one(1, 16)), "its removal undone"


def test_a_removal_of_what_was_missing_has_done_nothing() -> None:
    model = written(SetModel(), "tea", "milk")
    model.measure({"tea"}, False)
    assert model.weigh(4, Removed("milk")) == gone(2)
    assert model.acknowledge(4, Removed("milk"), NOTHING) == one(2)
    assert model.weigh(8, Removed("tea")) == gone(1)
    assert model.acknowledge(8, Removed("tea"), NOTHING) == NOTHING, "that was there"
    assert model.measure((), False) == MeasuredState(NOTHING)


def test_what_was_held_before_a_set_began_again_is_known_when_it_returns() -> None:
    model = written(SetModel(), "tea", "milk")
    model.measure({"tea", "milk"}, False)
    assert model.measure((), True) == MeasuredState(NOTHING)
    model.weigh(4, "tea")
    model.acknowledge(4, "tea", NOTHING)
    assert model.measure({"tea"}, False).sum == one(4), "the new addition alone"
    assert model.weigh(8, Removed("tea")) == gone(1, 4), "of the lost state, too"
    assert model.measure({"tea", "milk"}, False).sum == one(1, 2, 4), "all of them"
    assert model.measure({"tea", "milk"}, False).sum == one(1, 2, 4)


def test_a_removal_also_takes_what_a_lost_set_held() -> None:
    model = written(SetModel(), "tea", "milk")
    model.measure({"tea", "milk"}, False)
    model.measure((), True)
    model.weigh(4, Removed("tea"))
    assert model.acknowledge(4, Removed("tea"), NOTHING) == one(1)
    assert model.measure({"milk"}, False).sum == one(2), "the lost state without it"


@pytest.mark.parametrize(
    ("renewed", "state", "total"),
    [
        (False, "cd", one(4, 8)),  # two are missing, and all that is there is new
        (False, "ce", one(4, 16)),  # e is in doubt, and may be new
        (False, "bcd", one(2, 4, 8)),  # b was there before
        (True, "bcd", one(2, 4, 8)),
        (True, "d", one(8)),
    ],
)
def test_a_set_that_began_again_holds_what_is_new(renewed: bool, state: str, total: Sum) -> None:
    model = written(SetModel(), "a", "b")
    model.measure({"a", "b"}, False)
    for token, item in ((4, "c"), (8, "d"), (16, "e")):
        model.weigh(token, item)
        if item != "e":
            model.acknowledge(token, item, NOTHING)
    assert model.measure({*state}, renewed).sum == total
    back = one(1, 2, 4, 8, 16) if "e" in state else one(1, 2, 4, 8)
    assert model.measure({*"abcd", *state}, False) == MeasuredState(back), "what was lost is back"


def test_one_item_that_a_removal_in_doubt_explains_does_not_begin_a_set_again() -> None:
    for doubt, applied in ((Removed("a"), (Applied(2, gone(1)),)), ("b", ())):
        model = written(SetModel(), "a")
        model.measure({"a"}, False)
        model.weigh(2, doubt)
        assert model.measure((), False) == MeasuredState(NOTHING, applied=applied)
        assert model.measure({"a"}, False).sum == one(1)


# Logs


def test_a_log_in_order_is_measured_by_the_tokens_of_its_entries() -> None:
    for size in range(5):
        for kept in combinations(range(4), size):
            model = written(LogModel(), *"abcd")
            state = ["abcd"[place] for place in kept]
            assert model.measure(state, False) == MeasuredState(one(*(1 << place for place in kept))), state
            assert model.measure(list("abcd"), False) == MeasuredState(one(1, 2, 4, 8)), "all are back"


@pytest.mark.parametrize(
    ("shown", "total"),
    [
        ("abcc", one(1, 2, 4, 4)),
        ("aabc", one(1, 1, 2, 4)),
        ("abca", one(1, 2, 4, 1)),
        ("abcx", one(1, 2, 4, foreign_token("x"))),
        ("xbc", one(foreign_token("x"), 2, 4)),
        ("bcbc", one(2, 4, 2, 4)),
    ],
)
def test_an_entry_too_many_is_the_one_that_it_repeats(shown: str, total: Sum) -> None:
    assert written(LogModel(), *"abc").measure(list(shown), False) == MeasuredState(total)


@pytest.mark.parametrize("shown", ["acb", "bac", "cab", "cba", "bca", "ba"])
def test_an_entry_at_another_place_is_out_of_order(shown: str) -> None:
    total = one(*(1 << "abc".index(entry) for entry in shown))
    assert written(LogModel(), *"abc").measure(list(shown), False) == MeasuredState(total, Anomaly.UNEXPLAINED)


@pytest.mark.parametrize("shown", ["abc", "acb", "acbd", "abcd"])
def test_an_entry_in_doubt_is_placed_where_it_is_shown(shown: str) -> None:
    model = written(LogModel(), "a")
    model.weigh(2, "b")
    for token, value in ((4, "c"), (8, "d")):
        if value in shown:
            model.weigh(token, value)
            model.acknowledge(token, value, NOTHING)
    total = one(1, 2, 4, 8) if "d" in shown else one(1, 2, 4)
    assert model.measure(list(shown), False) == MeasuredState(total, applied=(Applied(2, (one(2),)),))
    assert model.measure(list(shown), False) == MeasuredState(total)
    assert model.acknowledge(2, "b", NOTHING) == NOTHING
    assert model.measure(list(shown), False) == MeasuredState(total), "its acknowledgement adds nothing"


def test_an_entry_in_doubt_does_not_stand_before_what_was_there_when_it_was_sent() -> None:
    model = written(LogModel(), "a")
    model.weigh(2, "b")
    assert model.measure(list("ba"), False) == MeasuredState(one(foreign_token("b"), 1))
    assert model.measure(list("ab"), False) == MeasuredState(one(1, 2), applied=(Applied(2, (one(2),)),))


def test_of_equal_entries_in_doubt_the_first_appears_first() -> None:
    model = LogModel()
    model.weigh(1, "a")
    model.weigh(2, "a")
    assert model.measure(["a"], False).applied == (Applied(1, (one(1),)),)
    assert model.measure(["a", "a"], False).applied == (Applied(2, (one(2),), has_twin=True),)


def test_a_failed_entry_is_recognised_unless_an_entry_before_it_is_repeated() -> None:
    model = written(LogModel(), "a")
    fail(model, 2, "b")
    assert model.measure(list("ab"), False) == MeasuredState(one(1, 2))
    repeated = written(LogModel(), "a")
    fail(repeated, 2, "a")
    assert repeated.measure(list("aa"), False) == MeasuredState(one(1, 1)), "the one before it is repeated"
    x = foreign_token("x")
    assert repeated.measure(list("axa"), False) == MeasuredState(one(1, x, 1)), "it is still the repeated one"
    apart = written(LogModel(), "a")
    fail(apart, 2, "a")
    assert apart.measure(list("axa"), False) == MeasuredState(one(1, x, 2))


def test_a_log_that_was_reset_has_new_entries_only() -> None:
    model = written(LogModel(), *"abc")
    model.measure(list("abc"), False)
    model.measure([], False)
    for token, value in ((8, "a"), (16, "b")):
        model.weigh(token, value)
        model.acknowledge(token, value, NOTHING)
    assert model.measure(list("ab"), False) == MeasuredState(one(8, 16))
    assert model.measure(list("abcab"), False) == MeasuredState(one(1, 2, 4, 8, 16))


@pytest.mark.parametrize(
    ("renewed", "present", "total"),
    [(False, "aa", one(1, 4)), (True, "aa", one(4)), (False, "abca", one(8))],
)
def test_one_entry_fewer_was_dropped_and_two_fewer_are_a_reset(renewed: bool, present: str, total: Sum) -> None:
    """Only ``a`` is shown of a log that ended with a new ``a``."""
    model = written(LogModel(), *present[:-1])
    model.measure(list(present[:-1]), False)
    token = 1 << len(present) - 1
    model.weigh(token, "a")
    model.acknowledge(token, "a", NOTHING)
    shown = MeasuredState(Sum(1, {"aa": 2 if renewed else 1, "abca": 8}[present]))
    assert model.measure(["a"], renewed) == shown


# Alignment


def longest(expected: Sequence[object], shown: Sequence[object]) -> int:
    """How many entries both have in the same order, by trying all parts of the shorter one."""
    short, long = sorted((expected, shown), key=len)
    for size in range(len(short), 0, -1):
        for part in combinations(short, size):
            rest = iter(long)
            if all(entry in rest for entry in part):
                return size
    return 0


def test_as_many_entries_as_possible_are_aligned_in_order() -> None:
    words = ["".join(word) for size in range(5) for word in product("ab", repeat=size)]
    for expected, shown in product([*words, "abcab", "acbca", "abcc"], [*words, "abcabc", "cacb", "cca"]):
        places = align(expected, shown)
        found = [place for place in places if place is not None]
        assert len(places) == len(shown) and found == sorted(set(found))
        assert all(place is None or expected[place] == value for place, value in zip(places, shown, strict=True))
        assert len(found) == longest(expected, shown)


@pytest.mark.parametrize(
    ("expected", "shown", "places"),
    [
        ("abab", "bab", [1, 2, 3]),
        ("aab", "ab", [0, 2]),
        ("abcde", "deabc", [None, None, 0, 1, 2]),
        ("abc", "cba", [2, None, None]),
        ("xaby", "xbay", [0, 2, None, 3]),
    ],
)
def test_of_several_alignments_the_start_and_then_the_end_decide(
    expected: str, shown: str, places: Sequence[int | None]
) -> None:
    assert align(expected, shown) == list(places)


def test_a_quarter_of_a_million_pairs_are_compared_and_the_rest_has_no_place() -> None:
    expected = [*(f"e{n}" for n in range(500)), "last", "end"]
    assert align(expected[1:], ["new"] * 498 + ["last", "other"])[498] == 499
    assert align(expected, ["new"] * 498 + ["last", "other"])[498] is None


def test_entries_are_aligned_by_what_they_say() -> None:
    expected, shown = ([f"entry {n}" for n in numbers] for numbers in ((1, 2, 3), (7, 2, 8)))
    assert align(expected, shown) == [None, 1, None]


def test_items_that_are_gone_at_once_began_again_though_removals_of_them_are_in_doubt() -> None:
    model = written(SetModel(), "tea", "milk")
    model.measure({"tea", "milk"}, False)
    model.weigh(16, Removed("tea"))
    model.weigh(32, Removed("milk"))
    assert model.measure(set(), False).applied == ()


def test_a_set_began_again_with_a_part_of_what_may_be_new() -> None:
    model = written(SetModel(), "tea", "milk")
    model.measure({"tea", "milk"}, False)
    for token, item in ((16, "bread"), (32, "salt")):
        model.weigh(token, item)
        model.acknowledge(token, item, NOTHING)
    model.weigh(64, Removed("tea"))
    assert model.measure({"bread"}, False).applied == ()
