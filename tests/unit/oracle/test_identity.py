"""What a ledger keeps of a session's id, and what a session that is gone is judged as."""

import json

import pytest

from harness.observations.identity import MAX_CHANGES, Change, IdentityChange, UnreadFinal
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.history import SessionHistory
from harness.oracle.judge import judge
from harness.oracle.ledger import Ledger
from harness.oracle.models import ModelFactory, counter, items, log, register
from harness.oracle.observed import GONE, Observed
from harness.oracle.outcome import SessionOutcome

SHOWN = {counter: 1, register: "a", items: ("a",), log: ("a",)}


def written(model: ModelFactory) -> Ledger:
    """A session with one acknowledged write of "a"."""
    ledger = Ledger(1, 1, 1, "u1", model)
    assert ledger.settle(ledger.write("a"), Outcome.OK, Observed(state=SHOWN[model]), "b0", 1) is Anomaly.NONE
    return ledger


@pytest.mark.parametrize("model", SHOWN)
def test_a_session_that_is_gone_at_the_end_is_lost_under_every_model(model: ModelFactory) -> None:
    ledger = written(model)
    assert ledger.record_final_read(Outcome.FAILED, GONE, "b1", 2) is Anomaly.LOST
    verdict = judge(ledger.history())
    assert (verdict.outcome, verdict.lost_writes) == (SessionOutcome.LOST, 1)


@pytest.mark.parametrize("model", [counter, items, log])  # a register that returns equals one that was written again
def test_a_session_that_was_only_gone_on_another_replica_is_stale(model: ModelFactory) -> None:
    ledger = written(model)
    assert ledger.settle(0, Outcome.FAILED, GONE, "b1", 2) is Anomaly.LOST
    ledger.record_final_read(Outcome.OK, Observed(state=SHOWN[model]), "b0", 3)
    verdict = judge(ledger.history())
    assert (verdict.outcome, verdict.lost_writes) == (SessionOutcome.STALE, 0)


def test_a_write_to_a_session_that_is_gone_was_not_applied() -> None:
    ledger = written(counter)
    ledger.settle(ledger.write("b"), Outcome.FAILED, GONE, "b1", 2)
    history = ledger.history()
    assert (history.acknowledged, history.failed, history.in_doubt) == (1, ((2, 2),), ())


def test_changes_of_the_id_survive_json_and_are_bounded() -> None:
    ledger = Ledger(1, 1, 1, "u1")
    for t in range(100):
        ledger.note_identity(IdentityChange(t, Change.SET, "cookie sid", str(t), "reply 200 to GET /"))
    ledger.unread = UnreadFinal(400, "Session ID unknown")
    history = ledger.history()
    assert SessionHistory.from_json(json.loads(json.dumps(history.to_json()))) == history
    assert len(history.identity) == MAX_CHANGES
    assert (history.identity[0].t_ns, history.identity[1].t_ns, history.identity[-1].t_ns) == (
        0,
        100 - MAX_CHANGES + 1,
        99,
    )
    assert judge(history).unread == UnreadFinal(400, "Session ID unknown")
    assert judge(history).identity == history.identity


def test_a_final_read_that_shows_the_session_is_not_unread() -> None:
    ledger = written(counter)
    ledger.unread = UnreadFinal(400, "not yet")
    ledger.record_final_read(Outcome.OK, Observed(state=1), "b0", 2)
    assert ledger.history().unread is None
