"""Which replicas are up, as the views of a running arm show it."""

import pytest

from harness.observations.events import Event, EventKind
from harness.observations.replica_count import ReplicaCount


@pytest.fixture
def count() -> ReplicaCount:
    """Two replicas that are ready."""
    two = ReplicaCount()
    for name in ("r0", "r1"):
        two.take(Event(0.0, EventKind.REPLICA_READY, name))
    return two


def fault(kind: EventKind, fault: str, subject: str, **facts: str) -> Event:
    return Event(1.0, kind, subject, {"kind": fault, **facts})


def test_a_killed_replica_is_down_until_it_is_back(count: ReplicaCount) -> None:
    count.take(fault(EventKind.FAULT_EFFECTIVE, "kill", "r1"))
    assert (count.known, count.up) == ({"r0", "r1"}, {"r0"})
    count.take(fault(EventKind.FAULT_HEALED, "kill", "r1"))
    assert count.up == {"r0", "r1"}


def test_a_replica_that_was_added_counts(count: ReplicaCount) -> None:
    count.take(fault(EventKind.FAULT_EFFECTIVE, "grow", "replicas", replica="r2"))
    count.take(fault(EventKind.FAULT_HEALED, "grow", "replicas"))
    assert count.known == count.up == {"r0", "r1", "r2"}


def test_a_replica_that_was_removed_for_good_counts_no_more(count: ReplicaCount) -> None:
    count.take(fault(EventKind.FAULT_EFFECTIVE, "retire", "r1"))
    count.take(fault(EventKind.FAULT_HEALED, "retire", "r1"))
    assert count.known == count.up == {"r0"}


def test_what_happens_to_other_parts_is_not_counted(count: ReplicaCount) -> None:
    count.take(fault(EventKind.FAULT_EFFECTIVE, "kill_store", "store"))
    count.take(fault(EventKind.FAULT_HEALED, "kill_store", "store"))
    assert count.known == count.up == {"r0", "r1"}


def test_a_replica_that_died_by_itself_is_down(count: ReplicaCount) -> None:
    count.take(Event(1.0, EventKind.PART_DIED, "r0"))
    assert count.up == {"r1"}
