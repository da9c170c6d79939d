"""A history as a line of ledgers.jsonl: every field comes back, and what is as usual is left out."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from harness.observations.identity import Change, IdentityChange, UnreadFinal
from harness.observations.requests import Anomaly
from harness.oracle.history import Boot, Divergence, Final, Note, Recovery, SessionHistory
from harness.oracle.judge import judge
from harness.oracle.models import Sum
from harness.oracle.operations import MASK

PLAIN = SessionHistory(seed=7, session=1, writer=2, owner="me", model="tally", issued=9, acknowledged=8)
DIVERGENCE = Divergence(
    5, Anomaly.LOST, 6, True, 3, 4, "b1", "b2", "r0", "r1", Sum(-1, MASK), Sum(4, 10), Sum(1, 255), known_ns=4, seen=5
)
FULL = replace(
    PLAIN,
    failed=((1, 2), (4, 4)),
    in_doubt=(5, 6),
    recovered=(Recovery(3, 5, 6, (7, 8)), Recovery(4, 6)),
    weights=((3, -1, MASK), (4, 2, 17)),
    divergences=(DIVERGENCE, DIVERGENCE._replace(t_ns=6, wrote=False)),
    divergences_dropped=1,
    sums=Sum(3, MASK - 1),
    offset=Sum(-2, 5),
    stale=2,
    leaked=3,
    duplicated=4,
    omitted=5,
    obscure=6,
    healed=(DIVERGENCE._replace(anomaly=Anomaly.STALE),),
    disordered=7,
    forced_logins=8,
    forgot=True,
    notes=(Note(1, Anomaly.LEAKED, "r0"),),
    acked_boots=(Boot(1, "r0", 1), Boot(4, "r1", 3)),
    final=Final(9, "b2", "r1", Sum(1, MASK)),
    room="lobby",
    identity=(IdentityChange(2, Change.SET, "cookie sid", "abc", "reply 200"),),
    unread=UnreadFinal(404, "gone"),
)


def again(history: SessionHistory) -> SessionHistory:
    return SessionHistory.from_json(json.loads(json.dumps(history.to_json())))


def test_every_field_comes_back() -> None:
    assert all(getattr(FULL, field.name) != field.default for field in fields(FULL)), "each is given"
    assert again(FULL) == FULL and again(PLAIN) == PLAIN


def test_values_come_back_in_their_types() -> None:
    back = again(FULL)
    assert type(back.divergences[0].anomaly) is type(back.healed[0].anomaly) is Anomaly
    assert type(back.notes[0].anomaly) is Anomaly and type(back.identity[0].change) is Change
    assert isinstance(back.final, Final) and isinstance(back.divergences[1].state, Sum)
    assert isinstance(back.recovered[0].alike, tuple) and isinstance(back.unread, UnreadFinal)


def test_what_is_as_usual_is_left_out() -> None:
    assert PLAIN.to_json() == {
        "seed": 7,
        "session": 1,
        "writer": 2,
        "owner": "me",
        "model": "tally",
        "issued": 9,
        "acknowledged": 8,
        "sums": (0, "0" * 16),
        "offset": (0, "0" * 16),
        "weights": [],
        "shifts": [],
    }


def test_digests_are_written_as_16_hexadecimal_digits() -> None:
    written: dict[str, Any] = FULL.to_json()
    assert written["sums"] == (3, "fffffffffffffffe") and written["offset"] == (-2, "0000000000000005")
    assert written["weights"] == [[3, -1, "f" * 16], [4, 2, "0000000000000011"]]
    assert written["final"] == (9, "b2", "r1", (1, "f" * 16))
    sums = ((-1, "f" * 16), (4, "000000000000000a"), (1, "00000000000000ff"))
    assert written["shifts"][0] == (5, Anomaly.LOST, 6, True, 3, 4, "b1", "b2", "r0", "r1", *sums, 4, 5)
    assert written["shifts_dropped"] == 1


def test_a_divergence_of_an_older_run_was_seen_with_all_that_had_been_issued() -> None:
    values = list(DIVERGENCE.to_json())
    older = Divergence.from_json(values[:13])
    assert (older.known_ns, older.seen) == (-1, 6)
    assert Divergence.from_json(values[:14]).seen == 0
    assert Divergence.from_json(values) == DIVERGENCE


def test_a_divergence_knows_its_own_write_and_whether_the_birth_changed() -> None:
    assert DIVERGENCE.own_write == {6} and DIVERGENCE._replace(wrote=False).own_write == frozenset()
    assert DIVERGENCE.changes_birth and not DIVERGENCE._replace(birth_after="b1").changes_birth


def test_a_history_holds_nothing_unless_that_is_said() -> None:
    counts = (
        "divergences_dropped",
        "stale",
        "leaked",
        "duplicated",
        "omitted",
        "obscure",
        "disordered",
        "forced_logins",
    )
    assert [getattr(PLAIN, count) for count in counts] == [0] * len(counts)
    assert PLAIN.forgot is False and PLAIN.sums == PLAIN.offset == Sum(0, 0)
    assert Recovery(1, 2) == Recovery(1, 2, 0, ())
    assert Divergence(*DIVERGENCE[:13]) == DIVERGENCE._replace(known_ns=-1, seen=0)


@pytest.mark.parametrize(
    ("count", "outcome"),
    [
        ("leaked", "leaked"),
        ("omitted", "lost_writes"),
        ("obscure", "unexplained"),
        ("disordered", "unexplained"),
        ("duplicated", "duplicated"),
        ("stale", "stale"),
        ("forced_logins", "forced_login"),
    ],
)
def test_one_of_what_a_ledger_only_counts_decides_the_outcome(count: str, outcome: str) -> None:
    kept = replace(PLAIN, issued=1, acknowledged=1, sums=Sum(1, 5), final=Final(9, "b1", "r0", Sum(1, 5)))
    assert judge(kept).outcome == "kept"
    one: dict[str, Any] = {count: 1}
    verdict = judge(replace(kept, **one))
    assert verdict.outcome == outcome
    assert (verdict.leaked, verdict.forced_login, verdict.stale) == tuple(
        count == name for name in ("leaked", "forced_logins", "stale")
    )
    assert verdict.lost_writes == (count == "omitted")
    assert verdict.duplicates == verdict.duplicated == (count == "duplicated")
    assert verdict.unexplained == (count in ("obscure", "disordered"))
