"""One divergence, replayed: what vanished in it, and whether the state began again."""

from typing import Any

import pytest

from harness.observations.requests import Anomaly
from harness.oracle.history import Divergence, Recovery, SessionHistory
from harness.oracle.models import NOTHING, Sum
from harness.oracle.operations import operation, token
from harness.oracle.replay import SURPLUS, ReplayedDivergence, ReplayedWrites


def replayed(
    before: tuple[int, ...] | None, after: tuple[int, ...] | None, seen: int = 3, **more: Any
) -> ReplayedDivergence:
    """A reply to a read, under the same birth and from the same process, after three writes that had been seen."""
    late, removals = frozenset[int](more.pop("doubted", ())), more.pop("removals", {})
    known: dict[str, Any] = {
        "t_ns": 9,
        "anomaly": Anomaly.LOST,
        "issued": 3,
        "wrote": False,
        "under": 3,
        "acknowledged": 3,
    }
    known |= {"birth_before": "b1", "birth_after": "b1", "boot_before": "r0", "boot_after": "r0"}
    divergence = Divergence(**{**known, "offset": NOTHING, "sums": NOTHING, "state": NOTHING, "seen": seen, **more})
    return ReplayedDivergence(divergence, before, after, late, removals)


def test_what_should_have_been_there_and_was_not_has_vanished() -> None:
    assert replayed((1, 2, 3), (1,)).vanished == {2, 3}
    assert replayed((1, 2), (1, 2, 2)).vanished == frozenset()
    assert replayed(None, (1,)).vanished == replayed((1,), None).vanished == frozenset()


def test_what_was_held_leaves_out_the_write_that_the_reply_acknowledged() -> None:
    assert replayed((1, 2, 3), ()).held == {1, 2, 3}
    assert replayed((1, 2, 3), (), wrote=True).held == {1, 2}
    assert replayed(None, ()).held == frozenset()


BIRTH: dict[str, Any] = {"birth_after": "b2"}
OTHER: dict[str, Any] = {"boot_after": "r1"}
OWN: dict[str, Any] = {"wrote": True}
REMOVAL: dict[str, Any] = {"removals": {4: frozenset({1})}}
SOMETHING: dict[str, Any] = {"state": Sum(1, 7)}


@pytest.mark.parametrize(
    ("before", "after", "more", "restarts"),
    [
        ((1, 2, 3), (), {}, True),
        ((1, 2, 3), (), BIRTH, True),
        ((1, 2, 3), (1, 2, 3), {}, False),  # nothing is gone
        ((1, 2, 3), (1, 2), {}, False),  # an older state took its place
        ((1, 2, 3), (1,), BIRTH, False),
        ((1, 2, 3), (3,), {}, False),  # what is left had been seen
        ((1, 2, 3), (3,), {"seen": 4}, False),
        ((1, 2, 3), (3,), {"seen": 2}, True),  # what is left may be newer
        ((1, 2, 3), (2, 3), {"seen": 3}, False),  # the oldest was dropped
        ((1, 2, 3), (2, 3), {"seen": 3, **BIRTH}, False),
        ((1, 2, 3), (2, 3), {"seen": 1}, True),  # the first was all that had been seen
        ((1, 2, 3), (2,), {"seen": 1}, False),  # it lies below what is gone
        ((1, 2, 3), (2,), {"seen": 1, **BIRTH}, False),
        ((1, 2, 3), (3,), {**OWN, "seen": 2}, True),  # only the reply's own write is there
        ((1, 3), (3,), {**OWN, "seen": 0}, False),  # one write that was never seen was dropped
        ((1, 3), (3,), {**OWN, "seen": 1}, True),
        ((1, 3), (3,), {**OWN, "seen": 0, **OTHER}, True),
        ((1, 3), (3,), {**OWN, "seen": 0, **BIRTH}, True),
        ((1, 2, 3), (3,), {**OWN, "seen": 0}, True),  # two are gone together
        ((2, 3), (1,), {"doubted": (1,)}, True),  # what is older appeared late
        ((2, 3), (1,), {}, False),
        ((2, 3), (1, 4), REMOVAL, True),
        ((1, 2, 3, 4), (1, 4), {**REMOVAL, "seen": 1}, True),
        ((1, 2, 3, 4), (1,), {**REMOVAL, "seen": 4}, False),  # a removal was undone
        ((1, 2), (2,), REMOVAL, False),  # what is gone changes nothing
        ((1, 2, 3, 4), (3,), {"seen": 2}, True),  # all that had been seen is gone, and a newer one was dropped
    ],
)
def test_a_state_began_again_if_all_is_gone_that_is_not_newer(
    before: tuple[int, ...], after: tuple[int, ...], more: dict[str, Any], restarts: bool
) -> None:
    assert replayed(before, after, **more).is_restart is restarts


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        ({**BIRTH}, True),
        ({**BIRTH, **SOMETHING}, True),
        ({}, True),  # nothing is there
        (SOMETHING, False),
        ({**BIRTH, "under": 0}, False),
        ({**BIRTH, "under": 1}, True),
        ({**BIRTH, "anomaly": Anomaly.ROLLED_BACK}, False),
    ],
)
def test_an_unknown_state_began_again_if_its_birth_or_its_end_shows_the_loss_of_a_write(
    change: dict[str, Any], restarts: bool
) -> None:
    assert replayed(None, (), **change).is_restart is restarts
    assert replayed((1,), None, **change).is_restart is restarts


def writes(model: str = "tally", **more: Any) -> ReplayedWrites:
    return ReplayedWrites(SessionHistory(7, 1, 1, "me", model, **{"issued": 8, "acknowledged": 8, **more}), frozenset())


def test_acknowledged_are_all_that_neither_failed_nor_are_in_doubt() -> None:
    known = writes(failed=((2, 3), (6, 6)), in_doubt=(8,))
    assert known.failed == {2, 3, 6} and known.doubted == {8} and known.open == (8,)
    assert known.acknowledged == (1, 4, 5, 7)
    assert known.acknowledged_between(1, 5) == (4, 5)
    assert known.acknowledged_between(0, 8) == (1, 4, 5, 7) and known.acknowledged_between(5, 5) == ()


def test_a_write_that_changes_nothing_need_not_be_there() -> None:
    assert writes(weights=((4, 0, 0),)).acknowledged == (1, 2, 3, 5, 6, 7, 8)


def test_sums_between_two_writes_are_those_of_the_writes_between() -> None:
    known = writes(failed=((2, 3),))
    for since, until in ((0, 8), (1, 5), (4, 4), (3, 7)):
        between = known.sums(known.acknowledged_between(since, until))
        count, digest = known.sum_between(since, until)
        assert (count, digest % 2**64) == between
    assert known.sum_between(5, 2) == (0, 0)
    assert writes("counter").sums((1, 2, SURPLUS)) == (3, 0)


def test_what_a_write_adds_is_the_sum_of_its_parts() -> None:
    known = writes("set", weights=((3, -1, 2**64 - 1), (3, -1, 5), (4, 0, 0)))
    assert (known.weights[3], known.weights[4]) == ((-2, 4), (0, 0))
    assert known.weights[5] == (1, token(operation(7, 1, 5)))


def test_a_refused_write_that_appeared_is_excused_by_another_with_the_same_value() -> None:
    def excused(alike: tuple[int, ...], refused: set[int], *more: Recovery) -> frozenset[int]:
        history = SessionHistory(
            7, 1, 1, "me", "log", issued=4, acknowledged=1, in_doubt=(3,), recovered=(Recovery(5, 2, 4, alike), *more)
        )
        return ReplayedWrites(history, {operation(7, 1, i) for i in refused}).excused

    assert excused((3,), {2}) == {2}
    assert excused((), {2}) == frozenset()
    assert excused((3,), {2, 3}) == frozenset(), "that one was refused as well"
    assert excused((4,), {2}, Recovery(6, 4, 4)) == frozenset(), "that one appeared itself"


def test_of_a_set_the_removed_additions_and_their_removals_need_not_be_there() -> None:
    mark = writes().weights[2][1]
    known = writes("set", weights=((5, -1, -mark % 2**64),))
    assert known.removals == {5: {2}} and known.undone == {2}
    assert (writes("set").removals, writes("set").undone) == ({}, frozenset())
    log = writes("log", weights=((5, -1, -mark % 2**64),))
    assert (log.removals, log.undone) == ({}, frozenset())
    doubtful = writes("set", weights=((5, -1, -mark % 2**64),), in_doubt=(5,))
    assert (doubtful.removals, doubtful.undone) == ({}, frozenset())
    assert doubtful.perhaps_removed({}) == {2}
