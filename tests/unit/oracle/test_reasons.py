"""The reasons of a verdict, as sentences."""

import pytest

from harness.observations.requests import Anomaly, Outcome
from harness.oracle import models
from harness.oracle.judge import judge
from harness.oracle.ledger import MAX_DIVERGENCES, Ledger
from harness.oracle.observed import Observed
from tests.unit.oracle.test_minimal_histories import FAILED, IN_DOUBT, OK, History, written

S = 10**9


@pytest.fixture
def history() -> History:
    return History()


def test_a_session_that_was_kept_needs_no_reason(history: History) -> None:
    written(history, 3)
    assert history.end([1, 2, 3]).why == ()


def test_a_loss_is_described_with_its_births_boots_and_writes(history: History) -> None:
    history.t = 2 * S - 1
    history.write([1])
    history.t, history.birth, history.boot = 3 * S + S // 2 - 1, "b2", "r1"
    history.write([2])
    assert history.end([2]).why == (
        "At 3.500 s: the state of birth b1 (boot r0) had given way to one with birth b2 (boot r1); it did not return, "
        "and 1 write went with it.",
    )


def test_a_loss_under_the_same_birth_left_nothing(history: History) -> None:
    written(history, 2)
    history.read([])
    assert history.end([]).why == (
        "At 0.000 s: the state of birth b1 (boot r0) had given way to one with nothing in it (boot r0); it did not "
        "return, and 2 writes went with it.",
    )


def test_writes_that_went_together_are_one_stretch_and_others_are_named_alone(history: History) -> None:
    written(history, 8)
    history.read([1, 3, 4, 5, 6, 7, 8])
    assert history.end([1, 3, 4, 5]).why == (
        "Writes 6 to 8 were acknowledged, and are gone together at the final read: rolled back.",
        "Write 2 was acknowledged, and is absent at the final read.",
    )


def test_a_stretch_with_a_gap_lists_its_writes(history: History) -> None:
    written(history, 3)
    history.write(outcome=FAILED)
    history.write([1, 2, 3, 5])
    assert "Writes 2, 3, 5 were acknowledged" in history.end([1]).why[0]


def test_a_write_that_had_appeared_and_is_gone_is_named(history: History) -> None:
    history.write([1])
    history.write(outcome=IN_DOUBT)
    history.read([1, 2])
    assert "Write 2 was in doubt, had appeared, and is gone again: below what was seen." in history.end([1]).why


def test_duplicates_and_recoveries_are_counted(history: History) -> None:
    history.write([1])
    history.write(outcome=IN_DOUBT)
    history.read([1, 1, 2])
    assert history.end([1, 1, 2]).why == (
        "1 write applied once too often.",
        "1 write in doubt appeared later: recovered, which is legal.",
    )
    several = History()
    for _ in range(2):
        several.write(outcome=IN_DOUBT)
    several.write([1, 2, 3])
    assert several.end([1, 2, 3, 3, 3]).why == (
        "2 writes applied once too often.",
        "2 writes in doubt appeared later: recovered, which is legal.",
    )


def test_what_cannot_be_there_is_named_with_its_evidence(history: History) -> None:
    history.write([1])
    history.write(outcome=FAILED)
    history.write(outcome=IN_DOUBT)
    history.ledger.record_final_read(OK, history.shown([1, 2, 3]), "r0", 9)
    sign = "a defect of the design or of the evidence."
    assert judge(history.ledger.history(), {history.ops[3]}).why[-2:] == (
        f"Write 2 is there although it failed: {sign}",
        f"Write 3 is there although the balancer's log says it never reached a replica: {sign}",
    )


def test_leaks_and_forced_logins_are_noted_with_their_time(history: History) -> None:
    history.write([1])
    history.t, history.boot = 10**6 * S, "r2"
    history._settle(0, OK, history.shown([1])._replace(owner="you"))
    history.ledger.record_forced_login(2 * 10**6 * S, "")
    assert history.end([1]).why == (
        "At 1000000.000 s: the reply showed another owner's session (boot r2).",
        "At 2000000.000 s: the session was sent back to the login.",
    )


def test_staleness_is_noted_where_it_ended(history: History) -> None:
    written(history, 3)
    history.read([1])
    history.t = 4 * S - 1
    history.read([1, 2, 3])
    assert history.end([1, 2, 3]).why == (
        "At 4.000 s: acknowledged writes that had been absent were there again: what lay between was stale (boot r0).",
    )


def test_staleness_beyond_the_notes_is_counted(history: History) -> None:
    written(history, 2)
    for _ in range(8):
        history._settle(0, OK, history.shown([1, 2])._replace(owner="you"))
    for _ in range(2):
        history.read([1])
        history.read([1, 2])
    why = history.end([1, 2]).why
    assert len(why) == 9 and why[-1] == "Acknowledged writes were absent and came back 2 times."


def test_changes_that_the_ledger_forgot_are_counted() -> None:
    history = History()
    for life in range(MAX_DIVERGENCES + 3):
        history.birth = f"b{life}"
        history.write([life + 1])
    assert "2 earlier changes of the state are not listed one by one." in history.end([history.t]).why


def test_a_number_does_not_say_which_writes() -> None:
    history = History(models.counter)
    history.value(None, 1)
    assert history.finish(1).why == ()
    history.look(2)
    assert history.finish(2).why[-1] == "A counter does not show which writes."


def test_a_log_in_another_order_is_counted_by_reply() -> None:
    history = History(models.log)
    for number, entry in enumerate("abc", 1):
        history.value(entry, list("abc"[:number]))
    history.look(list("cba"))
    assert "1 replies showed acknowledged writes in another order." in history.finish(list("abc")).why


def test_what_no_explanation_accounts_for_is_said(history: History) -> None:
    for _ in range(3):
        history.write()
    shown = history.shown([1, 2, 3])
    history._settle(0, OK, shown._replace(digest=shown.digest + 1))
    history.ledger.record_final_read(OK, shown._replace(digest=shown.digest + 1), "r0", 9)
    verdict = judge(history.ledger.history())
    assert verdict.why == (
        "A state was shown that no single explanation of lost, repeated and recovered writes accounts for.",
    )


def test_what_went_in_a_view_that_nothing_explains_is_missing_nevertheless(history: History) -> None:
    written(history, 3)
    shown = history.shown([1, 2, 3])
    assert history._settle(0, OK, shown._replace(digest=shown.digest + 1)) is Anomaly.UNEXPLAINED
    assert history.end([1, 2]).why[0] == "Write 3 was acknowledged, and is absent at the final read."


def test_without_a_final_read_what_is_lacking_is_not_known(history: History) -> None:
    history.write([1])
    history.ledger.record_final_read(IN_DOUBT, None, "", 9)
    assert judge(history.ledger.history()).why == (
        "The final read did not show the session's state: what it lacks is not known.",
    )


def test_a_service_that_keeps_nothing_is_judged_by_each_reply() -> None:
    ledger = Ledger(7, 1, 1, "me", models.stateless)
    assert ledger.settle(ledger.write(), Outcome.OK, None, "r0", 1) is Anomaly.NONE
    verdict = judge(ledger.history())
    assert (verdict.outcome, verdict.unknown) == ("kept", False)
    assert verdict.why == ("The service keeps nothing of the session: its replies were judged one by one.",)


@pytest.mark.parametrize(("doubts", "unknown"), [(12, False), (13, True)])
def test_more_than_twelve_doubts_are_too_many(history: History, doubts: int, unknown: bool) -> None:
    for _ in range(doubts):
        history.write(outcome=IN_DOUBT)
    verdict = history.end([])
    assert verdict.unknown is unknown and verdict.in_doubt == doubts
    assert verdict.why == (
        (f"{doubts} writes are in doubt, more than the 12 that can be distinguished.",) if unknown else ()
    )


def test_of_observed_states_the_birth_may_be_unknown() -> None:
    history = History(models.items)
    history.value("tea", {"tea"})
    history._settle(0, OK, Observed(None, None, set()))
    assert (
        history.finish(set())
        .why[0]
        .startswith("At 0.000 s: the state of birth  (boot r0) had given way to one with nothing")
    )


def test_staleness_that_was_noted_is_not_counted_again(history: History) -> None:
    written(history, 2)
    history._settle(0, OK, history.shown([1, 2])._replace(owner="you"))
    history.read([1])
    history.read([1, 2])
    assert [reason.partition(": ")[2][:9] for reason in history.end([1, 2]).why] == ["the reply", "acknowled"]
