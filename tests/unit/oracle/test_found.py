"""Every seeded bug is found and named, also among writes in doubt, and the counts are the true ones."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.observations.requests import Anomaly
from harness.oracle.verdict import SessionVerdict
from tests.support.world import Cell, Client, Network

ROUGH = Network(refused=0.03, rejected=0.02, lost=0.02, unanswered=0.03, late=0.02, silent=0.03)
SESSIONS = 50
Bug = Callable[[Client], None]


def drop(client: Client) -> None:
    """Acknowledged, shown in the reply, and not stored."""
    before = client.cell.copy()
    client.acknowledged_write()
    client.cell = before


def drop_openly(client: Client) -> None:
    """Acknowledged, and not even in the reply."""
    client.acknowledged_write(lambda op: client.cell.tally())


def duplicate(client: Client) -> None:
    """Applied twice at once."""

    def twice(op: int) -> "object":
        client.cell.apply(op)
        client.cell.apply(op)
        return client.cell.tally()

    client.acknowledged_write(twice)  # type: ignore[arg-type] # a Tally, typed loosely here


def duplicate_late(client: Client) -> None:
    """Applied once more some time after its reply."""
    client.acknowledged_write()
    op = client.cell.ops[-1]
    client.read()
    client.acknowledged_write()
    client.cell.apply(op)


def duplicate_in_doubt(client: Client) -> None:
    """A write whose reply was lost is applied twice."""
    op = client.ledger.write()
    client.doubted.add(op)
    client.cell.apply(op)
    client.cell.apply(op)
    client.settle(op, 2, None)  # type: ignore[arg-type]


def stale(client: Client) -> None:
    """One read from before the last acknowledged writes."""
    old = client.cell.tally()
    for _ in range(client.rng.randint(1, 3)):
        client.acknowledged_write()
    client.read(old)
    client.read()


def rollback(client: Client) -> None:
    """Back to at least two acknowledged writes earlier, with something left."""
    client.acknowledged_write()
    ahead = client.rng.randint(2, 5)
    for _ in range(ahead):
        client.acknowledged_write()
    client.cell.keep(client.cell.ops[:-ahead])


def lose(client: Client) -> None:
    """A new and empty state under a new birth."""
    client.cell = Cell(client.cell.birth + "'")
    client.boot = "boot1"


def empty(client: Client) -> None:
    """The same birth with nothing in it. With a single write it would look like a drop once others follow."""
    client.acknowledged_write()
    client.cell.keep([])


def leak(client: Client) -> None:
    """One read of another owner's session."""
    other = Cell("other", "another owner")
    other.apply(1)
    client.read(other.tally())


def login(client: Client) -> None:
    """Sent back to the login once."""
    client.t += 1
    client.ledger.record_forced_login(client.t, client.boot)


BUGS: dict[str, list[Bug]] = {
    "lost_writes": [drop, drop_openly],
    "duplicated": [duplicate, duplicate_late, duplicate_in_doubt],
    "stale": [stale],
    "rolled_back": [rollback],
    "lost": [lose, empty],
    "leaked": [leak],
    "forced_login": [login],
    "kept": [lambda client: None],
}
CASES = [(outcome, bug) for outcome, bugs in BUGS.items() for bug in bugs]


def run_session(seed: int, bug: Bug, network: Network, before: int, after: int) -> tuple[Client, SessionVerdict]:
    """A session that meets the bug once."""
    client = Client(random.Random(seed), Cell("b"), network)
    for _ in range(before):
        client.step()
    client.acknowledged_write()
    bug(client)
    for _ in range(after):
        client.step()
    return client, client.end()


def check(outcome: str, client: Client, verdict: SessionVerdict) -> None:
    assert verdict.outcome == outcome, verdict
    assert verdict.acknowledged == len(client.acknowledged)
    assert verdict.lost_writes == len(client.gone), verdict
    assert verdict.duplicates == (outcome == "duplicated"), verdict
    assert verdict.unexplained == 0, verdict
    assert not verdict.unknown
    assert verdict.lost == (outcome == "lost") and len(verdict.losses) == (outcome == "lost")
    assert verdict.leaked == (outcome == "leaked")
    assert verdict.forced_login == (outcome == "forced_login")
    assert verdict.stale == (outcome == "stale")
    assert verdict.rolled_back == (outcome == "rolled_back")
    assert sum(loss.writes for loss in verdict.losses) == (len(client.gone) if outcome == "lost" else 0)


def few_in_doubt(client: Client) -> bool:
    return len(client.doubted) <= 8


@pytest.mark.parametrize(("outcome", "bug"), CASES, ids=[bug.__name__ for _, bug in CASES])
@pytest.mark.parametrize("network", [Network.calm(), ROUGH], ids=["calm", "rough"])
def test_every_seeded_bug_is_named(outcome: str, bug: Bug, network: Network) -> None:
    judged = 0
    for seed in range(SESSIONS):
        rng = random.Random(seed)
        client, verdict = run_session(seed, bug, network, rng.randint(0, 40), rng.randint(0, 30))
        if few_in_doubt(client):
            check(outcome, client, verdict)
            judged += 1
    assert judged > SESSIONS / 2


@given(st.integers(0, 2**32), st.sampled_from(CASES), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_any_bug_at_any_time_is_named(seed: int, case: tuple[str, Bug], before: int, after: int) -> None:
    outcome, bug = case
    client, verdict = run_session(seed, bug, ROUGH, before, after)
    if few_in_doubt(client):
        check(outcome, client, verdict)


@given(st.integers(0, 2**32), st.lists(st.sampled_from([drop, duplicate, rollback, lose, stale, leak]), max_size=6))
@settings(max_examples=50, deadline=None)
def test_several_bugs_leave_the_counts_right(seed: int, bugs: list[Bug]) -> None:
    client = Client(random.Random(seed), Cell("b"), Network.calm())
    client.acknowledged_write()
    for bug in bugs:
        client.acknowledged_write()
        bug(client)
        client.read()
    verdict = client.end()
    assert verdict.unexplained == 0, verdict
    assert verdict.lost_writes == len(client.gone)
    assert verdict.duplicates == bugs.count(duplicate)
    assert verdict.lost == (lose in bugs) and len(verdict.losses) == bugs.count(lose)
    assert verdict.leaked == (leak in bugs)
    assert verdict.stale == (stale in bugs)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("outcome", "bug"), CASES, ids=[bug.__name__ for _, bug in CASES])
def test_a_thousand_sessions_with_each_bug_are_named(outcome: str, bug: Bug) -> None:
    judged = 0
    for seed in range(1000):
        rng = random.Random(-1 - seed)
        client, verdict = run_session(seed, bug, ROUGH, rng.randint(0, 100), rng.randint(0, 60))
        if few_in_doubt(client):
            check(outcome, client, verdict)
            judged += 1
    assert judged > 400


def test_a_lost_write_beside_a_recovered_one_is_found_though_the_count_is_right() -> None:
    client = Client(random.Random(1), Cell("b"), Network.calm())
    for _ in range(5):
        client.acknowledged_write()
    dropped = client.ledger.write()
    client.doubted.add(dropped)
    client.settle(dropped, 2, None)  # type: ignore[arg-type]
    client.cell.keep([*client.cell.ops[:2], *client.cell.ops[3:], dropped])
    assert client.read() is Anomaly.UNEXPLAINED
    verdict = client.end()
    assert (verdict.outcome, verdict.lost_writes, verdict.recovered) == ("lost_writes", 1, 1)


def killed(rng: random.Random, sessions: int) -> None:
    """Memory behind affinity: a killed replica takes its sessions along, and nothing else."""
    homes = {number: rng.randrange(3) for number in range(1, sessions + 1)}
    clients = {number: Client(rng, Cell(f"b{number}"), ROUGH, number) for number in homes}
    lives = dict.fromkeys(homes, 0)
    for client, home in zip(clients.values(), homes.values(), strict=True):
        client.boot = f"r{home}.0"
    lost: dict[int, list[tuple[str, int]]] = {number: [] for number in homes}
    acked = dict.fromkeys(homes, 0)
    for victim in (1, 2):
        for client in clients.values():
            for _ in range(rng.randint(0, 15)):
                client.step()
        for number, client in clients.items():
            if homes[number] == victim:
                if len(client.acknowledged) > acked[number]:
                    lost[number].append((client.boot, len(client.acknowledged) - acked[number]))
                acked[number] = len(client.acknowledged)
                lives[number] += 1
                homes[number] = 0
                client.cell = Cell(f"b{number}.{lives[number]}")
                client.boot = "r0.0"
                client.late.clear()
    for number, client in clients.items():
        for _ in range(rng.randint(0, 8)):
            client.step()
        verdict = client.end()
        if few_in_doubt(client):
            assert verdict.lost == bool(lost[number]), verdict
            assert [(loss.boot_before, loss.writes) for loss in verdict.losses] == lost[number], verdict
            assert verdict.outcome == ("lost" if lost[number] else "kept")


def test_exactly_the_sessions_of_the_killed_replicas_are_lost() -> None:
    for seed in range(5):
        killed(random.Random(seed), 60)


def test_reads_from_a_lagging_replica_are_stale_and_nothing_else() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        client = Client(rng, Cell("b"), ROUGH)
        lagging, stale_reads = Cell("b"), 0
        known: set[int] = set()
        for _ in range(60):
            client.step()
            known |= set(client.acknowledged)
            if rng.random() < 0.3:
                behind = rng.randint(0, 4)
                lagging.keep(client.cell.ops[: max(len(lagging.ops), len(client.cell.ops) - behind)])
                stale_reads += bool(known - set(lagging.ops))
                client.read(lagging.tally())
        verdict = client.end()
        if few_in_doubt(client) and client.ledger.history().recovered == ():
            assert verdict.outcome == ("stale" if stale_reads else "kept"), (seed, verdict)
        assert verdict.lost_writes == verdict.duplicates == verdict.unexplained == 0


def test_times_of_losses_rise() -> None:
    client = Client(random.Random(1), Cell("b"), Network.calm())
    for life in range(5):
        client.acknowledged_write()
        client.cell = Cell(f"b{life}")
        client.read()
    losses = client.end().losses
    assert len(losses) == 5
    assert all(earlier.t_ns < later.t_ns for earlier, later in pairwise(losses))
