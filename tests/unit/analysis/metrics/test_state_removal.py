"""Which sessions a fault put at risk, and which losses it explains."""

from typing import Any

import pytest

from harness.analysis.metrics.state_removal import (
    CAUSES,
    FAULTS_OF_ALL,
    StateRemoval,
    find_cause,
    find_causes,
    find_sessions_at_risk,
    find_state_removals,
)
from harness.observations.faults import FaultRecord
from harness.observations.identity import Change, IdentityChange
from harness.observations.load_requests import LoadRequests
from harness.oracle.verdict import Loss, SessionVerdict
from tests.support.clocks_and_topology import RequestRow, requests


def _loss(t: float, known: float = -1e-9, before: str = "b1", after: str = "b0") -> Loss:
    """First seen at ``t``, of a state last seen at ``known`` (seconds)."""
    return Loss(round(t * 1e9), "x", "y", before, after, writes=1, known_ns=round(known * 1e9))


def _removal(kind: str = "kill", effective: float = 5.0, healed: float | None = 6.0, **more: Any) -> StateRemoval:
    """Of r1 with boot b1, commanded at 4 s."""
    return StateRemoval(
        **{"replica": "r1", "boot": "b1", "commanded": 4.0, "reborn": "b1'", **more},
        kind=kind,
        effective=effective,
        healed=healed,
    )


def test_a_node_takes_the_state_of_every_replica_on_it() -> None:
    fault = FaultRecord(1, "drain_node", "r1", 4.0, 5.0, 6.0, {"boots": "b1,b2"})
    assert [(removal.boot, removal.cause) for removal in find_state_removals([fault])] == [
        ("b1", "stopped"),
        ("b2", "stopped"),
    ]


def _resize(**evidence: Any) -> tuple[StateRemoval, ...]:
    """Commanded at 4 s, effective at 5 s, and undone by 9 s."""
    return find_state_removals([FaultRecord(1, "resize", "workload", 4.0, 5.0, 9.0, evidence)])


def test_a_smaller_size_takes_the_state_of_the_pods_that_end() -> None:
    removals = _resize(ready=1, boots="b1,b2")
    assert [(removal.boot, removal.cause, removal.commanded) for removal in removals] == [
        ("b1", "stopped", 4.0),
        ("b2", "stopped", 4.0),
    ]
    assert find_cause(_loss(4.5), removals) == "stopped"
    assert _resize(ready=5) == (), "a larger one takes none"


def test_an_undo_takes_the_state_of_the_pods_that_end_from_its_own_beginning_on() -> None:
    removals = _resize(ready=5, healed_boots="b1,b2", healed_settled_s=1.5)
    assert [(removal.boot, removal.commanded, removal.effective) for removal in removals] == [
        ("b1", 7.5, 9.0),
        ("b2", 7.5, 9.0),
    ]
    assert [find_cause(_loss(t, after="b1"), removals) for t in (7.4, 7.6, 9.5)] == ["unattributed", *["stopped"] * 2]
    load = LoadRequests.select(
        requests([*(_write(session, "b1", 6.0) for session in (1, 2)), _write(1, "b0", 7.4), _write(3, "b0", 6.0)])
    )
    assert find_sessions_at_risk(load, removals) == {2}, "session 1 left before it"


def test_a_command_takes_the_state_of_the_pods_that_it_ends_until_it_is_undone() -> None:
    evidence: dict[str, str | int] = {"exit": 0, "boots": "b1", "healed_exit": 0, "healed_boots": "b2"}
    removals = find_state_removals([FaultRecord(1, "shell", "service", 4.0, 5.0, 9.0, evidence)])
    assert [(removal.boot, removal.commanded, removal.cause) for removal in removals] == [
        ("b1", 4.0, "stopped"),
        ("b2", 4.0, "stopped"),
    ]
    assert find_state_removals([FaultRecord(1, "shell", "service", 4.0, 5.0, 9.0, {"exit": 0})]) == ()


@pytest.mark.parametrize("kind", CAUSES)
def test_a_fault_that_takes_state_away_is_a_removal_with_its_evidence(kind: str) -> None:
    evidence = {"boot": "b1", "healed_boot": "b1'"}
    fault = FaultRecord(1, kind, "r1", 4.0, 5.0, 6.0, evidence)
    assert find_state_removals([fault]) == (_removal(kind),)
    assert find_state_removals([FaultRecord(1, kind, "r1", 4.0, None, None, evidence)]) == (), "it had no effect"
    (without_boot,) = find_state_removals([FaultRecord(1, kind, "r1", 4.0, 5.0)]) or (None,)
    assert without_boot == (_removal(kind, healed=None, boot="", reborn=None) if kind in FAULTS_OF_ALL else None)


def test_a_fault_that_takes_no_state_away_is_none() -> None:
    assert find_state_removals([FaultRecord(1, "slow", "r1", 4.0, 5.0, 6.0, {"boot": "b1"})]) == ()


@pytest.mark.parametrize(("t", "explained"), [(3.999999999, False), (4.0, True), (4.001, True), (99.0, True)])
def test_a_loss_from_the_command_on_is_explained_by_it(t: float, explained: bool) -> None:
    assert _removal().explains(_loss(t)) is explained
    assert _removal("kill_store").explains(_loss(t, before="b0")) is explained


def test_a_replica_explains_the_losses_of_its_own_state_alone() -> None:
    assert not _removal().explains(_loss(5.0, before="b0"))
    assert _removal("evict").explains(_loss(5.0, before="b0"))


@pytest.mark.parametrize(
    ("kind", "known", "explained"),
    [
        ("kill", 9.0, True),
        ("terminate", 9.0, True),
        ("pause", 6.0, True),
        ("pause", 6.000000001, False),
        ("evict", 6.0, True),
        ("evict", 6.000000001, False),
        ("kill_store", 5.25, True),
        ("kill_store", 5.250000001, False),
        ("kill_primary", 5.25, True),
        ("kill_primary", 5.250000001, False),
    ],
)
def test_a_state_that_was_shown_later_was_not_taken_away(kind: str, known: float, explained: bool) -> None:
    assert _removal(kind).explains(_loss(10.0, known)) is explained


@pytest.mark.parametrize("kind", ["pause", "evict"])
def test_without_an_undo_nothing_shows_that_a_state_outlived_it(kind: str) -> None:
    assert _removal(kind, healed=None).explains(_loss(10.0, 9.9))


@pytest.mark.parametrize(
    ("removal", "t", "over"),
    [
        (_removal("pause"), 5.9, False),
        (_removal("pause"), 6.0, False),
        (_removal("pause"), 6.000000001, True),
        (_removal("pause", healed=None), 9.0, False),
        (_removal("kill"), 9.0, False),
        (_removal("evict"), 9.0, False),
    ],
)
def test_a_replica_was_within_reach_again_after_its_undo(removal: StateRemoval, t: float, over: bool) -> None:
    assert removal.is_over(_loss(t)) is over


def test_what_took_the_state_for_good_comes_before_what_was_over() -> None:
    causes = (_removal("pause"), _removal("terminate"))
    assert find_cause(_loss(9.0), causes) == find_cause(_loss(9.0), causes[::-1]) == "stopped"
    assert find_cause(_loss(5.5), causes) == "away", "while both hold, the first"


@pytest.mark.parametrize(
    ("effective", "t", "cause"),
    [(5.0, 5.000000001, "returned_empty"), (5.0, 5.0, "moved"), (5.0, 4.5, "moved"), (0.0, 1.0, "returned_empty")],
)
def test_a_replica_can_take_a_session_over_once_it_died(effective: float, t: float, cause: str) -> None:
    removal = _removal(effective=effective, commanded=min(4.0, effective))
    assert find_cause(_loss(t, before="b0", after="b1'"), [removal]) == cause


def test_any_replica_that_came_back_may_have_taken_a_session_over() -> None:
    never_back = _removal(reborn=None)
    assert find_cause(_loss(9.0, before="b0", after="b1'"), [never_back, _removal(boot="b3")]) == "returned_empty"
    assert find_cause(_loss(9.0, before="b0", after="b1'"), [never_back]) == "moved"
    assert find_cause(_loss(9.0, before="b0", after="b2"), [_removal()]) == "moved"


@pytest.mark.parametrize("why", ["expired", "refused", "withheld", "deleted", "dropped"])
def test_a_missing_cookie_is_the_cause_if_the_same_reply_showed_it(why: str) -> None:
    missed = IdentityChange(9 * 10**9, Change.MISSED, "cookie sid", "", f"{why}: because")
    assert find_cause(_loss(9.0), [_removal()], [missed]) == f"cookie_{why}"
    assert find_cause(_loss(9.5), [_removal()], [missed]) == "killed"
    assert find_cause(_loss(9.5, before="b0", after="b0"), [], [missed]) == f"cookie_{why}", "of many, the last is kept"
    assert find_cause(_loss(9.5, before="b0", after="b2"), [], [missed]) == "moved"
    replaced = missed._replace(change=Change.REPLACED)
    assert find_cause(_loss(9.0, before="b0", after="b0"), [], [replaced]) == "unattributed"


@pytest.mark.parametrize(
    ("boots", "cause"),
    [
        (set(), "moved"),
        ({"b0"}, "moved"),
        ({"b0", "b2"}, "unattributed"),  # it was there before
        ({"b0", "b1"}, "unattributed"),  # the state had followed the session from one replica to another
    ],
)
def test_a_state_that_several_replicas_served_was_not_lost_by_a_move(boots: set[str], cause: str) -> None:
    assert find_cause(_loss(9.0, before="b0", after="b2"), [], boots=boots) == cause


def test_the_causes_of_a_session_are_those_of_all_its_writers() -> None:
    verdicts = [
        SessionVerdict(1, losses=(_loss(5.0), _loss(3.0, before="b0", after="b2"))),
        SessionVerdict(1, writer=2, losses=(_loss(3.0, before="b0", after="b0"),)),
    ]
    assert find_causes(verdicts, [_removal()]) == {"killed", "moved", "unattributed"}


def _at_risk(removal: StateRemoval, *rows: RequestRow) -> set[int]:
    return set(find_sessions_at_risk(LoadRequests.select(requests(rows)), [removal]))


def _write(session: int, boot: str, end: float, op: int = 1, outcome: str = "ok") -> RequestRow:
    return RequestRow(session, end, outcome, boot.replace("b", "r"), boot, op=op, took=0.0)


def test_only_a_session_with_an_acknowledged_write_has_something_to_lose() -> None:
    rows = (_write(1, "b1", 3.0), _write(2, "b1", 3.0, op=0), _write(3, "b1", 3.0, outcome="in_doubt"))
    assert _at_risk(_removal(), *rows) == {1}
    assert _at_risk(_removal("kill_store"), *rows) == {1}
    assert _at_risk(_removal(), _write(1, "b0", 2.0), _write(1, "b1", 3.0, op=0)) == {1}, "wherever it wrote"


@pytest.mark.parametrize(("moved", "at_risk"), [(3.9, set()), (4.0, set()), (4.000000001, {1})])
def test_a_session_that_left_by_the_command_was_not_at_risk(moved: float, at_risk: set[int]) -> None:
    assert _at_risk(_removal(), _write(1, "b1", 3.0), _write(1, "b0", moved)) == at_risk


@pytest.mark.parametrize(
    ("kind", "end", "at_risk"),
    [
        ("kill", 9.0, {1}),
        ("pause", 4.5, {1}),
        ("pause", 5.0, {1}),
        ("pause", 5.1, set()),
        ("pause", 9.0, set()),
        ("kill_store", 4.5, {1}),
        ("kill_store", 5.0, {1}),
        ("kill_store", 5.1, set()),
    ],
)
def test_a_reply_of_the_victim_counts_until_it_was_away(kind: str, end: float, at_risk: set[int]) -> None:
    assert _at_risk(_removal(kind), _write(1, "b1", end)) == at_risk


def test_the_last_reply_by_its_end_decides() -> None:
    early = RequestRow(1, 1.0, "ok", "r0", "b0", op=1, took=2.5)  # sent first, ended last
    assert _at_risk(_removal(), early, _write(1, "b1", 3.0)) == set()
    assert _at_risk(_removal("kill_store"), early, _write(2, "b0", 3.0)) == {1, 2}


def test_every_removal_puts_its_own_sessions_at_risk() -> None:
    load = LoadRequests.select(requests([_write(1, "b1", 3.0), _write(2, "b2", 3.0), _write(3, "b0", 3.0)]))
    assert find_sessions_at_risk(load, [_removal(), _removal(boot="b2")]) == {1, 2}
    assert find_sessions_at_risk(load, []) == frozenset()
