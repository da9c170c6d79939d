"""The claim about consistency, on runs made by hand."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs, devices
from harness.results.summary import ArmFigures
from tests.support import charts as fakes

DRAWN = fakes.summary()
STICKY = DRAWN.designs["sticky"]
[C10] = claims.chosen(["C10"])


def arm(lost: int) -> ArmFigures:
    one = STICKY.arms["control"]
    return replace(one, writes=replace(one.writes, acknowledged=1000, lost=lost))


def runs(**lost: int) -> Runs:
    designs = {name: replace(STICKY, arms={"control": arm(count)}) for name, count in lost.items()}
    return Runs({"two_devices": replace(DRAWN, designs=designs, controls=replace(DRAWN.controls, calibration=None))})


def test_two_devices_overwrite_each_other_unless_versions_are_checked() -> None:
    found = C10.found(runs(memory=0, redis=90, redis_checked=0))
    assert found.support is ClaimVerdict.SUPPORTED
    assert [(point.label, point.value) for point in found.points] == [("memory", 0), ("redis", 9), ("redis_checked", 0)]
    assert "redis 90 of 1,000" in found.says and "0 of 2,000" in found.says


def test_a_checked_write_that_is_lost_or_none_without_a_check_refutes_it() -> None:
    assert C10.found(runs(redis=90, redis_checked=1)).support is ClaimVerdict.REFUTED
    assert C10.found(runs(redis=0, redis_checked=0)).support is ClaimVerdict.REFUTED


def test_without_both_kinds_nothing_is_settled() -> None:
    assert C10.found(runs(redis_checked=0)).support is ClaimVerdict.UNKNOWN


def test_who_writes_safely_is_told_of_each_place() -> None:
    assert devices.safety(runs(memory=0, redis=90, redis_checked=0, nats=7, nats_checked=1)) == {
        "memory": "safe",
        "redis": "safe with a version check, else 90 lost",
        "nats": "7 lost",
    }
    assert devices.safety(Runs()) == {}
