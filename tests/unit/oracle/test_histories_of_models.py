"""The smallest histories in which a number, a set, a log or a register looks like something that it is not."""

from collections.abc import Iterable

import pytest

from harness.observations.requests import Outcome
from harness.oracle import models
from harness.oracle.judge import judge
from harness.oracle.models import ModelFactory, Removed
from harness.oracle.observed import Observed
from harness.oracle.operations import operation
from harness.oracle.verdict import SessionVerdict
from tests.unit.oracle.test_minimal_histories import History, counts

OK, FAILED, IN_DOUBT = Outcome


def refused(history: History, *writes: int) -> SessionVerdict:
    """The verdict if a balancer's log says that these writes never reached a replica."""
    return judge(history.ledger.history(), frozenset(operation(7, 1, number) for number in writes))


def of(model: ModelFactory, *written: object) -> History:
    """A session whose set or log received these values, each shown by the reply."""
    history, shown = History(model), list[object]()
    for value in written:
        shown.append(value)
        history.value(value, list(shown))
    return history


def look_under(history: History, birth: str, state: Iterable[object] | int) -> None:
    history.t += 1
    state = state if isinstance(state, int) else list(state)
    history.ledger.settle(0, OK, Observed(birth, "me", state), "r0", history.t)


def counted(*numbers: int) -> History:
    """A session whose writes each raised a number, as their replies showed."""
    history = History(models.counter)
    for number in numbers:
        history.value(None, number)
    return history


# A log


def test_a_repeated_entry_is_still_the_same_one_in_the_next_reply() -> None:
    history = of(models.log, "a")
    history.value("b", ["a", "b", "b"])
    history.value("b", ["a", "b", "b", "b"])
    history.value("c", ["a", "b", "b", "b", "c"])
    assert counts(history.finish(["a", "b", "b", "b", "c"])) == ("duplicated", 0, 1, 0)


def test_an_entry_that_never_arrived_is_not_there_where_an_equal_one_was_applied_twice() -> None:
    history = of(models.log, "a")
    history.value("d", outcome=IN_DOUBT)
    history.value("d", ["a", "d", "d"])
    assert counts(history.finish(["a", "d", "d"])) == ("kept", 0, 0, 0)
    assert counts(refused(history, 2)) == ("duplicated", 0, 1, 0)


def test_an_entry_that_never_arrived_is_not_there_if_equal_ones_in_doubt_are_enough() -> None:
    history = of(models.log, "a")
    history.value("e", outcome=IN_DOUBT)
    history.value("e", outcome=IN_DOUBT)
    history.look(["a", "e"])
    history.value("e", outcome=IN_DOUBT)
    assert history.finish(["a", "e", "e"]).outcome == "kept"
    assert [refused(history, number).outcome for number in (2, 3, 4)] == ["kept"] * 3
    assert refused(history, 2, 3).outcome != "kept" and refused(history, 2, 3, 4).outcome != "kept"


def test_a_log_that_catches_up_does_not_hold_an_entry_in_doubt_before_what_it_lacked() -> None:
    history = of(models.log, "a", "b", "e")
    history.look(["a"])
    history.value("e", outcome=IN_DOUBT)
    history.look(["a", "b"])
    assert counts(history.finish(["a", "b", "e", "e"])) == ("stale", 0, 0, 0)


def test_a_log_that_began_again_holds_none_of_its_old_entries() -> None:
    history = of(models.log, "b", "x", "c")
    history.value("y", ["y"])
    history.value("b", outcome=FAILED)
    history.look(["y", "b"])
    verdict = history.finish(["y", "b"])
    assert counts(verdict) == ("lost", 3, 0, 1)  # the write that failed is there


def test_a_log_that_began_again_may_hold_a_new_entry_twice() -> None:
    history = of(models.log, "b", "x", "c")
    history.look([])
    history.value("y", ["y"])
    history.value("c", ["y", "c", "c"])
    assert counts(history.finish(["y", "c", "c"])) == ("lost", 3, 1, 0)


def test_an_entry_that_failed_cannot_stand_before_what_was_there_when_it_was_sent() -> None:
    history = of(models.log, "d", "w", "c")
    history.value("d", outcome=FAILED)
    assert counts(history.finish(["d", "w", "d", "c"])) == ("duplicated", 0, 1, 0)
    assert counts(history.finish(["d", "w", "c", "d"]))[0] == "unexplained"


def test_a_log_that_returns_to_its_first_copy_has_lost_the_entries_of_the_second() -> None:
    history = of(models.log, "a", "b", "c")
    history.value("d", ["a", "b", "d"])
    history.value("c", ["a", "b", "d", "c"])
    history.value("e", ["a", "b", "c", "e"])
    assert counts(history.finish(["a", "b", "c", "e"])) == ("rolled_back", 2, 0, 0)


# A number


def test_a_number_below_what_was_seen_in_doubt_is_rolled_back() -> None:
    history = History(models.counter)
    history.value(None, outcome=IN_DOUBT)
    history.look(1)
    history.look(0)
    history.value(None, 1)
    assert counts(history.finish(1)) == ("rolled_back", 0, 0, 0)


def test_a_number_that_restarted_where_every_write_counts_twice_was_lost() -> None:
    history = counted(1, 3, 5, 7)
    history.value(None)
    history.look(2)
    history.value(None, 4)
    assert (history.finish(4).outcome, history.finish(4).lost) == ("lost", True)


def test_a_number_that_began_again_holds_all_its_new_writes_before_any_old_one() -> None:
    history = History(models.counter)
    look_under(history, "b1", 0)
    for _ in range(3):
        history.value(None)
    history.value(None, outcome=IN_DOUBT)
    look_under(history, "b1", 3)
    for _ in range(2):
        history.value(None)
    look_under(history, "b2", 3)
    verdict = history.finish(3)
    assert (*counts(verdict), verdict.recovered) == ("lost", 3, 0, 0, 1)


def test_a_number_that_was_too_high_counted_the_newest_write_again_also_if_it_has_fallen() -> None:
    history = History(models.counter)
    history.value(None, outcome=IN_DOUBT)
    history.look(3)
    history.value(None, outcome=IN_DOUBT)
    assert counts(history.finish(2)) == ("duplicated", 0, 2, 0)


def test_a_number_falls_by_its_newest_writes_and_not_by_those_counted_twice_before() -> None:
    history = counted(1, 2, 4, 5, 6)
    history.look(4)
    assert counts(history.finish(4)) == ("rolled_back", 2, 1, 0)


def test_a_number_that_catches_up_does_not_count_a_write_that_never_arrived() -> None:
    history = counted(1, 2)
    history.value(None, outcome=IN_DOUBT)
    history.look(1)
    history.look(2)
    history.finish(2)
    assert counts(refused(history, 3)) == ("stale", 0, 0, 0)


def test_a_number_that_counts_a_write_that_never_arrived_counts_another_twice() -> None:
    history = counted(1)
    history.value(None, outcome=IN_DOUBT)
    history.value(None, 3)
    history.value(None)
    history.finish(3)
    assert counts(refused(history, 2))[:3] == ("duplicated", 0, 1)


# A set


def test_a_set_as_it_was_before_is_stale_though_an_addition_in_doubt_would_fit() -> None:
    history = of(models.items, "e")
    history.value("e", outcome=IN_DOUBT)
    history.value("a", ["a", "e"])
    history.value(Removed("e"), ["a"])
    history.value("f", ["a", "f"])
    history.look(["a", "e"])
    assert counts(history.finish(["a", "f"])) == ("stale", 0, 0, 0)


@pytest.mark.parametrize("added_again", [False, True])
def test_a_removal_that_failed_and_yet_was_done_is_unexplained(added_again: bool) -> None:
    history = of(models.items, "a", "e")
    history.value(Removed("e"), outcome=FAILED)
    history.look(["a"])
    if added_again:
        history.value("e", ["a", "e"])
    verdict = history.finish(["a", "e"] if added_again else ["a"])
    assert counts(verdict) == ("unexplained", 0, 0, 1) and (verdict.in_doubt, verdict.recovered) == (0, 0)


def test_a_removal_that_failed_does_not_explain_that_a_later_addition_is_gone() -> None:
    history = of(models.items, "a", "e")
    history.value(Removed("e"), outcome=FAILED)
    history.value("e", ["a", "e"])
    history.look(["a"])
    assert counts(history.finish(["a"])) == ("rolled_back", 2, 0, 0)  # the item stood for both additions


def test_a_removal_that_never_arrived_does_not_explain_that_its_item_is_gone() -> None:
    history = of(models.items, "a", "e", "c")
    history.value(Removed("e"), outcome=IN_DOUBT)
    history.look(["a", "c"])
    assert history.finish(["a", "c"]).outcome == "kept"
    assert counts(refused(history, 4)) == ("lost_writes", 1, 0, 0)


def test_a_removal_in_doubt_does_not_explain_that_its_item_was_gone_with_others_before() -> None:
    history = of(models.items, "a", "e", "c")
    history.look(["a"])
    history.value(Removed("e"), outcome=IN_DOUBT)
    assert counts(history.finish(["a"])) == ("rolled_back", 2, 0, 0)


def test_an_item_whose_removal_is_undone_was_not_put_there_by_an_addition_sent_later() -> None:
    history = of(models.items, "a", "h")
    history.value(Removed("h"), ["a"])
    history.value("c", ["a", "c"])
    history.value("x", ["a", "h", "x"])
    history.value("h", outcome=IN_DOUBT)
    history.look(["a", "h", "x"])
    verdict = history.finish(["a", "h", "x"])
    assert counts(verdict)[:2] == ("rolled_back", 2) and verdict.recovered == 0


def test_an_item_that_is_there_after_its_removal_may_have_been_added_by_a_write_in_doubt() -> None:
    history = of(models.items, "a")
    history.value("g", outcome=IN_DOUBT)
    history.value("g", ["a", "g"])
    history.value(Removed("g"), ["a", "g"])
    assert counts(history.finish(["a", "g"])) == ("kept", 0, 0, 0)


def test_a_forked_set_that_returns_has_lost_what_the_other_copy_took() -> None:
    history = of(models.items, "b", "c", "g")
    history.value(Removed("g"), ["b", "c"])
    history.value("f", ["b", "c", "f", "g"])
    history.value("e", ["b", "c", "e", "f", "g"])
    history.value("x", ["b", "c", "x"])
    assert counts(history.finish(["b", "c", "x"])) == ("rolled_back", 2, 0, 0)


def test_a_set_without_a_final_read_was_stale_if_its_removal_was_undone_for_a_while() -> None:
    history = of(models.items, "a", "h")
    history.value(Removed("h"), ["a"])
    history.value("x", ["a", "h", "x"])
    history.value(Removed("h"), ["a", "x"])
    history.value("y", ["a", "x", "y"])
    assert judge(history.ledger.history()).outcome == "stale"


def test_a_set_under_a_renewed_id_that_lacks_new_items_only_is_not_lost() -> None:
    history = History(models.items)
    look_under(history, "b1", [])
    for item in ("g", "k"):
        history.value(item)
    look_under(history, "b1", ["g", "k"])
    for item in ("h", "f", "a"):
        history.value(item)
    look_under(history, "b2", ["a", "g", "k"])
    assert counts(history.finish(["a", "g", "k"])) == ("lost_writes", 2, 0, 0)


def test_a_set_that_was_lost_is_not_there_again_because_some_of_its_items_were_added_again() -> None:
    history = History(models.items)
    look_under(history, "b1", [])
    for item in "abc":
        history.value(item)
    look_under(history, "b1", list("abc"))
    history.value("a")
    history.value("b")
    look_under(history, "b2", "ab")
    verdict = history.finish(["a", "b"])
    assert (verdict.outcome, verdict.lost, verdict.lost_writes) == ("lost", True, 3)


# A register


def test_a_register_that_was_lost_and_is_stale_later_was_lost() -> None:
    history = of(models.register)
    for value in ("a", "b"):
        history.value(value, value)
    history.look("")
    for value in ("c", "d", "e"):
        history.value(value, value)
    history.look("d")
    history.value("f", "f")
    verdict = history.finish("f")
    assert (verdict.outcome, verdict.stale, verdict.lost) == ("lost", True, True)
