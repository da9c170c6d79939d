"""The smallest histories of each kind, with the right verdict: what replies showed, and what was held at the end."""

import json
from collections.abc import Sequence

import pytest

from harness.observations.requests import Anomaly, Outcome
from harness.oracle import models
from harness.oracle.history import SessionHistory
from harness.oracle.judge import judge
from harness.oracle.ledger import MAX_DIVERGENCES, Ledger
from harness.oracle.models import ModelFactory, Removed, tally
from harness.oracle.observed import Observed, Tally
from harness.oracle.operations import MASK, token
from harness.oracle.verdict import SessionVerdict

OK, FAILED, IN_DOUBT = Outcome
Content = Sequence[int]


class History:
    """A session as a ledger sees it: writes by number, from 1, and what replies showed."""

    def __init__(self, model: ModelFactory = tally) -> None:
        self.ledger = Ledger(7, 1, 1, "me", model)
        self.ops: dict[int, int] = {}
        self.birth, self.boot, self.t = "b1", "r0", 0

    def shown(self, content: Content) -> Tally:
        digest = sum(token(self.ops[number]) for number in content) & MASK
        return Tally(self.birth, "me", len(content), self.ops[content[-1]] if content else 0, digest)

    def write(self, content: Content | None = None, outcome: Outcome = OK) -> Anomaly:
        """A write; its reply shows this content, or nothing."""
        self.ops[len(self.ops) + 1] = op = self.ledger.write()
        return self._settle(op, outcome, None if content is None else self.shown(content))

    def value(self, value: object, state: object = None, outcome: Outcome = OK) -> Anomaly:
        """A write of a value; its reply shows this state, or nothing."""
        op = self.ledger.write(value)
        return self._settle(op, outcome, None if state is None else Observed(None, None, state))

    def read(self, content: Content) -> Anomaly:
        return self._settle(0, OK, self.shown(content))

    def look(self, state: object) -> Anomaly:
        return self._settle(0, OK, Observed(None, None, state))

    def _settle(self, op: int, outcome: Outcome, seen: Tally | Observed | None) -> Anomaly:
        self.t += 1
        return self.ledger.settle(op, outcome, seen, self.boot, self.t)

    def end(self, content: Content) -> SessionVerdict:
        return self._judge(OK, self.shown(content))

    def finish(self, state: object) -> SessionVerdict:
        return self._judge(OK, Observed(None, None, state))

    def leave(self) -> SessionVerdict:
        """The verdict without a final read."""
        return self._judge(IN_DOUBT, None)

    def _judge(self, outcome: Outcome, seen: Tally | Observed | None) -> SessionVerdict:
        self.ledger.record_final_read(outcome, seen, self.boot, self.t + 1)
        kept = json.dumps(self.ledger.history().to_json())  # as a run keeps it
        return judge(SessionHistory.from_json(json.loads(kept)))


@pytest.fixture
def history() -> History:
    return History()


def counts(verdict: SessionVerdict) -> tuple[str, int, int, int]:
    """The outcome, and the writes that were lost, duplicated and unexplained."""
    return verdict.outcome.value, verdict.lost_writes, verdict.duplicates, verdict.unexplained


def written(history: History, count: int) -> None:
    for number in range(1, count + 1):
        assert history.write(range(1, number + 1)) is Anomaly.NONE


def test_a_replica_that_catches_up_step_by_step_is_stale(history: History) -> None:
    written(history, 2)
    assert [history.read([]), history.read([1])] == [Anomaly.LOST, Anomaly.ROLLED_BACK]
    verdict = history.end([1, 2])
    assert counts(verdict) == ("stale", 0, 0, 0) and verdict.stale and not verdict.lost


def test_a_number_that_catches_up_is_not_applied_twice() -> None:
    history = History(models.counter)
    for number in range(1, 11):
        history.value(None, number)
    history.look(3)
    history.value(None, 4)
    history.value(None, 9)
    verdict = history.finish(9)
    assert (verdict.lost_writes, verdict.duplicates, verdict.stale, verdict.outcome) == (3, 0, True, "rolled_back")


def test_a_login_that_renews_the_id_and_answers_without_a_body_loses_nothing(history: History) -> None:
    history.read([])
    history.write()
    history.birth = "b2"
    assert history.read([1]) is Anomaly.NONE
    assert counts(history.end([1])) == ("kept", 0, 0, 0)


def test_an_id_renewed_with_all_content_kept_is_no_loss(history: History) -> None:
    written(history, 5)
    history.birth = "b2"
    assert history.read(range(1, 6)) is Anomaly.NONE
    history.write(range(1, 7))
    assert counts(history.end(range(1, 7))) == ("kept", 0, 0, 0)


def test_a_renewed_id_with_part_of_the_content_is_rolled_back(history: History) -> None:
    written(history, 5)
    history.birth = "b2"
    assert history.read([1, 2, 3]) is Anomaly.ROLLED_BACK
    assert counts(history.end([1, 2, 3])) == ("rolled_back", 2, 0, 0)


@pytest.mark.parametrize("shows", [True, False])
@pytest.mark.parametrize("times", [2, 3])
def test_every_write_applied_too_often_is_counted(history: History, times: int, shows: bool) -> None:
    content: list[int] = []
    for number in range(1, 2 * MAX_DIVERGENCES):
        content += [number] * times
        history.write(content if shows else None)
    verdict = history.end(content)
    assert counts(verdict) == ("duplicated", 0, (times - 1) * (2 * MAX_DIVERGENCES - 1), 0)


@pytest.mark.parametrize("count", [MAX_DIVERGENCES, MAX_DIVERGENCES + 1, 3 * MAX_DIVERGENCES])
def test_every_write_dropped_is_counted_beyond_what_a_ledger_keeps(history: History, count: int) -> None:
    for _ in range(count):
        history.write([])
    verdict = history.end([])
    assert verdict.lost_writes == count and verdict.outcome in ("lost_writes", "lost")


def test_two_dropped_and_two_doubled_without_any_sign_are_named(history: History) -> None:
    for _ in range(10):
        history.write()
    verdict = history.end([1, 2, 2, 4, 5, 5, 6, 7, 9, 10])
    assert counts(verdict) == ("lost_writes", 2, 2, 0)


def test_more_than_can_be_explained_is_never_kept(history: History) -> None:
    for _ in range(40):
        history.write()
    content = [number for number in range(1, 41) if number % 3] + [number for number in range(1, 41) if number % 3 == 1]
    verdict = history.end(content)
    assert verdict.unexplained > 0 and verdict.outcome == "unexplained"


@pytest.mark.parametrize(("views", "outcome"), [(11, "lost_writes"), (12, "unexplained")])
def test_a_state_is_compared_with_the_twelve_before_it(history: History, views: int, outcome: str) -> None:
    content: list[int] = []
    for number in range(1, 15):
        content += [number] * (1 + number % 2)
        history.write(content)
    for length in range(20, 20 - views, -1):
        history.read(content[:length])
    history.read(content)
    assert history.end([number for number in content if number != 5]).outcome == outcome


def test_a_passing_state_without_an_explanation_is_not_kept(history: History) -> None:
    written(history, 12)
    assert history.read([1, 2, 2, 4, 5, 5, 7, 8, 8, 10, 11, 11]) is Anomaly.UNEXPLAINED
    assert history.read(range(1, 13)) is Anomaly.NONE
    assert counts(history.end(range(1, 13))) == ("unexplained", 0, 0, 1)


def test_a_refused_write_that_is_there_is_unexplained(history: History) -> None:
    history.write([1])
    history.write(outcome=FAILED)
    assert history.end([1, 2]).outcome == "unexplained"


def test_a_late_write_between_the_lost_ones_does_not_hide_the_rollback(history: History) -> None:
    written(history, 2)
    history.write(outcome=IN_DOUBT)
    history.write([1, 2, 4])
    history.write([1, 2, 4, 5])
    assert history.read([1, 2, 3, 4, 5]) is Anomaly.NONE
    verdict = history.end([1, 2])
    assert counts(verdict) == ("rolled_back", 2, 0, 0)


def test_a_late_write_in_what_is_left_does_not_hide_the_rollback(history: History) -> None:
    history.write([1])
    history.write(outcome=IN_DOUBT)
    for number in (3, 4, 5):
        history.write([1, *range(3, number + 1)])
    assert counts(history.end([1, 2])) == ("rolled_back", 3, 0, 0)


def test_a_stale_view_does_not_silence_a_rollback(history: History) -> None:
    written(history, 6)
    history.read([1, 2])
    history.read([1, 2, 3, 4, 5, 6])
    verdict = history.end([1, 2, 3, 4])
    assert counts(verdict) == ("rolled_back", 2, 0, 0) and verdict.stale


def test_a_duplicate_in_a_stale_view_is_counted(history: History) -> None:
    written(history, 3)
    history.read([1, 1])
    history.read([1, 2, 3])
    verdict = history.end([1, 2, 3])
    assert (verdict.outcome, verdict.duplicates, verdict.stale) == ("duplicated", 1, True)


def test_a_single_dropped_write_is_not_a_rollback(history: History) -> None:
    written(history, 3)
    history.write([1, 2, 3])
    verdict = history.end([1, 2, 3])
    assert counts(verdict) == ("lost_writes", 1, 0, 0) and not verdict.rolled_back


def test_two_neighbours_that_were_never_seen_are_not_a_rollback(history: History) -> None:
    written(history, 2)
    history.write()
    history.write()
    history.write([1, 2, 5])
    assert counts(history.end([1, 2, 5])) == ("lost_writes", 2, 0, 0)


def test_a_stretch_that_had_been_seen_is_a_rollback_though_its_end_was_not(history: History) -> None:
    written(history, 3)
    history.write()
    assert counts(history.end([1, 2])) == ("rolled_back", 2, 0, 0)


@pytest.mark.parametrize(("boot", "outcome"), [("r0", "lost_writes"), ("r1", "lost")])
def test_the_only_write_of_a_session_is_lost_if_another_process_answers(
    history: History, boot: str, outcome: str
) -> None:
    history.write()
    history.boot = boot
    history.write([2])
    verdict = history.end([2])
    assert (verdict.outcome, verdict.lost_writes) == (outcome, 1)


def test_a_single_write_that_had_been_seen_is_lost_when_only_newer_ones_are_there(history: History) -> None:
    history.write([1])
    history.write([2])
    (loss,) = history.end([2]).losses
    assert (loss.writes, loss.t_ns, loss.known_ns) == (1, 2, 1)


def test_a_loss_says_when_the_state_was_last_as_it_should_be(history: History) -> None:
    written(history, 3)
    history.read([1, 2, 3])
    history.boot, history.birth = "r1", "b2"
    history.write([4])
    (loss,) = history.end([4]).losses
    assert (loss.known_ns, loss.t_ns, loss.boot_before, loss.boot_after) == (4, 5, "r0", "r1")


def test_a_loss_beside_thirteen_doubts_is_known(history: History) -> None:
    written(history, 3)
    for _ in range(13):
        history.write(outcome=IN_DOUBT)
    history.birth = "b2"
    verdict = history.end([])
    assert verdict.unknown and verdict.lost and verdict.outcome == "lost" and verdict.lost_writes == 3


# Sets


def test_a_removal_in_doubt_may_be_applied_after_the_item_was_added_again() -> None:
    history = History(models.items)
    history.value(Removed("tea"), outcome=IN_DOUBT)
    history.value("tea", {"tea"})
    assert history.look(frozenset()) is Anomaly.NONE
    assert counts(history.finish(set())) == ("kept", 0, 0, 0)


def test_an_addition_in_doubt_may_be_applied_after_the_item_was_removed() -> None:
    history = History(models.items)
    history.value("tea", outcome=IN_DOUBT)
    history.value("tea", outcome=IN_DOUBT)
    assert history.look({"tea"}) is Anomaly.NONE
    history.value(Removed("tea"), set())
    assert history.look({"tea"}) is Anomaly.NONE
    assert counts(history.finish({"tea"})) == ("kept", 0, 0, 0)


def test_an_item_that_is_missing_and_then_removed_was_stale() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    assert history.look({"tea"}) is Anomaly.ROLLED_BACK
    assert history.value(Removed("milk"), {"tea"}) is Anomaly.NONE
    assert counts(history.finish({"tea"})) == ("stale", 0, 0, 0)


def test_a_removal_that_was_never_done_is_a_lost_write() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    history.value(Removed("tea"), {"tea", "milk"})
    assert counts(history.finish({"tea", "milk"})) == ("lost_writes", 1, 0, 0)


def test_a_set_before_a_removal_is_stale() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    history.value(Removed("tea"), {"milk"})
    history.look({"tea", "milk"})
    assert counts(history.finish({"milk"})) == ("stale", 0, 0, 0)


def test_a_lost_set_into_which_other_items_are_put_is_lost() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    assert history.look(set()) is Anomaly.LOST
    history.value(Removed("tea"), set())
    history.value("bread", {"bread"})
    verdict = history.finish({"bread"})
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 1)


@pytest.mark.parametrize("twice", [False, True])
def test_a_removal_in_doubt_accounts_for_an_item_that_was_missing_alone(twice: bool) -> None:
    history = History(models.items)
    history.value("milk", {"milk"})
    for _ in range(1 + twice):
        history.value("tea", {"milk", "tea"})
    assert history.look({"milk"}) is Anomaly.ROLLED_BACK
    history.value(Removed("tea"), outcome=IN_DOUBT)
    assert counts(history.finish({"milk"})) == ("stale", 0, 0, 0)


@pytest.mark.parametrize(("last", "outcome"), [({"milk", "bread"}, "stale"), ({"milk"}, "rolled_back")])
def test_a_removal_in_doubt_accounts_for_one_of_several_items_once_the_others_are_there(
    last: set[str], outcome: str
) -> None:
    history = History(models.items)
    history.value("milk", {"milk"})
    history.value("tea", {"milk", "tea"})
    history.value("bread", {"milk", "tea", "bread"})
    history.look({"milk"})
    if "bread" in last:
        history.value("bread", last)
    history.value(Removed("tea"), outcome=IN_DOUBT)
    assert history.finish(last).outcome == outcome


def test_an_item_that_is_added_again_has_not_come_back() -> None:
    def begun() -> History:
        history = History(models.items)
        for count in range(1, 5):
            history.value("abcd"[count - 1], {*"abcd"[:count]})
        history.look({*"ab"})
        history.value("c", {*"abc"})
        return history

    assert begun().leave().outcome == "unknown", "d is missing still"
    history = begun()
    history.value("d", {*"abcd"})
    assert history.leave().outcome == "stale", "nothing is missing"


def test_an_item_that_is_added_again_under_a_renewed_id_is_there() -> None:
    ledger = Ledger(7, 1, 1, "me", models.items)
    for t, item in enumerate("abc"):
        ledger.settle(ledger.write(item), OK, Observed("b1", None, {*"abc"[: t + 1]}), "r0", t)
    ledger.settle(0, OK, Observed("b1", None, {*"ab"}), "r0", 4)
    ledger.settle(0, OK, Observed("b2", None, {*"ab"}), "r0", 5)
    ledger.settle(ledger.write("c"), OK, Observed("b2", None, {*"abc"}), "r0", 6)
    ledger.record_final_read(OK, Observed("b2", None, {*"abc"}), "r0", 7)
    assert counts(judge(ledger.history())) == ("stale", 0, 0, 0)


def test_a_set_began_again_though_not_all_that_may_be_new_is_there() -> None:
    history = History(models.items)
    history.value("a", {"a"})
    history.value("b", {"a", "b"})
    history.value("c")
    history.value("d", outcome=IN_DOUBT)
    history.look({"c"})
    verdict = history.finish({"c"})
    assert (verdict.outcome, [loss.writes for loss in verdict.losses]) == ("lost", [2])


def test_a_removal_is_undone_whatever_was_stale_before() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    history.value("bread", {"tea", "milk", "bread"})
    history.look({"tea"})
    history.look({"tea", "milk", "bread"})
    history.value(Removed("tea"), {"milk", "bread"})
    history.value("salt", {"tea", "milk", "bread", "salt"})
    assert history.finish({"tea", "milk", "bread", "salt"}).outcome == "unexplained"


def test_an_item_is_there_by_the_addition_that_failed_after_its_removal() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    history.value(Removed("tea"), {"milk"})
    history.value("bread", {"milk", "bread"})
    history.value("tea", outcome=FAILED)
    history.look({"tea", "milk", "bread"})
    history.value(Removed("tea"), {"milk", "bread"})
    assert history.finish({"milk", "bread"}).outcome == "unexplained"


def test_an_addition_in_doubt_is_all_that_is_in_a_state_that_began_again() -> None:
    history = History(models.items)
    for count in range(1, 4):
        history.value("abc"[count - 1], {*"abc"[:count]})
    history.value("b", outcome=IN_DOUBT)
    history.look({"b"})
    verdict = history.finish({"b"})
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 3)


def test_a_removal_that_is_not_done_is_lost_though_an_earlier_addition_of_its_item_is_too() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.look(set())
    history.value("tea", {"tea"})
    history.value(Removed("tea"), {"tea"})
    assert history.finish({"tea"}).outcome == "lost_writes"


def test_a_removal_is_done_though_its_item_was_lost_with_the_others() -> None:
    history = History(models.items)
    history.value("tea")
    history.value("milk")
    history.value(Removed("milk"), outcome=IN_DOUBT)
    history.value(Removed("milk"))
    history.value("bread")
    history.look(set())
    history.value(Removed("tea"))
    history.value("milk")
    verdict = history.finish({"milk"})
    assert [loss.writes for loss in verdict.losses] == [1], "the bread"
    assert counts(verdict) == ("lost", 1, 0, 0)


@pytest.mark.parametrize("early", [True, False])
def test_a_removal_that_never_arrived_accuses_nobody_while_another_one_is_in_doubt(early: bool) -> None:
    history = History(models.items)
    removals = [history.ledger.write(Removed("tea"))]
    history._settle(removals[0], IN_DOUBT, None)
    if early:
        history.value(Removed("tea"), outcome=IN_DOUBT)
    history.value("milk")
    history.value("tea", {"milk", "tea"})
    if not early:
        history.value(Removed("tea"), outcome=IN_DOUBT)
    history.look({"milk"})
    history.value("tea", {"milk", "tea"})
    history.ledger.record_final_read(OK, Observed(None, None, {"milk", "tea"}), "r0", 9)
    assert judge(history.ledger.history(), {*removals}).outcome == "kept"


def test_an_item_was_missing_if_the_removal_that_seemed_to_account_for_it_never_arrived() -> None:
    history = History(models.items)
    removal = history.ledger.write(Removed("tea"))
    history._settle(removal, IN_DOUBT, None)
    history.value("milk")
    history.value("tea", {"milk", "tea"})
    assert history.look({"milk"}) is Anomaly.NONE
    history.value("bread")
    history.ledger.record_final_read(OK, Observed(None, None, {"milk", "bread", "tea"}), "r0", 9)
    assert judge(history.ledger.history(), {removal}).outcome == "stale"


def test_an_empty_set_began_again_though_a_removal_in_doubt_would_empty_an_earlier_one() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history.value("milk", {"tea", "milk"})
    history.look({"tea"})
    history.look({"tea", "milk"})
    history.value(Removed("tea"), outcome=IN_DOUBT)
    history.look(set())
    verdict = history.finish(set())
    assert (verdict.outcome, len(verdict.losses)) == ("lost", 1)


# Logs


def test_an_entry_that_may_be_one_that_failed_is_not_a_repeat() -> None:
    history = History(models.log)
    history.value("a", ["a"])
    never_arrived = history.ledger.write("a")
    history._settle(never_arrived, IN_DOUBT, None)
    history.value("a", outcome=FAILED)
    history.ledger.record_final_read(OK, Observed(None, None, ["a", "a"]), "r0", 9)
    verdict = judge(history.ledger.history(), {never_arrived})
    assert (verdict.outcome, verdict.duplicates) == ("unexplained", 0)


def test_a_passing_entry_of_nobody_is_not_kept_beside_one_that_may_be_either_of_two() -> None:
    history = History(models.log)
    history.value("x", ["x"])
    never_arrived = history.ledger.write("a")
    history._settle(never_arrived, IN_DOUBT, None)
    history.value("a", outcome=IN_DOUBT)
    assert history.look(["x", "a"]) is Anomaly.NONE
    assert history.look(["x", "a", "z"]) is Anomaly.UNEXPLAINED
    assert history.look(["x", "a"]) is Anomaly.NONE
    history.ledger.record_final_read(OK, Observed(None, None, ["x", "a"]), "r0", 9)
    assert judge(history.ledger.history(), {never_arrived}).outcome == "unexplained"


def test_an_entry_in_doubt_may_come_after_equal_ones() -> None:
    history = History(models.log)
    history.value("b", outcome=IN_DOUBT)
    history.value("a", ["a"])
    history.value("b", ["a", "b"])
    assert counts(history.finish(["a", "b"])) == ("kept", 0, 0, 0)


@pytest.mark.parametrize("state", [["b", "a", "b"], ["a", "b", "b"]])
def test_an_entry_in_doubt_may_stand_anywhere_after_what_was_there_when_it_was_sent(state: list[str]) -> None:
    history = History(models.log)
    history.value("b", outcome=IN_DOUBT)
    history.value("a")
    history.value("b", state)
    verdict = history.finish(state)
    assert counts(verdict) == ("kept", 0, 0, 0) and verdict.recovered == 1


def test_an_entry_in_doubt_may_not_stand_before_what_was_acknowledged_when_it_was_sent() -> None:
    history = History(models.log)
    history.value("a", ["a"])
    history.value("b", outcome=IN_DOUBT)
    assert history.look(["b", "a"]) is not Anomaly.NONE
    assert history.finish(["b", "a"]).outcome == "unexplained"


def test_a_log_that_began_anew_with_an_equal_entry_is_lost() -> None:
    history = History(models.log)
    for number, entry in enumerate("abcad", 1):
        history.value(entry, list("abcad"[:number]))
    history.look([])
    history.value("a", ["a"])
    history.value("x", ["a", "x"])
    verdict = history.finish(["a", "x"])
    assert (verdict.outcome, verdict.lost_writes, verdict.stale) == ("lost", 5, False)


# Registers


def test_a_value_in_doubt_may_replace_an_equal_later_one() -> None:
    history = History(models.register)
    history.value("a", "a")
    history.value("b", outcome=IN_DOUBT)
    history.value("b", "b")
    history.value("c", "c")
    assert history.look("b") is Anomaly.NONE
    assert counts(history.finish("b")) == ("kept", 0, 0, 0)


def test_a_register_shown_empty_and_then_written_is_lost() -> None:
    history = History(models.register)
    history.value("a", "a")
    assert history.look("") is Anomaly.LOST
    assert history.value("b", "b") is Anomaly.NONE
    verdict = history.finish("b")
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 1)


def test_a_register_whose_value_comes_back_was_stale() -> None:
    history = History(models.register)
    history.value("a", "a")
    history.value("b", "b")
    history.look("")
    history.look("a")
    assert counts(history.finish("b")) == ("stale", 0, 0, 0)


def test_of_two_values_in_doubt_the_first_is_not_seen_again_after_the_second() -> None:
    history = History(models.register)
    for value in "ab":
        history.value(value, outcome=IN_DOUBT)
        assert history.look(value) is Anomaly.NONE
    assert history.look("a") is Anomaly.ROLLED_BACK
    assert history.finish("a").outcome == "rolled_back"


def test_a_value_many_writes_ago_is_a_rollback() -> None:
    history = History(models.register)
    for number in range(20):
        history.value(f"v{number}", f"v{number}")
    assert counts(history.finish("v4")) == ("rolled_back", 15, 0, 0)


# Numbers


@pytest.mark.parametrize("read", [True, False])
def test_a_number_that_catches_up_was_stale_though_a_doubt_may_stand_in_for_what_it_lacked(read: bool) -> None:
    history = History(models.counter)
    history.value(None, 1)
    history.value(None, 1)
    history.value(None, outcome=IN_DOUBT)
    history.look(2)
    verdict = history.finish(2) if read else history.leave()
    assert (verdict.outcome, verdict.recovered, verdict.lost_writes) == ("stale", 0, 0)


def test_a_number_that_is_too_low_by_one_in_doubt_has_not_caught_up() -> None:
    history = History(models.counter)
    history.value(None, 1)
    history.value(None, outcome=IN_DOUBT)
    history.look(2)
    history.value(None, 2)
    assert history.leave().outcome == "unknown"


def test_a_number_that_grows_without_a_write_is_an_earlier_one() -> None:
    history = History(models.counter)
    for number in range(1, 11):
        history.value(None, number)
    history.look(0)
    history.look(4)
    verdict = history.finish(4)
    assert (verdict.outcome, verdict.lost_writes, verdict.duplicates) == ("rolled_back", 6, 0)


def test_a_number_above_all_writes_is_a_duplicate_though_a_write_was_refused() -> None:
    history = History(models.counter)
    history.value(None, 1)
    history.value(None, outcome=FAILED)
    assert counts(history.finish(2)) == ("duplicated", 0, 1, 0)


def test_of_a_number_any_write_in_doubt_may_have_appeared_but_one_that_never_arrived() -> None:
    history = History(models.counter)
    refused = history.ledger.write()
    history._settle(refused, IN_DOUBT, None)
    history.value(None, outcome=IN_DOUBT)
    history.look(1)
    history.ledger.record_final_read(OK, Observed(None, None, 1), "r0", 9)
    assert judge(history.ledger.history(), frozenset({refused})).outcome == "kept"


def test_a_number_that_each_replica_counts_for_itself_is_not_applied_twice() -> None:
    history = History(models.counter)
    for boot, state, is_write in (
        ("r2", 1, True), ("r0", 0, False), ("r2", 2, True), ("r0", 0, False), ("r1", 1, True), ("r0", 0, False),
    ):  # fmt: skip
        history.boot = boot
        history.value(None, state) if is_write else history.look(state)
    history.boot = "r1"
    verdict = history.finish(1)
    assert (verdict.lost, verdict.stale, verdict.duplicates, verdict.lost_writes) == (True, True, 0, 2)


def test_a_number_that_began_anew_is_lost() -> None:
    history = History(models.counter)
    for number in range(1, 6):
        history.value(None, number)
    history.value(None, 1)
    history.value(None, 2)
    verdict = history.finish(2)
    assert (verdict.outcome, verdict.lost_writes, verdict.stale) == ("lost", 5, False)


def test_doubts_that_were_counted_while_a_number_caught_up_are_in_doubt_again() -> None:
    history = History(models.counter)
    for number in range(1, 6):
        history.value(None, number)
    history.value(None, outcome=IN_DOUBT)
    assert [history.look(number) is Anomaly.NONE for number in (3, 4, 5)] == [False, True, True]
    verdict = history.finish(5)
    assert (verdict.outcome, verdict.recovered, verdict.duplicates) == ("stale", 0, 0)


def test_an_item_that_is_added_again_does_not_keep_a_set_that_was_lost() -> None:
    session = History(models.items)
    session.value("a", {"a"})
    session.value("b", {"a", "b"})
    session.value("a", {"a"})  # all that is there may be new
    assert session.finish({"a"}).outcome == "lost"


def test_an_item_that_was_dropped_and_added_again_was_stale() -> None:
    session = History(models.items)
    session.value("a", {"a"})
    session.value("b")
    session.look({"a"})
    session.value("b", {"a", "b"})
    assert session.finish({"a", "b"}).outcome == "stale"


def test_a_set_that_goes_back_across_a_removal_is_rolled_back() -> None:
    session = History(models.items)
    for value, state in (("a", "a"), ("b", "ab"), (Removed("a"), "b"), ("c", "bc"), ("d", "bcd")):
        session.value(value, set(state))
    session.look(set("ab"))
    assert session.finish(set("ab")).outcome == "rolled_back"


def test_a_removal_in_doubt_may_have_removed_what_is_missing() -> None:
    session = History(models.items)
    session.value("a", {"a"})
    session.value("b", {"a", "b"})
    session.look({"a"})
    session.value(Removed("b"), None, IN_DOUBT)
    assert session.finish({"a"}).outcome == "stale"


def test_a_renewed_id_keeps_a_set_whose_items_were_added_long_ago() -> None:
    session = History(models.items)
    for item in "abc":
        session.value(item)
    session.ledger.settle(0, OK, Observed("b1", None, set("abc")), "r0", 90)
    session.value("d")
    session.ledger.settle(0, OK, Observed("b2", None, set("abcd")), "r0", 91)
    assert session.finish(set("abcd")).outcome == "kept"


def test_a_log_that_went_back_takes_the_next_entries_for_new_ones() -> None:
    session = History(models.log)
    for value, state in (("a", "a"), ("b", "ab"), ("c", "abc"), ("b", "abcb")):
        session.value(value, list(state))
    session.look(list("ab"))
    session.value("b")
    session.value("c", list("abbc"))
    verdict = session.finish(list("abbc"))
    assert (verdict.outcome, verdict.lost_writes) == ("rolled_back", 2)


def test_a_log_whose_forked_copy_had_equal_entries_has_lost_those_of_the_copy() -> None:
    session = History(models.log)
    for value, state in (("a", "a"), ("b", "ab"), ("d", "ad"), ("e", "ade"), ("e", "adee")):
        session.value(value, list(state))
    session.look(list("ab"))
    session.value("e", list("abe"))
    verdict = session.finish(list("abe"))
    assert (verdict.outcome, verdict.lost_writes) == ("rolled_back", 3)


def test_a_register_that_was_empty_and_shows_its_old_value_again_was_stale() -> None:
    session = History(models.register)
    session.value("a", "a")
    session.value("b", "b")
    session.look("")
    session.value("c", "c")
    session.look("b")
    session.value("d", "d")
    assert session.finish("d").outcome == "stale"


def test_a_number_that_restarted_and_counts_one_twice_was_lost() -> None:
    session = History(models.counter)
    for number in (1, 2, 3, 4):
        session.value(None, number)
    session.look(0)
    session.value(None, 1)
    session.look(2)
    assert session.finish(2).outcome == "lost"


def test_a_number_that_fell_stays_behind_when_a_write_in_doubt_appears() -> None:
    session = History(models.counter)
    for number in (1, 2, 3, 4):
        session.value(None, number)
    session.look(1)
    session.value(None, None, IN_DOUBT)
    session.value(None, 3)
    verdict = session.finish(3)
    assert (verdict.outcome, verdict.lost_writes) == ("rolled_back", 3)


@pytest.mark.parametrize("model", [models.items, models.log])
def test_a_list_that_keeps_the_newest_entries_loses_writes_and_not_the_session(model: ModelFactory) -> None:
    session = History(model)
    values = list("abcdefgh")
    for number, value in enumerate(values, 1):
        session.value(value)
        session.look(values[max(0, number - 5) : number])
    verdict = session.finish(values[3:])
    assert (verdict.outcome, verdict.lost, verdict.lost_writes) == ("lost_writes", False, 3)


@pytest.mark.parametrize("shown", [20_000, 1_796_047_262, 2_000_000_000])
def test_a_number_that_is_no_count_of_the_writes_is_unexplained(shown: int) -> None:
    """Such as a time, or the count of all sessions: no memory holds so many writes."""
    session = History(models.counter)
    session.value(None, 1)
    session.look(shown)
    session.value(None, shown + 1)
    verdict = session.finish(shown + 1)
    assert (verdict.outcome, verdict.duplicates, verdict.lost_writes) == ("unexplained", 0, 0)
    assert 0 < verdict.unexplained < 100_000


def test_a_number_that_is_no_count_of_the_writes_is_unexplained_beyond_what_a_ledger_keeps() -> None:
    session = History(models.counter)
    for number in range(1, 2 * MAX_DIVERGENCES):
        session.value(None, number * 10**5)
    verdict = session.finish(number * 10**5)
    assert (verdict.outcome, verdict.duplicates) == ("unexplained", 0)


def test_a_number_below_zero_has_lost_no_more_than_all_writes() -> None:
    session = History(models.counter)
    session.value(None, 1)
    session.value(None, 2)
    verdict = session.finish(-5)
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 2)


@pytest.mark.parametrize("final", [Observed(), Observed(birth="b1"), Observed(owner="me")])
def test_a_final_read_that_no_longer_shows_the_state_leaves_the_session_unknown(final: Observed) -> None:
    session = History(models.counter)
    for number in (1, 2):
        session._settle(session.ledger.write(), OK, Observed("b1", "me", number))
    verdict = session._judge(OK, final)
    assert (verdict.outcome, verdict.unknown) == ("unknown", True)


def test_a_final_read_that_shows_another_birth_alone_proves_the_loss() -> None:
    session = History(models.counter)
    session._settle(session.ledger.write(), OK, Observed("b1", "me", 1))
    verdict = session._judge(OK, Observed(birth="b2"))
    assert (verdict.outcome, verdict.unknown) == ("lost", False)


@pytest.mark.parametrize(("outcome", "is_idle"), [(OK, False), (FAILED, True), (IN_DOUBT, True), (None, True)])
def test_a_session_is_idle_without_an_acknowledged_write(outcome: Outcome | None, is_idle: bool) -> None:
    for model in (models.counter, models.stateless):
        session = History(model)
        if outcome is not None:
            session.value(None, None, outcome)
        verdict = session.finish(int(outcome is OK)) if model is models.counter else session.leave()
        assert verdict.is_idle is (is_idle and model is models.counter)


@pytest.mark.parametrize("model", [models.items, models.log])
def test_each_device_of_a_session_is_judged_by_what_it_wrote(model: ModelFactory) -> None:
    first, second = History(model), History(model)
    second.ledger = Ledger(7, 2, 2, "me", model)
    first.ledger.shared = second.ledger.shared = {}
    first.value("a1")
    second.value("b1", ["a1", "b1"])
    first.value("a2", ["a1", "b1", "a2"])
    second.value("b2", ["a1", "b1", "a2"])  # dropped
    assert counts(first.finish(["a1", "b1", "a2"])) == ("kept", 0, 0, 0)
    assert counts(second.finish(["a1", "b1", "a2"])) == ("lost_writes", 1, 0, 0)


def test_what_no_device_of_a_session_wrote_is_unexplained() -> None:
    session = History(models.items)
    session.ledger.shared = {"b": {2}}
    session.value("a", ["a", "b", "x"])
    assert session.finish(["a", "b", "x"]).outcome == "unexplained"
    with pytest.raises(TypeError, match="a set is a collection"):
        session.look("ab")


def test_what_was_lost_was_last_on_the_replica_that_acknowledged_the_newest_of_it(history: History) -> None:
    history.write([1])
    history.boot = "r2"
    history.write()
    history.birth, history.boot = "b2", "r1"
    history.read([])
    (loss,) = history.end([]).losses
    assert (loss.boot_before, loss.boot_after, loss.writes) == ("r2", "r1", 2)
