import pytest

from harness.observations.events import Detail, Event, EventKind
from harness.observations.faults import FaultLog, FaultRecord, pair_faults


def event(t: float, moment: str, target: str = "r1", kind: str = "kill", **detail: str | int) -> Event:
    return Event(t, f"fault_{moment}", target, {"kind": kind, **detail})


def test_the_events_of_one_fault_become_one_record() -> None:
    (fault,) = pair_faults(
        [
            event(1.0, "commanded", fault=1),
            event(1.1, "effective", fault=1, boot="b1"),
            event(5.0, "healed", fault=1, boot="b2"),
        ]
    )
    evidence = {"kind": "kill", "boot": "b1", "healed_kind": "kill", "healed_boot": "b2"}
    assert fault == FaultRecord(1, "kill", "r1", 1.0, 1.1, 5.0, evidence)


def test_overlapping_faults_of_one_kind_and_target_are_kept_apart_by_their_ids() -> None:
    faults = pair_faults(
        [
            event(1.0, "commanded", fault=1),
            event(1.1, "effective", fault=1),
            event(2.0, "commanded", fault=2),
            event(2.1, "effective", fault=2),
            event(3.0, "healed", fault=1),
        ]
    )
    assert [(fault.effective, fault.healed) for fault in faults] == [(1.1, 3.0), (2.1, None)]


@pytest.mark.parametrize("other", ["r1", "r2"])
def test_events_of_older_runs_are_paired_by_kind_target_and_order(other: str) -> None:
    events = [event(t + at, moment, target) for t, target in ((1.0, "r1"), (5.0, other))
              for at, moment in ((0.0, "commanded"), (0.1, "effective"), (2.0, "healed"))]  # fmt: skip
    faults = pair_faults(events)
    assert [(fault.id, fault.target) for fault in faults] == [(1, "r1"), (2, other)]
    assert [(fault.commanded, fault.effective, fault.healed) for fault in faults] == [(1.0, 1.1, 3.0), (5.0, 5.1, 7.0)]


def test_a_fault_that_never_took_effect_has_no_moment_of_it() -> None:
    (fault,) = pair_faults([event(1.0, "commanded", fault=1), Event(2.0, EventKind.PART_DIED, "r1")])
    assert (fault.effective, fault.healed, fault.active) == (None, None, False)


def test_an_event_without_its_command_is_no_fault() -> None:
    assert pair_faults([event(1.0, "effective"), event(2.0, "healed", fault=4)]) == ()


def test_a_fault_is_active_from_its_effect_until_its_undo() -> None:
    log, active = FaultLog(), []
    for moment in (event(1.0, "commanded"), event(2.0, "effective"), event(3.0, "healed")):
        log.add(moment)
        active.append(log.records[0].active)
    assert active == [False, True, False]


def test_a_fault_cannot_be_undone_before_it_was_commanded() -> None:
    with pytest.raises(ValueError, match="out of order"):
        FaultRecord(1, "kill", "r1", commanded=3.0, healed=2.0)


@pytest.mark.parametrize(
    ("evidence", "onset"),
    [
        ({}, 3.0),
        ({"sigterm_s": 0.25, "endpoint_left_s": 0.5, "gone_s": 1.5}, 1.25),
        ({"endpoint_left_s": 0.25, "sigterm_s": 1.25}, 1.25),
        ({"r0_gone_s": 1.5, "r1_endpoint_left_s": 0.5}, 1.5),
        ({"sigterm_s": -0.25}, 1.0),
        ({"gone_s": 7.0}, 3.0),
        ({"healed_r0_sigterm_s": 0.5, "ready_s": 0.1, "container_ended_s": None, "sigterm_s": "0.5"}, 3.0),
    ],
    ids=["no pod", "killed", "drained first", "several", "the node's clock is late", "others' clock", "something else"],
)
def test_a_fault_sets_in_with_the_first_step_of_the_end_of_a_pod(evidence: Detail, onset: float) -> None:
    assert FaultRecord(1, "kill", "r1", 1.0, 3.0, None, evidence).onset == onset


def test_a_fault_without_an_effect_has_not_set_in() -> None:
    assert FaultRecord(1, "kill", "r1", 1.0, evidence={"sigterm_s": 0.5}).onset is None
