"""A service that keeps its word is never accused, whatever the network does."""

import random

import pytest

from harness.observations.requests import Anomaly, Outcome
from harness.oracle.judge import judge
from harness.oracle.ledger import Ledger
from tests.support.world import SEED, Cell, Client, Network

ROUGH = Network(refused=0.03, rejected=0.02, lost=0.02, unanswered=0.03, late=0.03, silent=0.05)
RETRYING = Network(refused=0.02, rejected=0.0, lost=0.05, unanswered=0.05, late=0.03, silent=0.02, retries=0.8)


def innocent(seed: int, operations: int, network: Network, dedupe: bool) -> int:
    """Sessions of a service that keeps its word; returns how many operations were judged."""
    rng = random.Random(seed)
    done = session = 0
    while done < operations:
        session += 1
        client = Client(rng, Cell(f"b{session}"), network, session)
        client.dedupe = dedupe
        for _ in range(rng.choice((3, 30, 120, 400))):
            client.step()
        done += client.t
        verdict = client.end()
        assert set(client.anomalies) == {Anomaly.NONE}, (session, client.anomalies)
        unsure = len(client.doubted - client.rejected - client.recovered) > 12
        assert verdict.outcome == ("unknown" if unsure else "kept"), verdict
        assert not (verdict.lost_writes or verdict.duplicates or verdict.unexplained or verdict.stale), verdict
        assert verdict.acknowledged == len(client.acknowledged)
        assert verdict.in_doubt == len(client.doubted - client.rejected)
        if not unsure:
            assert verdict.recovered == len(client.recovered)
    return done


@pytest.mark.parametrize(("network", "dedupe"), [(ROUGH, False), (RETRYING, True), (Network(), False)])
def test_20_000_operations_raise_no_alarm(network: Network, dedupe: bool) -> None:
    assert innocent(1, 20_000, network, dedupe) >= 20_000


@pytest.mark.slow
def test_a_million_operations_raise_no_alarm() -> None:
    done = sum(
        innocent(seed, 250_000, network, dedupe)
        for seed, (network, dedupe) in enumerate(
            [(ROUGH, False), (RETRYING, True), (Network(), False), (Network.calm(), False)]
        )
    )
    assert done >= 1_000_000


def test_a_client_that_holds_the_state_never_sees_a_write_without_a_reply() -> None:
    rng = random.Random(3)
    for session in range(200):
        ledger, token = Ledger(SEED, session, session, "me"), Cell("b")
        for t in range(40):
            op, sent = ledger.write(), token.copy()
            sent.apply(op)
            if rng.random() < 0.2 and len(ledger.history().in_doubt) < 12:
                anomaly = ledger.settle(op, Outcome.IN_DOUBT, None, "", t)
            else:
                token = sent
                anomaly = ledger.settle(op, Outcome.OK, token.tally(), f"boot{t % 3}", t)
            assert anomaly is Anomaly.NONE
        ledger.record_final_read(Outcome.OK, token.tally(), "boot0", 99)
        assert judge(ledger.history()).outcome == "kept"


def test_a_birth_before_the_first_acknowledged_write_may_be_forgotten() -> None:
    ledger = Ledger(SEED, 1, 1, "me")
    assert ledger.settle(0, Outcome.OK, Cell("first").tally(), "r0", 1) is Anomaly.NONE
    op = ledger.write()
    ledger.settle(op, Outcome.IN_DOUBT, None, "", 2)
    second = Cell("second")
    assert ledger.settle(0, Outcome.OK, second.tally(), "r1", 3) is Anomaly.NONE
    second.apply(op)
    assert ledger.record_final_read(Outcome.OK, second.tally(), "r1", 4) is Anomaly.NONE
    assert judge(ledger.history()).outcome == "kept"
    assert judge(ledger.history()).recovered == 1


def test_two_writers_on_one_session_are_judged_apart() -> None:
    rng = random.Random(5)
    for round_ in range(100):
        first = Client(rng, Cell("shared"), ROUGH, 2 * round_ + 1)
        second = Client(rng, Cell("shared"), ROUGH, 2 * round_ + 2)
        for _ in range(60):
            rng.choice((first, second)).step()
        for client in (first, second):
            assert client.end().outcome in ("kept", "unknown")
            assert set(client.anomalies) == {Anomaly.NONE}
