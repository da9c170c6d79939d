import json

import pytest

from harness.common.errors import UsageError
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.history import SessionHistory
from harness.oracle.judge import judge
from harness.oracle.ledger import MAX_DIVERGENCES, MAX_KEPT, Ledger
from harness.oracle.models import SetModel, counter
from harness.oracle.observed import Observed, Tally, tally_from_json
from harness.oracle.operations import op_text, operation, token
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from tests.support.world import SEED, Cell

OK, FAILED, IN_DOUBT = Outcome


class Conversation:
    """A ledger and a service with one state, request by request."""

    def __init__(self) -> None:
        self.ledger = Ledger(SEED, 1, 1, "me")
        self.cell = Cell("b1")
        self.boot = "r0"
        self.t = 0

    def write(self, outcome: Outcome = OK, applied: bool = True, shown: Tally | None = None) -> Anomaly:
        op = self.ledger.write()
        if applied:
            self.cell.apply(op)
        return self.settle(op, outcome, (shown or self.cell.tally()) if outcome is OK else None)

    def writes(self, n: int) -> None:
        for _ in range(n):
            assert self.write() is Anomaly.NONE

    def read(self, shown: Tally | None = None) -> Anomaly:
        return self.settle(0, OK, shown or self.cell.tally())

    def settle(self, op: int, outcome: Outcome, shown: Tally | None) -> Anomaly:
        self.t += 1
        return self.ledger.settle(op, outcome, shown, self.boot, self.t)

    def judged(self, refused: frozenset[int] = frozenset()) -> SessionVerdict:
        self.ledger.record_final_read(OK, self.cell.tally(), self.boot, 1000)
        return judge(self.ledger.history(), refused)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


def test_operation_ids_are_distinct_and_the_same_everywhere() -> None:
    ids = {operation(seed, writer, i) for seed in (1, 2) for writer in (1, 2) for i in range(1, 500)}
    assert len(ids) == 4 * 499
    assert 0 not in ids
    assert operation(1, 2, 3) == operation(1, 2, 3) == int(op_text(operation(1, 2, 3)), 16)


def test_the_token_is_what_the_wire_says() -> None:
    from hashlib import blake2b  # noqa: PLC0415 - only here, as an independent reading of docs/wire.md

    digest = blake2b(b"00000000000000ff", digest_size=8).digest()
    assert token(255) == int.from_bytes(digest, "big")


def test_a_session_object_is_read_as_a_tally() -> None:
    shown = {"birth": "b", "owner": "u", "count": 2, "last": "00000000000000ff", "digest": "000000000000000a"}
    assert tally_from_json({"session": shown}) == Tally("b", "u", 2, 255, 10)
    assert tally_from_json({"session": {**shown, "count": 0, "last": ""}}) == Tally("b", "u", 0, 0, 10)


@pytest.mark.parametrize(
    "body", [{}, {"session": None}, {"session": {}}, {"session": []}, {"session": {"birth": "b", "owner": "u"}}]
)
def test_a_reply_without_a_session_object_shows_nothing(body: dict[str, object]) -> None:
    assert tally_from_json(body) is None


@pytest.mark.parametrize(
    ("key", "bad"), [("count", "2"), ("count", True), ("count", -1), ("digest", "x"), ("birth", 1)]
)
def test_a_malformed_session_object_shows_nothing(key: str, bad: object) -> None:
    shown = {"birth": "b", "owner": "u", "count": 2, "last": "", "digest": "0a", key: bad}
    assert tally_from_json({"session": shown}) is None


def test_a_new_birth_after_an_acknowledged_write_is_a_loss_flagged_once(conversation: Conversation) -> None:
    conversation.writes(3)
    conversation.cell, conversation.boot = Cell("b2"), "r1"
    assert [conversation.write(), conversation.read(), conversation.write()] == [
        Anomaly.LOST,
        Anomaly.NONE,
        Anomaly.NONE,
    ]
    assert conversation.ledger.lost
    verdict = conversation.judged()
    (loss,) = verdict.losses
    assert (loss.birth_before, loss.birth_after, loss.boot_before, loss.boot_after) == ("b1", "b2", "r0", "r1")
    assert (loss.t_ns, loss.writes, verdict.lost_writes, verdict.acknowledged) == (4, 3, 3, 5)
    assert verdict.acked_boots == ((1, "r0"), (4, "r1"))


def test_a_birth_that_returns_whole_was_stale_and_not_lost(conversation: Conversation) -> None:
    conversation.writes(3)
    assert conversation.read(Cell("b2").tally()) is Anomaly.LOST
    assert conversation.ledger.lost
    assert conversation.read() is Anomaly.STALE
    assert not conversation.ledger.lost
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.lost, verdict.lost_writes, verdict.losses) == ("stale", False, 0, ())


def test_of_two_births_the_one_absent_at_the_end_is_lost(conversation: Conversation) -> None:
    conversation.writes(3)
    first, conversation.cell = conversation.cell, Cell("b2")
    assert conversation.write() is Anomaly.LOST
    conversation.writes(1)
    conversation.cell = first
    assert conversation.read() is Anomaly.STALE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.stale, verdict.lost_writes) == ("lost", True, 2)
    assert [(loss.birth_before, loss.writes) for loss in verdict.losses] == [("b2", 2)]


def test_a_birth_that_returned_and_is_left_at_once_is_lost_again(conversation: Conversation) -> None:
    conversation.writes(3)
    first, conversation.cell = conversation.cell, Cell("b2")
    conversation.write()
    conversation.cell = first
    conversation.read()
    conversation.cell = Cell("b3")
    assert conversation.read() is Anomaly.LOST
    assert conversation.judged().lost_writes == 4


def test_nothing_left_under_the_same_birth_is_a_loss(conversation: Conversation) -> None:
    conversation.writes(2)
    conversation.cell.keep([])
    assert conversation.read() is Anomaly.LOST
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.lost_writes, len(verdict.losses)) == ("lost", 2, 1)


def test_a_rollback_is_flagged_at_its_first_reply_and_is_stale_once_the_state_is_back(
    conversation: Conversation,
) -> None:
    conversation.writes(1)
    old = conversation.cell.tally()
    conversation.writes(2)
    assert [conversation.read(old), conversation.read(old), conversation.read()] == [
        Anomaly.ROLLED_BACK,
        Anomaly.NONE,
        Anomaly.NONE,
    ]
    assert conversation.judged().outcome == "stale"


def test_a_state_rolled_back_and_then_written_stays_rolled_back(conversation: Conversation) -> None:
    conversation.writes(4)
    conversation.cell.keep(conversation.cell.ops[:2])
    assert [conversation.read(), conversation.write(), conversation.write()] == [
        Anomaly.ROLLED_BACK,
        Anomaly.NONE,
        Anomaly.NONE,
    ]
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.lost_writes, verdict.rolled_back, verdict.lost) == ("rolled_back", 2, True, False)


def test_another_owners_session_is_a_leak_and_changes_nothing_else(conversation: Conversation) -> None:
    conversation.writes(2)
    other = Cell("b9", "another owner")
    assert conversation.read(other.tally()) is Anomaly.LEAKED
    assert conversation.read() is Anomaly.NONE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.leaked, verdict.lost_writes) == ("leaked", True, 0)


def test_a_leak_is_seen_by_the_owner_alone(conversation: Conversation) -> None:
    conversation.writes(2)
    assert conversation.read(conversation.cell.tally()._replace(owner="another owner")) is Anomaly.LEAKED


def test_a_first_write_under_another_birth_than_was_read_loses_nothing(conversation: Conversation) -> None:
    conversation.read()
    conversation.cell = Cell("b2")
    assert conversation.write() is Anomaly.NONE
    assert conversation.judged().outcome == "kept"


def test_a_rollback_that_is_undone_in_part_was_stale_in_part(conversation: Conversation) -> None:
    conversation.writes(4)
    ops = list(conversation.cell.ops)
    for left in (2, 3):
        conversation.cell.keep(ops[:left])
        assert conversation.read() is Anomaly.ROLLED_BACK
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.stale, verdict.lost_writes) == ("lost_writes", True, 1)


def test_a_write_recovered_in_a_fork_does_not_hide_that_the_whole_came_back(conversation: Conversation) -> None:
    conversation.writes(3)
    whole = list(conversation.cell.ops)
    op = conversation.ledger.write()
    conversation.settle(op, IN_DOUBT, None)
    conversation.cell.keep(whole[:1])
    assert conversation.read() is Anomaly.ROLLED_BACK
    conversation.cell.apply(op)
    assert conversation.read() is Anomaly.NONE
    conversation.cell.keep([*whole, op])
    assert conversation.read() is Anomaly.NONE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.recovered, verdict.lost_writes) == ("stale", 1, 0)


def test_a_duplicate_that_was_shown_counts_though_it_is_gone_again(conversation: Conversation) -> None:
    conversation.writes(3)
    twice = conversation.cell.copy()
    twice.apply(twice.ops[1])
    assert [conversation.read(twice.tally()), conversation.read()] == [Anomaly.DUPLICATE, Anomaly.NONE]
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.duplicates, verdict.stale) == ("duplicated", 1, False)


def test_what_came_back_together_with_a_duplicate_was_stale(conversation: Conversation) -> None:
    conversation.writes(4)
    ops = list(conversation.cell.ops)
    conversation.cell.keep(ops[:3])
    conversation.read()
    conversation.write()
    conversation.cell.keep([*ops, conversation.cell.ops[-1], conversation.cell.ops[-1]])
    assert conversation.read() is Anomaly.DUPLICATE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.duplicates, verdict.stale, verdict.lost_writes) == ("duplicated", 1, True, 0)


def test_an_emptied_state_that_is_written_and_then_replaced_by_the_old_one_costs_that_write(
    conversation: Conversation,
) -> None:
    conversation.writes(3)
    old = conversation.cell.copy()
    conversation.cell.keep([])
    assert conversation.read() is Anomaly.LOST
    conversation.write()
    conversation.cell = old
    assert conversation.read() is Anomaly.STALE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.lost, verdict.stale, verdict.lost_writes) == ("lost_writes", False, True, 1)


def test_a_birth_left_twice_is_lost_once_at_the_last_time(conversation: Conversation) -> None:
    first, second = conversation.cell, Cell("b2")
    conversation.writes(3)
    for conversation.cell in (second, first, second):
        conversation.write()
    verdict = conversation.judged()
    assert [(loss.birth_before, loss.writes, loss.t_ns) for loss in verdict.losses] == [("b1", 4, 6)]
    assert verdict.lost_writes == 4


def test_each_lost_birth_counts_its_own_writes(conversation: Conversation) -> None:
    conversation.writes(3)
    for birth, more in (("b2", 1), ("b3", 0)):
        conversation.cell = Cell(birth)
        assert conversation.write() is Anomaly.LOST
        conversation.writes(more)
    assert [(loss.birth_before, loss.writes) for loss in conversation.judged().losses] == [("b1", 3), ("b2", 2)]


def test_where_too_many_failures_are_forgotten_a_loss_is_counted_but_not_explained(conversation: Conversation) -> None:
    for _ in range(2 * MAX_KEPT):
        conversation.writes(1)
        conversation.settle(conversation.ledger.write(), FAILED, None)
    assert judge(conversation.ledger.history()).unexplained == 0
    conversation.cell.keep(conversation.cell.ops[:-1])
    conversation.read()
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.unexplained, verdict.lost_writes) == ("lost_writes", 1, 1)


def test_a_write_in_doubt_may_appear_late_and_must_then_stay(conversation: Conversation) -> None:
    conversation.writes(1)
    op = conversation.ledger.write()
    conversation.settle(op, IN_DOUBT, None)
    conversation.writes(1)
    without = list(conversation.cell.ops)
    conversation.cell.apply(op)
    assert conversation.read() is Anomaly.NONE
    conversation.cell.keep(without)
    assert conversation.read() is Anomaly.ROLLED_BACK
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.lost_writes, verdict.recovered, verdict.in_doubt) == ("rolled_back", 0, 1, 1)


def test_a_refused_write_is_not_in_doubt(conversation: Conversation) -> None:
    op = conversation.ledger.write()
    conversation.settle(op, IN_DOUBT, None)
    verdict = conversation.judged(frozenset({op}))
    assert (verdict.outcome, verdict.in_doubt) == ("kept", 0)


@pytest.mark.parametrize("outcome", [IN_DOUBT, FAILED])
def test_a_write_that_cannot_have_been_applied_and_appears_is_reported_as_a_defect(
    conversation: Conversation, outcome: Outcome
) -> None:
    conversation.writes(1)
    op = conversation.ledger.write()
    conversation.settle(op, outcome, None)
    conversation.writes(1)
    conversation.cell.apply(op)
    conversation.read()
    verdict = conversation.judged(frozenset({op} if outcome is IN_DOUBT else ()))
    assert (verdict.outcome, verdict.unexplained, verdict.recovered, verdict.duplicates) == ("unexplained", 1, 0, 0)
    assert any("Write 2 is there although" in sentence for sentence in verdict.why)


def test_more_than_twelve_in_doubt_leave_the_session_unknown_unless_the_log_refutes_them(
    conversation: Conversation,
) -> None:
    conversation.writes(1)
    doubted = [conversation.ledger.write()]
    for _ in range(19):
        conversation.settle(doubted[-1], IN_DOUBT, None)
        doubted.append(conversation.ledger.write())
    conversation.settle(doubted[-1], IN_DOUBT, None)
    for op in doubted[3:13]:
        conversation.cell.apply(op)
    assert conversation.read() is Anomaly.NONE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.unknown, verdict.unexplained, verdict.acknowledged) == ("unknown", True, 0, 1)
    refuted = judge(conversation.ledger.history(), frozenset(doubted[:1] + doubted[13:]))
    assert (refuted.outcome, refuted.unknown, refuted.recovered, refuted.in_doubt) == ("kept", False, 10, 12)


def test_a_write_may_be_tried_again_under_its_id(conversation: Conversation) -> None:
    conversation.writes(1)
    op = conversation.ledger.write()
    conversation.cell.apply(op)
    conversation.settle(op, IN_DOUBT, None)
    assert conversation.settle(op, OK, conversation.cell.tally()) is Anomaly.NONE
    failed = conversation.ledger.write()
    conversation.settle(failed, FAILED, None)
    conversation.cell.apply(failed)
    assert conversation.settle(failed, OK, conversation.cell.tally()) is Anomaly.NONE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.acknowledged, verdict.in_doubt) == ("kept", 3, 0)


def test_a_retry_that_is_applied_again_is_a_duplicate(conversation: Conversation) -> None:
    op = conversation.ledger.write()
    conversation.cell.apply(op)
    conversation.settle(op, IN_DOUBT, None)
    assert conversation.read() is Anomaly.NONE
    conversation.cell.apply(op)
    assert conversation.settle(op, OK, conversation.cell.tally()) is Anomaly.DUPLICATE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.duplicates, verdict.lost_writes) == ("duplicated", 1, 0)


def test_a_retry_that_fails_leaves_the_first_try_in_doubt(conversation: Conversation) -> None:
    op = conversation.ledger.write()
    conversation.settle(op, IN_DOUBT, None)
    conversation.settle(op, FAILED, None)
    conversation.cell.apply(op)
    assert conversation.read() is Anomaly.NONE
    assert conversation.judged().recovered == 1


def test_settling_what_is_not_pending_is_refused(conversation: Conversation) -> None:
    conversation.writes(1)
    with pytest.raises(ValueError, match="not pending"):
        conversation.settle(12345, OK, None)


def test_a_forced_login_is_counted_apart_and_its_write_was_not_applied(conversation: Conversation) -> None:
    conversation.writes(1)
    conversation.ledger.write()
    assert conversation.ledger.record_forced_login(5, "r0") is Anomaly.FORCED_LOGIN
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.forced_login, verdict.in_doubt, verdict.lost) == ("forced_login", True, 0, False)


def test_without_a_final_read_the_session_is_unknown(conversation: Conversation) -> None:
    conversation.writes(2)
    conversation.read(Cell("b2").tally())
    conversation.ledger.record_final_read(IN_DOUBT, None, "", 9)
    verdict = judge(conversation.ledger.history())
    assert (verdict.outcome, verdict.unknown, verdict.lost, verdict.acknowledged) == ("unknown", True, False, 2)


def test_a_final_read_of_another_owners_session_leaves_ones_own_session_unknown(conversation: Conversation) -> None:
    conversation.writes(2)
    conversation.cell = Cell("b9", "another owner")
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.unknown) == ("leaked", True)


def test_a_session_that_wrote_nothing_has_nothing_to_lose(conversation: Conversation) -> None:
    for birth in ("b1", "b2", "b3"):
        assert conversation.read(Cell(birth).tally()) is Anomaly.NONE
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.acknowledged, verdict.unknown) == ("kept", 0, False)


def test_a_session_lost_at_every_request_takes_constant_memory_and_is_counted_in_full(
    conversation: Conversation,
) -> None:
    for life in range(10 * MAX_DIVERGENCES):
        conversation.cell = Cell(f"b{life}")
        conversation.write()
    verdict = conversation.judged()
    assert (verdict.lost_writes, verdict.unexplained) == (10 * MAX_DIVERGENCES - 1, 0)
    assert len(verdict.losses) + verdict.earlier_losses == 10 * MAX_DIVERGENCES - 1
    assert (verdict.outcome, verdict.rolled_back) == ("lost", False)
    assert len(json.dumps(conversation.ledger.history().to_json())) < 20_000


def test_what_no_explanation_fits_is_unexplained_and_not_guessed(conversation: Conversation) -> None:
    conversation.writes(3)
    conversation.cell.keep([*conversation.cell.ops[1:], operation(SEED, 99, 1)])
    assert conversation.read() is Anomaly.UNEXPLAINED
    verdict = conversation.judged()
    assert (verdict.outcome, verdict.duplicates, verdict.lost_writes) == ("unexplained", 0, 0)


def test_a_history_survives_json(conversation: Conversation) -> None:
    conversation.writes(3)
    conversation.settle(conversation.ledger.write(), FAILED, None)
    op = conversation.ledger.write()
    conversation.settle(op, IN_DOUBT, None)
    conversation.settle(conversation.ledger.write(), IN_DOUBT, None)
    conversation.cell.apply(op)
    conversation.read()
    conversation.read(Cell("other", "another owner").tally())
    conversation.cell = Cell("b2")
    conversation.writes(0)
    conversation.write()
    verdict = conversation.judged()
    history = conversation.ledger.history()
    assert SessionHistory.from_json(json.loads(json.dumps(history.to_json()))) == history
    assert judge(SessionHistory.from_json(history.to_json())) == verdict
    assert verdict.outcome in SessionOutcome


def test_a_model_shared_between_sessions_is_refused() -> None:
    with pytest.raises(UsageError, match="of its own"):
        Ledger(SEED, 1, 1, "me", SetModel())  # type: ignore[arg-type] # the mistake under test


def test_a_service_that_shows_its_birth_alone_is_judged_by_it() -> None:
    ledger = Ledger(SEED, 1, 1, "me")
    for t in range(3):
        assert ledger.settle(ledger.write(), OK, Observed("b1"), "r0", t) is Anomaly.NONE
    assert ledger.settle(0, OK, Observed("b2"), "r1", 5) is Anomaly.LOST
    ledger.record_final_read(OK, Observed("b2"), "r1", 9)
    verdict = judge(ledger.history())
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 3)


def test_a_number_that_begins_again_with_the_write_it_acknowledges_is_lost() -> None:
    ledger = Ledger(SEED, 1, 1, "me", counter)
    for i, shown in enumerate([1, 2, 3, 4, 1, 2]):
        ledger.settle(ledger.write(), OK, Observed(state=shown), "r0", i)
    ledger.record_final_read(OK, Observed(state=2), "r0", 10)
    verdict = judge(ledger.history())
    assert (verdict.outcome, verdict.lost_writes) == (SessionOutcome.LOST, 4)
