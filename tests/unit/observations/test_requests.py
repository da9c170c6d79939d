"""The record that the load process writes and every other part reads."""

import struct

import numpy as np
import pytest

from harness.observations.events import Event
from harness.observations.requests import RECORD, RECORD_FORMAT, Anomaly, Outcome
from harness.observations.samples import Snapshot

VALUES = (7, 1, 2**63 + 5, 3, 1, 2, 6, 1, 0, 1, 503, 2, 4, 10, 20, -1, 2**40, 345, 678)


def test_struct_and_numpy_read_the_same_record() -> None:
    """The hot loop packs with struct, the readers unpack with numpy: each value lands in the field of its name."""
    record = np.frombuffer(struct.pack(RECORD_FORMAT, *VALUES), RECORD)[0]
    assert RECORD.names is not None
    assert {name: int(record[name]) for name in RECORD.names} == dict(zip(RECORD.names, VALUES, strict=True))


def test_a_record_has_no_padding() -> None:
    assert struct.calcsize(RECORD_FORMAT) == RECORD.itemsize == 70


def test_records_lie_one_after_another() -> None:
    written = b"".join(struct.pack(RECORD_FORMAT, i, *VALUES[1:]) for i in range(3))
    assert np.frombuffer(written, RECORD)["session"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [*Outcome, *Anomaly])
def test_every_code_fits_its_byte(value: int) -> None:
    assert 0 <= value <= np.iinfo(np.uint8).max


def test_anomalies_are_ordered_by_gravity() -> None:
    assert max(Anomaly.STALE, Anomaly.LOST, Anomaly.LEAKED, Anomaly.ROLLED_BACK) is Anomaly.LEAKED
    assert min(Anomaly) == Anomaly.NONE


def test_facts_cannot_be_changed_afterwards() -> None:
    for fact, name in ((Snapshot(1, 0.2), "sent"), (Event(1.0, "part_died", "r0"), "t")):
        with pytest.raises(AttributeError):
            setattr(fact, name, 5)


def test_events_without_detail_do_not_share_one() -> None:
    assert Event(0.0, "a", "b").detail is not Event(0.0, "a", "b").detail
