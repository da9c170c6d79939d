"""A ledger keeps a bounded part of its session: exactly how much, and what it says of the rest."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from harness.observations.identity import Change, IdentityChange
from harness.observations.requests import Anomaly
from harness.oracle import models
from harness.oracle.judge import judge
from harness.oracle.ledger import MAX_BOOTS, MAX_DIVERGENCES, MAX_KEPT, MAX_NOTES, Ledger
from harness.oracle.models import ModelFactory, Removed, Sum
from harness.oracle.observed import NO_STATE, Observed
from harness.oracle.operations import MASK, operation, token
from harness.oracle.reconstruction import Reconstruction
from tests.unit.oracle.test_minimal_histories import FAILED, IN_DOUBT, OK, History, written


@pytest.fixture
def history() -> History:
    return History()


def test_the_bounds_of_what_is_kept() -> None:
    assert (MAX_DIVERGENCES, MAX_KEPT, MAX_BOOTS, MAX_NOTES) == (32, 64, 16, 8)


def test_the_latest_boots_are_kept_and_only_where_they_change(history: History) -> None:
    for number in range(1, 20):
        for boot in (f"r{number}", f"r{number}"):
            history.boot = boot
            history.write()
    boots = history.ledger.history().acked_boots
    assert len(boots) == 16
    assert (boots[0].boot, boots[-1].boot) == ("r4", "r19")
    assert (boots[0].t_ns, boots[0].i) == (7, 7), "the first of its two writes"


def test_the_first_eight_notes_are_kept_and_every_leak_counted(history: History) -> None:
    history.write([1])
    for _ in range(9):
        assert history._settle(0, OK, history.shown([1])._replace(owner="you")) is Anomaly.LEAKED
    kept = history.ledger.history()
    assert (len(kept.notes), kept.leaked) == (8, 9)
    assert (kept.notes[0].t_ns, kept.notes[-1].t_ns) == (2, 9)


@pytest.mark.parametrize(("count", "forgot"), [(64, False), (65, True)])
def test_64_writes_in_doubt_are_kept(history: History, count: int, forgot: bool) -> None:
    for _ in range(count):
        history.write(outcome=IN_DOUBT)
    kept = history.ledger.history()
    assert kept.in_doubt == tuple(range(count - 63, count + 1)) and kept.forgot is forgot


@pytest.mark.parametrize(("count", "forgot"), [(64, False), (65, True)])
def test_64_writes_set_aside_are_kept(history: History, count: int, forgot: bool) -> None:
    for _ in range(count):
        history.ledger.write()
        history.ledger.set_aside()
    kept = history.ledger.history()
    assert kept.in_doubt == tuple(range(count - 63, count + 1)) and kept.forgot is forgot


@pytest.mark.parametrize(("count", "forgot"), [(64, False), (65, True)])
def test_64_runs_of_failures_are_kept(history: History, count: int, forgot: bool) -> None:
    for _ in range(count):
        for outcome in (FAILED, FAILED, OK):
            history.write(outcome=outcome)
    kept = history.ledger.history()
    assert (len(kept.failed), kept.forgot) == (64, forgot)
    assert kept.failed[-1] == (3 * count - 2, 3 * count - 1)
    assert kept.failed[0] == (3 * (count - 64) + 1, 3 * (count - 64) + 2)


@pytest.mark.parametrize(("count", "forgot"), [(64, False), (65, True)])
def test_64_recoveries_are_kept(history: History, count: int, forgot: bool) -> None:
    for number in range(1, count + 1):
        history.write(outcome=IN_DOUBT)
        assert history.read(range(1, number + 1)) is Anomaly.NONE
    kept = history.ledger.history()
    assert [recovery.i for recovery in kept.recovered] == list(range(count - 63, count + 1))
    assert kept.forgot is forgot


@pytest.mark.parametrize(("lives", "dropped"), [(33, 0), (34, 1)])
def test_32_divergences_are_kept(history: History, lives: int, dropped: int) -> None:
    for life in range(1, lives + 1):
        history.birth = f"b{life}"
        history.write([life])
    kept = history.ledger.history()
    assert (len(kept.divergences), kept.divergences_dropped) == (32, dropped)
    assert kept.divergences[-1].birth_after == f"b{lives}"


@pytest.mark.parametrize(("changes", "first", "second"), [(24, 0, 1), (25, 0, 2), (40, 0, 17)])
def test_the_first_and_the_latest_changes_of_identity_are_kept(changes: int, first: int, second: int) -> None:
    ledger = Ledger(7, 1, 1, "me")
    for number in range(changes):
        ledger.note_identity(IdentityChange(number, Change.SET, "cookie sid"))
    kept = [change.t_ns for change in ledger.identity]
    assert (len(kept), kept[0], kept[1], kept[-1]) == (24, first, second, changes - 1)


def test_a_forgotten_divergence_leaves_what_its_reply_did_with_its_own_write(history: History) -> None:
    content: list[int] = []
    for number in range(1, MAX_DIVERGENCES + 4):
        content += [number] * 3
        history.write(content)
    kept = history.ledger.history()
    assert (kept.divergences_dropped, kept.duplicated, kept.omitted, kept.obscure) == (3, 6, 0, 0)


def test_a_forgotten_divergence_that_lacked_its_own_write_omitted_it(history: History) -> None:
    written(history, 1)
    for _ in range(MAX_DIVERGENCES + 3):
        history.write([1])
    kept = history.ledger.history()
    assert (kept.divergences_dropped, kept.duplicated, kept.omitted, kept.obscure) == (3, 0, 3, 0)


def test_a_forgotten_divergence_without_a_simple_meaning_is_obscure(history: History) -> None:
    written(history, 1)
    shown = history.shown([1])
    for number in range(1, MAX_DIVERGENCES + 3):
        history._settle(0, OK, shown._replace(digest=shown.digest + number))
    kept = history.ledger.history()
    assert (kept.divergences_dropped, kept.duplicated, kept.omitted, kept.obscure) == (2, 0, 0, 2)


def test_a_ledger_shows_what_it_knows_as_its_history(history: History) -> None:
    ledger = history.ledger
    ledger.room = "lobby"
    assert (ledger.model_name, ledger.has_doubts, ledger.lost) == ("tally", False, False)
    history.write([1])
    history.write(outcome=IN_DOUBT)
    assert ledger.has_doubts
    ledger.write()
    kept = ledger.history()
    assert (kept.seed, kept.session, kept.writer, kept.owner, kept.room) == (7, 1, 1, "me", "lobby")
    assert (kept.issued, kept.acknowledged, kept.in_doubt) == (3, 1, (2, 3)), "the pending one is in doubt too"
    assert (kept.sums, kept.offset) == (Sum(1, token(operation(7, 1, 1))), Sum(0, 0))
    assert (kept.final, kept.forgot, kept.failed) == (None, False, ())


def test_a_divergence_keeps_what_was_known_before_it(history: History) -> None:
    written(history, 2)
    history.write()
    history.boot, history.birth = "r1", "b2"
    history.write([4])
    (seen,) = history.ledger.history().divergences
    assert (seen.t_ns, seen.anomaly, seen.issued, seen.wrote) == (4, Anomaly.LOST, 4, True)
    assert (seen.under, seen.acknowledged, seen.known_ns, seen.seen) == (3, 3, 2, 2)
    assert (seen.birth_before, seen.birth_after, seen.boot_before, seen.boot_after) == ("b1", "b2", "r0", "r1")
    assert seen.sums.n == 3 and seen.state == Sum(1, token(history.ops[4])) and seen.offset == Sum(0, 0)


def test_the_writes_of_each_birth_are_counted_from_when_it_was_first_seen(history: History) -> None:
    written(history, 3)
    for birth, content in (("b2", [4]), ("b3", [5])):
        history.birth = birth
        history.write(content)
    assert [seen.under for seen in history.ledger.history().divergences] == [3, 1]


def test_a_write_that_is_settled_twice_is_refused_and_so_is_one_beside_a_pending_one(history: History) -> None:
    history.write([1])
    with pytest.raises(ValueError, match="is not pending"):
        history._settle(history.ops[1], OK, None)
    history.ledger.write()
    with pytest.raises(ValueError, match=f"{operation(7, 1, 2):016x} is pending, not {history.ops[1]:016x}"):
        history._settle(history.ops[1], OK, None)


def test_writes_set_aside_are_settled_in_any_order(history: History) -> None:
    for _ in range(3):
        history.ops[len(history.ops) + 1] = history.ledger.write()
        history.ledger.set_aside()
    assert history.ledger.has_doubts
    assert history._settle(history.ops[2], OK, history.shown([2])) is Anomaly.NONE
    assert history._settle(history.ops[1], FAILED, None) is Anomaly.NONE
    assert history._settle(history.ops[3], OK, history.shown([2, 3])) is Anomaly.NONE
    kept = history.ledger.history()
    assert (kept.acknowledged, kept.failed, kept.in_doubt) == (2, ((1, 1),), ())
    assert history.end([2, 3]).outcome == "kept"


def test_a_retry_that_fails_leaves_its_write_in_doubt_and_one_set_aside_does_not(history: History) -> None:
    op = history.ledger.write()
    history._settle(op, IN_DOUBT, None)
    history._settle(op, FAILED, None)
    assert history.ledger.history().in_doubt == (1,)
    other = history.ledger.write()
    history.ledger.set_aside()
    history._settle(other, FAILED, None)
    assert (history.ledger.history().in_doubt, history.ledger.history().failed) == ((1,), ((2, 2),))


def test_a_failed_write_is_retried_out_of_the_run_that_it_ended(history: History) -> None:
    for _ in range(3):
        history.write(outcome=FAILED)
    assert history.ledger.history().failed == ((1, 3),)
    assert history._settle(history.ops[3], OK, history.shown([3])) is Anomaly.NONE
    assert history.ledger.history().failed == ((1, 2),)
    single = History()
    single.write(outcome=FAILED)
    single._settle(single.ops[1], OK, single.shown([1]))
    assert single.ledger.history().failed == ()
    with pytest.raises(ValueError, match="not pending"):
        history._settle(history.ops[2], OK, None)


def test_a_recovered_write_that_is_retried_is_recovered_no_more(history: History) -> None:
    history.write(outcome=IN_DOUBT)
    history.read([1])
    assert [recovery.i for recovery in history.ledger.history().recovered] == [1]
    assert history._settle(history.ops[1], OK, history.shown([1])) is Anomaly.NONE
    kept = history.ledger.history()
    assert (kept.recovered, kept.offset, kept.acknowledged) == ((), Sum(0, 0), 1)


def test_a_forced_login_settles_the_pending_write_as_failed(history: History) -> None:
    history.ledger.write()
    assert history.ledger.record_forced_login(5, "r0") is Anomaly.FORCED_LOGIN
    history.ledger.record_forced_login(6, "r0")
    kept = history.ledger.history()
    assert (kept.forced_logins, kept.failed, kept.in_doubt) == (2, ((1, 1),), ())
    assert [(note.t_ns, note.anomaly) for note in kept.notes] == [(5, Anomaly.FORCED_LOGIN), (6, Anomaly.FORCED_LOGIN)]


def test_the_final_read_keeps_the_state_that_it_showed(history: History) -> None:
    written(history, 2)
    history.birth = "b2"
    history.ledger.record_final_read(OK, history.shown([1]), "r7", 99)
    final = history.ledger.history().final
    assert final == (99, "b2", "r7", Sum(1, token(history.ops[1])))


def test_a_reply_without_an_owner_is_ones_own_and_a_first_owner_is_learned() -> None:
    ledger = Ledger(7, 1, 1, "")
    shown = Observed("b", "me", (0, 0))
    assert ledger.settle(0, OK, shown, "r0", 1) is Anomaly.NONE and ledger.owner == "me"
    assert ledger.settle(0, OK, Observed("b", None, (0, 0)), "r0", 2) is Anomaly.NONE
    assert ledger.settle(0, OK, Observed("b", "you", (0, 0)), "r0", 3) is Anomaly.LEAKED
    assert ledger.history().disordered == 0


def test_a_gone_session_shows_nothing_whatever_its_model() -> None:
    for model in (models.tally, models.counter, models.register, models.items, models.log):
        ledger = Ledger(7, 1, 1, "me", model)
        ledger.settle(ledger.write("a"), OK, None, "r0", 1)
        assert ledger.settle(0, OK, Observed(state=NO_STATE), "r0", 2) is Anomaly.LOST
        ledger.record_final_read(OK, Observed(state=NO_STATE), "r0", 3)
        verdict = judge(ledger.history())
        assert (verdict.outcome, verdict.lost_writes) == ("lost", 1)


def test_a_reply_with_the_birth_alone_shows_the_state_expected_under_it() -> None:
    ledger = Ledger(7, 1, 1, "me")
    for t in range(1, 4):
        assert ledger.settle(ledger.write(), OK, Observed("b1"), "r0", t) is Anomaly.NONE
    assert ledger.settle(ledger.write(), OK, Observed("b2"), "r1", 4) is Anomaly.LOST
    assert ledger.settle(0, OK, Observed("b2"), "r1", 5) is Anomaly.NONE
    assert ledger.settle(0, OK, Observed("b1"), "r0", 6) is Anomaly.STALE
    ledger.record_final_read(OK, Observed("b1"), "r0", 9)
    verdict = judge(ledger.history())
    assert (verdict.lost, verdict.stale, verdict.unexplained) == (False, True, 0)


def test_a_state_that_comes_back_was_stale_once_per_episode(history: History) -> None:
    written(history, 3)
    for _ in range(3):
        history.read([1])
        history.read([1, 2, 3])
    kept = history.ledger.history()
    assert (kept.stale, len(kept.healed), kept.divergences) == (3, 3, ())
    assert [note.anomaly for note in kept.notes] == [Anomaly.STALE] * 3


def test_of_healed_divergences_the_telling_ones_are_kept(history: History) -> None:
    written(history, 3)
    for _ in range(MAX_DIVERGENCES):
        history.read([1])
        history.read([1, 2, 3])
    history.read([1, 2, 3, 3])
    history.read([1, 2, 3])
    kept = history.ledger.history()
    assert (len(kept.healed), kept.obscure) == (32, 0)
    assert kept.healed[0].anomaly is Anomaly.DUPLICATE
    verdict = history.end([1, 2, 3])
    assert (verdict.duplicates, verdict.stale) == (1, True)


def test_telling_divergences_beyond_what_is_kept_are_obscure(history: History) -> None:
    written(history, 3)
    for _ in range(MAX_DIVERGENCES + 2):
        history.read([1, 2, 3, 3])
        history.read([1, 2, 3])
    kept = history.ledger.history()
    assert (len(kept.healed), kept.obscure, kept.stale) == (32, 2, 0)


@pytest.mark.parametrize(
    ("content", "anomaly"),
    [
        ([1, 2, 3], Anomaly.NONE),
        ([1, 2], Anomaly.ROLLED_BACK),
        ([1], Anomaly.ROLLED_BACK),
        ([], Anomaly.LOST),
        ([1, 2, 3, 3], Anomaly.DUPLICATE),
        ([1, 2, 2], Anomaly.UNEXPLAINED),
    ],
)
def test_a_reply_is_classified_by_its_count_at_once(history: History, content: list[int], anomaly: Anomaly) -> None:
    written(history, 3)
    assert history.read(content) is anomaly


@pytest.mark.parametrize(("fresh", "anomaly"), [(0, Anomaly.LOST), (1, Anomaly.LOST), (2, Anomaly.ROLLED_BACK)])
def test_under_a_new_birth_what_may_be_new_is_still_a_loss(history: History, fresh: int, anomaly: Anomaly) -> None:
    written(history, 4)
    history.birth = "b2"
    history.write()
    assert history.read([1, 2, 3, 4, 5][5 - fresh :]) is anomaly


def test_of_doubts_counted_while_a_number_caught_up_as_many_stay_recovered_as_it_grew() -> None:
    history = History(models.counter)
    for number in range(1, 6):
        history.value(None, number)
    for _ in range(2):
        history.value(None, outcome=IN_DOUBT)
    for number in (3, 4, 5, 6):
        history.look(number)
    kept = history.ledger.history()
    assert ([recovery.i for recovery in kept.recovered], kept.in_doubt) == ([6], (7,))
    assert history.look(7) is Anomaly.NONE
    verdict = history.finish(7)
    assert (verdict.outcome, verdict.recovered, verdict.duplicates) == ("stale", 2, 0)


@pytest.mark.parametrize("number", [11_000, 1_796_047_262, 2**31 - 1])
def test_a_number_far_above_all_writes_is_no_count_of_repeats(number: int) -> None:
    history = History(models.counter)
    for shown in (1, 2, number, number + 1 if number < 2**31 - 1 else number):
        history.value(None, shown)
    verdict = history.finish(number)
    assert (verdict.outcome, verdict.duplicates) == ("unexplained", 0)


@pytest.mark.parametrize("number", [2**31, -(2**31), 10**4000])
def test_what_no_counter_can_show_is_refused(number: int) -> None:
    history = History(models.counter)
    with pytest.raises(TypeError, match="a counter is below"):
        history.look(number)


class Entry:
    """An entry that counts how often any was compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Entry.compared += 1
        return self is other

    __hash__ = object.__hash__


def test_a_log_of_far_more_than_was_written_is_another_one_whose_entries_are_hardly_compared() -> None:
    history, others = History(models.log), [Entry() for _ in range(20_000)]
    history.value("tea", ["tea"])
    assert history.look(["tea", *others]) is not Anomaly.NONE
    assert history.look(others) is not Anomaly.NONE
    assert history.finish(["tea", *others]).outcome == "unexplained"
    assert Entry.compared <= len(others)


@pytest.mark.parametrize(("number", "duplicates", "recovered"), [(2, 0, 1), (3, 0, 2), (4, 1, 2)])
def test_of_a_number_the_writes_that_arrived_stand_for_those_that_were_refused(
    number: int, duplicates: int, recovered: int
) -> None:
    history = History(models.counter)
    history.value(None, 1)
    refused = {history.ledger.write()}
    for op in refused:
        history._settle(op, IN_DOUBT, None)
    for _ in range(2):
        history.value(None, outcome=IN_DOUBT)
    history.look(number)
    history.ledger.record_final_read(OK, Observed(None, None, number), "r0", 9)
    verdict = judge(history.ledger.history(), refused)
    assert (verdict.duplicates, verdict.recovered) == (duplicates, recovered)
    assert verdict.in_doubt == 2


def test_a_write_issued_after_it_was_seen_does_not_stand_for_a_refused_one() -> None:
    history = History(models.counter)
    refused = history.ledger.write()
    history._settle(refused, IN_DOUBT, None)
    history.look(1)
    history.value(None, outcome=IN_DOUBT)
    history.ledger.record_final_read(OK, Observed(None, None, 1), "r0", 9)
    verdict = judge(history.ledger.history(), {refused})
    assert (verdict.duplicates, verdict.outcome) == (1, "duplicated")


def test_a_first_value_is_recovered_by_its_alternatives() -> None:
    history = History(models.register)
    history.value("a", outcome=IN_DOUBT)
    history.value("a", outcome=IN_DOUBT)
    history.value("b", outcome=IN_DOUBT)
    history.look("a")
    (recovery,) = history.ledger.history().recovered
    assert (recovery.i, recovery.issued, recovery.alike) == (1, 3, (2,))


def test_entries_are_compared_by_what_they_say_and_not_as_objects() -> None:
    def entries(*numbers: int) -> list[str]:
        return [f"entry {number}" for number in numbers]

    history = History(models.log)
    for number in range(1, 4):
        assert history.value(f"entry {number}", entries(*range(1, number + 1))) is Anomaly.NONE
    assert history.look(entries(3, 2, 1)) is Anomaly.UNEXPLAINED
    assert history.look(entries(1, 2, 3, 3)) is Anomaly.DUPLICATE
    assert history.ledger.history().disordered == 1


@pytest.mark.parametrize("lives", [1, MAX_DIVERGENCES + 3])
def test_writes_too_many_without_an_explanation_are_counted_whatever_was_forgotten(
    history: History, lives: int
) -> None:
    for life in range(1, lives + 1):
        history.birth = f"b{life}"
        history.write([life])
    shown = history.shown([lives])
    odd = shown._replace(count=4, digest=shown.digest + 1)
    history._settle(0, OK, odd)
    history.ledger.record_final_read(OK, odd, "r0", 99)
    verdict = judge(history.ledger.history())
    assert verdict.unexplained == 3 and verdict.outcome == ("unexplained" if lives == 1 else "lost")


@pytest.mark.parametrize("model", [models.tally, models.counter, models.register, models.items, models.log])
def test_what_a_write_adds_is_kept_only_where_its_token_does_not_say_it(model: ModelFactory) -> None:
    history = History(model)
    for value in ("a", "b"):
        history.value(value)
    assert history.ledger.history().weights == ()
    if model is models.items:
        for _ in range(2):
            history.value(Removed("a"))
        mark = token(operation(7, 1, 1))
        assert history.ledger.history().weights == ((3, -1, -mark & MASK), (4, 0, 0)), "the second removes nothing"


@pytest.mark.parametrize(
    ("steps", "anomalies"),
    [
        (("=b", "=", "d"), "ROLLED_BACK LOST NONE"),  # d stands for itself alone, not for what was lost
        (("d=a",), "ROLLED_BACK"),  # the first value stands for one write, but the register is not new
        (("=", "=b", "=c"), "LOST ROLLED_BACK NONE"),  # on its way back
        (("=", "d", "=b", "d=d"), "LOST NONE ROLLED_BACK NONE"),
        (("=", "d=b"), "LOST ROLLED_BACK"),
        (("d=x",), "UNEXPLAINED"),
        (("=x", "d"), "UNEXPLAINED NONE"),
    ],
)
def test_a_register_is_classified_by_the_history_that_its_value_stands_for(
    steps: Sequence[str], anomalies: str
) -> None:
    """After a, b and c: ``d`` is written and shown, ``=b`` is a read that shows b, ``d=b`` a write that shows b."""
    history = History(models.register)
    for value in "abc":
        history.value(value, value)
    seen = []
    for step in steps:
        value, _, state = step.partition("=")
        seen.append(history.value(value, state or value) if value else history.look(state))
    assert [anomaly.name for anomaly in seen] == anomalies.split()


@pytest.mark.parametrize(
    ("model", "outcome", "why"),
    [
        (models.log, "lost_writes", ["Write 2 was", "Write 4 was"]),
        (models.items, "rolled_back", ["Writes 2, 4 were"]),  # what lies between may be there by other writes
    ],
)
def test_writes_lost_together_are_a_stretch_if_nothing_between_them_is_left(
    model: ModelFactory, outcome: str, why: Sequence[str]
) -> None:
    history = History(model)
    for place, value in enumerate("abcde", 1):
        history.value(value, list("abcde"[:place]))
    history.look(list("ace"))
    verdict = history.finish(list("ace"))
    assert (verdict.outcome, verdict.lost_writes) == (outcome, 2)
    assert [reason.partition(" acknowledged")[0] for reason in verdict.why] == why


def test_a_doubt_that_appeared_in_one_of_two_states_may_also_be_in_the_other(history: History) -> None:
    written(history, 3)
    history.birth = "b2"
    assert history.write([4]) is Anomaly.LOST
    history.write(outcome=IN_DOUBT)
    history.birth = "b1"
    assert history.read([1, 2, 3, 5]) is Anomaly.STALE
    history.birth = "b2"
    assert history.read([4, 5]) is Anomaly.STALE
    kept = history.ledger.history()
    assert [seen.anomaly for seen in kept.divergences] == [Anomaly.LOST]
    assert [seen.anomaly for seen in kept.healed] == [Anomaly.STALE]


@pytest.mark.parametrize(
    ("doubts", "more", "anomaly"),
    [
        (3, 3, Anomaly.UNEXPLAINED),
        (3, 4, Anomaly.DUPLICATE),  # more than may have appeared
        (14, 7, Anomaly.UNEXPLAINED),  # 3,432 sets of doubts were tried
        (15, 6, Anomaly.NONE),  # 5,005 sets are too many to know
    ],
)
def test_what_doubts_may_explain_is_called_an_anomaly_only_if_all_were_tried(
    history: History, doubts: int, more: int, anomaly: Anomaly
) -> None:
    history.write([1])
    for _ in range(doubts):
        history.write(outcome=IN_DOUBT)
    odd = history.shown(range(1, more + 2)) if more <= doubts else history.shown([1])._replace(count=more + 1)
    assert history._settle(0, OK, odd._replace(digest=odd.digest + 1)) is anomaly


@pytest.mark.parametrize("appeared", [False, True])
def test_a_write_that_is_retried_is_the_one_with_its_id(appeared: bool) -> None:
    for order in permutations(range(1, 5)):
        history = History()
        for _ in order:
            history.write(outcome=IN_DOUBT)
        if appeared:
            history.read([1, 2, 3, 4])
        for done, number in enumerate(order, 1):
            content = [1, 2, 3, 4] if appeared else order[:done]
            assert history._settle(history.ops[number], OK, history.shown(content)) is Anomaly.NONE
            kept = history.ledger.history()
            waiting = {recovery.i for recovery in kept.recovered} if appeared else {*kept.in_doubt}
            assert waiting == {1, 2, 3, 4} - {*order[:done]}


@pytest.mark.parametrize("model", [models.register, models.items, models.log])
def test_writes_in_doubt_are_recovered_in_the_order_in_which_their_values_appear(model: ModelFactory) -> None:
    for order in permutations(range(1, 5)):
        history = History(model)
        for number in range(1, 5):
            history.value(f"v{number}", outcome=IN_DOUBT)
        for done in range(1, 5):
            shown = [f"v{number}" for number in order[:done]]
            assert history.look(shown[-1] if model is models.register else shown) is Anomaly.NONE
            kept = history.ledger.history()
            assert tuple(recovery.i for recovery in kept.recovered) == order[:done]
            assert {*kept.in_doubt} == {*order[done:]}


def test_before_any_reply_nothing_was_seen(history: History) -> None:
    for _ in range(3):
        history.write()
    history.read([1])
    (first,) = history.ledger.history().divergences
    assert (first.known_ns, first.seen, first.acknowledged) == (-1, 0, 3)


@pytest.mark.parametrize(
    ("model", "first", "empty", "last", "overwritten"),
    [
        (models.register, "a", "", "b", True),  # a was lost, and would not be there by now in any case
        (models.register, "a", "", "a", False),
        (models.log, ["a"], [], ["b"], False),
    ],
)
def test_only_the_newest_value_of_a_register_overwrites_what_was_lost(
    model: ModelFactory, first: object, empty: object, last: object, overwritten: bool
) -> None:
    history = History(model)
    history.value("a", first)
    history.look(empty)
    history.value("b")
    history.finish(last)
    assert Reconstruction(history.ledger.history(), frozenset()).is_overwritten is overwritten
